//! What can be known to be wrong from arguments, configurations and headers alone, before weights are read.

use super::plan::DEFAULT_TIMESTEPS;
use super::{Facts, Times};
use crate::checkpoint::{self, Declared};
use crate::error::{Error, Result};
use crate::model::{self, Opened, Said};
use crate::network::Takes;
use crate::of::{self, Of};
use crate::process::ProcessSpec;
use lipscope_core::cli::args::{ModuleInput, Share};
use lipscope_core::options::{DataOptions, MeasureOptions, Overrides};
use std::path::Path;
use tch::Device;

/// What each checkpoint declares; `None` for a closed form. It must fit what is asked of it.
pub(crate) fn declared<S: AsRef<str>>(
    checkpoints: &[S],
    overrides: &Overrides,
    data: &DataOptions,
) -> Result<Vec<Option<Declared>>> {
    let (said, overrides) = (Said::new(overrides, data)?, overrides.with_columns_of(data)?);
    let one = |name: &str| {
        if Opened::is_ideal(name) {
            return Ok(None);
        }
        let declared = checkpoint::declared(Path::new(name), &said.request(Device::Cpu))?;
        model::check_declared(&declared, &overrides, data.limit()?)?;
        Ok(Some(declared))
    };
    checkpoints.iter().map(|name| one(name.as_ref())).collect()
}

/// The same of commands that ask for ε(x, t), which `what` needs.
///
/// # Errors
/// As [`declared`]; and a forward process that is not Gaussian.
pub(crate) fn denoisers<S: AsRef<str>>(
    what: &str,
    checkpoints: &[S],
    overrides: &Overrides,
    data: &DataOptions,
) -> Result<Vec<Option<Declared>>> {
    overrides.schedule.as_ref().map(|spec| spec.gaussian(what)).transpose()?;
    if let Some(moves) = &overrides.moves {
        let allowed = format!("it is about changes and rates; in {what} all arguments of time follow t");
        return Err(Error::argument("--moves", moves, allowed, "Leave it out."));
    }
    let declared = declared(checkpoints, overrides, data)?;
    let own = declared.iter().flatten().filter_map(|declared| declared.schedule.as_ref());
    own.filter(|_| overrides.schedule.is_none()).try_for_each(|spec| spec.gaussian(what).map(|_| ()))?;
    Ok(declared)
}

/// As [`declared`], and the timesteps resolved against it; `shares` has one entry per checkpoint. The forward process that
/// is asked for, or that the first checkpoint names.
pub(super) fn check<S: AsRef<str>>(
    checkpoints: &[S],
    shares: &[Option<&Share>],
    options: &MeasureOptions,
    overrides: &Overrides,
) -> Result<Option<ProcessSpec>> {
    let mut all = Vec::new();
    let declared = declared(checkpoints, overrides, &options.data)?;
    let own = declared.iter().flatten().find_map(|declared| declared.schedule.clone());
    let process = overrides.schedule.clone().or(own);
    for ((checkpoint, share), declared) in checkpoints.iter().zip(shares).zip(declared) {
        let Some(declared) = declared else { continue };
        let is_random = |takes: &Takes| takes.inputs.iter().any(|input| matches!(input, ModuleInput::Normal(..)));
        if options.of == Some(Of::Spread) && declared.takes.as_ref().is_some_and(|takes| !is_random(takes)) {
            return Err(of::no_random_input(checkpoint.as_ref()));
        }
        let named = overrides.schedule.clone().or(declared.schedule);
        if let Some(spec) = named.as_ref().filter(|_| options.quantity.has_jacobian()) {
            // What `gaussian` says to do next is for commands without quantities.
            spec.gaussian("").map_err(|_| {
                let what = format!("--quantity {} under the process {spec}", options.quantity);
                let allowed = "derivatives in x are there for Gaussian noise, x_t = α x₀ + σ ε";
                Error::unsupported(what, allowed, "Use --quantity secant or derivative.")
            })?;
        }
        let timesteps = named.map_or(DEFAULT_TIMESTEPS, |spec| spec.timesteps());
        let own: Option<Share> = declared.share.as_deref().map(str::parse).transpose()?;
        let map = share.or(own.as_ref()).map(|share| share.map(timesteps)).transpose()?;
        let boundaries = map.map(|map| map.boundaries().to_vec()).unwrap_or_default();
        all.push(Facts { label: checkpoint.as_ref().into(), timesteps, boundaries });
    }
    if !all.is_empty() {
        Times::resolve(options, &all)?;
    }
    Ok(process)
}
