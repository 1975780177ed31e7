//! `lipscope compare BASE CANDIDATE…`.

use super::curves::curves;
use super::setup::setup;
use crate::error::{Error, Result};
use crate::estimator::Quantity;
use crate::report::{ModelReport, Report};
use crate::run::Measurement;
use lipscope_core::cli::Outcome;
use lipscope_core::cli::args::{CompareArgs, Global};

/// Several checkpoints on identical x_t.
pub(super) fn run(args: &CompareArgs, global: &Global) -> Result<Option<Outcome>> {
    let report = curves(measurement(args, global)?, &args.output, global)?;
    let wanted = args.require_reduction;
    Ok(report.zip(wanted).and_then(|(report, wanted)| check(&report, wanted)).map(Outcome::CheckFailed))
}

/// What is to be measured.
pub(super) fn measurement(args: &CompareArgs, global: &Global) -> Result<Measurement> {
    if let Some(wanted) = args.require_reduction.filter(|wanted| !(0.0..=1.0).contains(wanted)) {
        let next = "For example --require-reduction 0.5.";
        return Err(Error::argument("--require-reduction", wanted, "it lies between 0 and 1", next));
    }
    let CompareArgs { baseline, candidates, label, options, model, .. } = args;
    let checkpoints: Vec<&String> = std::iter::once(baseline).chain(candidates).collect();
    Measurement::of_checkpoints(&checkpoints, label, options, model, &setup(global))
}

/// Why the required reduction does not hold, if it does not.
fn check(report: &Report, wanted: f64) -> Option<String> {
    let (baseline, candidates) = report.models.split_first()?;
    candidates.iter().find_map(|candidate| match (total_variation(baseline), total_variation(candidate)) {
        (Some(base), Some(with)) if base > 0.0 => {
            let reduction = 1.0 - with / base;
            (reduction < wanted).then(|| {
                format!(
                    "{}'s total variation near 0 is {:.1} % lower than {}'s ({with:.4} against {base:.4}); {:.1} % was \
                     required",
                    candidate.label,
                    100.0 * reduction,
                    baseline.label,
                    100.0 * wanted
                )
            })
        }
        _ => Some(format!(
            "the total variation near 0 of {} and {} cannot be compared: measure secants with --dt 1 on --axis step, \
             from t = 0 to the end of the window, every jump of shared timesteps among them (--timesteps auto or all)",
            baseline.label, candidate.label
        )),
    })
}

fn total_variation(model: &ModelReport) -> Option<f64> {
    model.summary.iter().find(|summary| summary.quantity == Quantity::Secant)?.near_zero.total_variation
}
