//! What some models do not have: refused by the plan that asks for it, with what they have.

use crate::error::{Error, Result};
use crate::estimator::Quantities;
use crate::model::Model;
use crate::of::Of;
use lipscope_core::attribution::Attribute;

/// Refuses models that cannot share their states: others of them, or of other variables.
pub(super) fn refuse_other_states(models: &[Model]) -> Result<()> {
    let shape = |model: &Model| {
        let process = model.response.process();
        (process.state_shape(model.response.sample_shape()), process.noise())
    };
    match models.windows(2).find(|pair| shape(&pair[0]) != shape(&pair[1])) {
        None => Ok(()),
        Some([first, second, ..]) => Err(Error::mismatch(
            format!(
                "{} is measured under {} and {} under {}, whose states are not of one kind",
                first.label, first.description.schedule, second.label, second.description.schedule
            ),
            "Compare models of one process, or measure them one by one.",
        )),
        Some(_) => Ok(()),
    }
}

pub(super) fn refuse_without_jacobian(models: &[Model], quantity: Quantities) -> Result<()> {
    let lacks = |model: &Model| match model.response.as_denoiser() {
        Some(denoiser) => denoiser.lacks_jacobian(),
        None => Some(format!("model under the process {}", model.description.schedule)),
    };
    match models.iter().find_map(|model| lacks(model).map(|what| (&model.label, what))) {
        None => Ok(()),
        Some((label, what)) => Err(Error::unsupported(
            format!("--quantity {quantity} for {label}, a {what}"),
            "derivatives in x are available for networks from files and for closed forms",
            "Use --quantity secant or derivative.",
        )),
    }
}

/// Refuses what has no places where t enters that lipscope knows.
pub(super) fn refuse_without_parts(command: &str, models: &[Model], (attribute, of): (Attribute, Of)) -> Result<()> {
    let next = "Leave out --attribute, or give checkpoints of an architecture that `lipscope inspect` names.";
    if command == "theory" {
        let problem = "--attribute tells apart where t enters a network, and `theory` has none";
        return Err(Error::mismatch(problem, "Use `lipscope measure CKPT --quantity derivative --attribute both`."));
    }
    if !of.is_epsilon() {
        let what = format!("--attribute with --of {of}");
        return Err(Error::unsupported(what, "it tells ∂ε/∂t apart", "Leave out one of them."));
    }
    for model in models {
        let refused = |why: String| Error::unsupported(format!("--attribute for {}", model.label), why, next);
        let parts = model.response.rate_parts().map_err(refused)?;
        attribute.kinds().iter().try_for_each(|kind| parts.check(*kind))?;
    }
    Ok(())
}

pub(super) fn refuse_without_rate(models: &[Model]) -> Result<()> {
    match models.iter().find_map(|model| model.response.lacks_rate().map(|what| (&model.label, what))) {
        None => Ok(()),
        Some((label, what)) => Err(Error::unsupported(
            format!("--quantity derivative for {label}, a {what}"),
            "∂/∂t cannot be computed for it",
            "Use --quantity secant.",
        )),
    }
}
