//! `lipscope compare BASE CANDIDATE…`.

use super::args::{CompareArgs, Global, Share};
use super::{Outcome, job, prepare};
use crate::error::{Error, Result};
use crate::estimator::Quantity;
use crate::report::{ModelReport, Report};

/// Several checkpoints on identical x_t.
pub(super) fn run(args: &CompareArgs, global: &Global) -> Result<Option<Outcome>> {
    let report = compare(args, global)?;
    let wanted = args.require_reduction;
    Ok(report.zip(wanted).and_then(|(report, wanted)| check(&report, wanted)).map(Outcome::CheckFailed))
}

/// The comparison, measured and written; `None` of a dry run.
pub(super) fn compare(args: &CompareArgs, global: &Global) -> Result<Option<Report>> {
    let arguments: Vec<&String> = std::iter::once(&args.baseline).chain(&args.candidates).collect();
    if let Some(wanted) = args.require_reduction.filter(|wanted| !(0.0..=1.0).contains(wanted)) {
        let next = "For example --require-reduction 0.5.";
        return Err(Error::argument("--require-reduction", wanted, "it lies between 0 and 1", next));
    }
    let arithmetic = prepare::arithmetic(global, args.model.dtype)?;
    let opened = prepare::open_all(&arguments, &args.label, &args.options.data, &args.model, arithmetic.0)?;
    // Foreign checkpoints do not say how they share: --share is laid over the candidates, not over the baseline.
    let share = args.model.share.as_ref();
    let shares: Vec<Option<&Share>> = (0..arguments.len()).map(|i| share.filter(|_| i > 0)).collect();
    let prepared = prepare::prepare("compare", opened, &shares, (&args.options, &args.model), arithmetic, global.seed)?;
    if job::dry_run(&prepared, global)? {
        return Ok(None);
    }
    job::carry_out(prepared, global).map(Some)
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
             from t = 0 to the end of the window",
            baseline.label, candidate.label
        )),
    })
}

fn total_variation(model: &ModelReport) -> Option<f64> {
    model.summary.iter().find(|summary| summary.quantity == Quantity::Secant)?.near_zero.total_variation
}
