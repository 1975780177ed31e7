//! What is left of the data at the last timesteps, from a sweep of the excess.

use super::Plan;
use crate::estimator::{Quantities, Quantity};
use crate::of::Of;
use crate::process::ForwardProcess;
use crate::report::{Curve, Terminal, Warning};
use crate::schedule::NoiseSchedule;
use crate::terminal::{DataMoments, divergences, timestep_below};
use crate::time::Timestep;

/// The divergences whose timestep is told.
const THRESHOLDS: [(&str, f64); 3] = [("1e-2", 1e-2), ("1e-3", 1e-3), ("1e-4", 1e-4)];

/// By how much α² + σ² may differ from 1.
const VARIANCE: f64 = 1e-6;

/// Whether a plan tells it.
pub(super) fn is_asked(plan: &Plan) -> bool {
    plan.of == Of::Excess && plan.quantity == Quantities::Size
}

/// The warning that it is left out for a model whose process is not variance preserving.
pub(super) fn refusal(label: &str, process: &dyn ForwardProcess) -> Option<Warning> {
    let message = "the divergence from N(0, I) is told of variance-preserving processes only (α² + σ² = 1): another one \
                   does not end there, so the summary has no `terminal`.";
    preserved(process).is_none().then(|| Warning::Note { model: label.into(), message: message.into() })
}

/// The schedule of a variance-preserving process.
fn preserved(process: &dyn ForwardProcess) -> Option<&dyn NoiseSchedule> {
    let schedule = process.gaussian()?;
    let last = (schedule.timesteps() - 1) as f64;
    let is_preserved = |t: Timestep| (schedule.alpha(t).powi(2) + schedule.sigma(t).powi(2) - 1.0).abs() < VARIANCE;
    [0.0, last / 3.0, last / 2.0, last].into_iter().all(is_preserved).then_some(schedule)
}

/// What a curve of the size of the excess says; `None` for another process, and for a curve without points.
pub(super) fn terminal(curve: &Curve, process: &dyn ForwardProcess, data: Option<&DataMoments>) -> Option<Terminal> {
    let schedule = preserved(process).filter(|_| curve.quantity == Quantity::Size && curve.block.is_none())?;
    let measured = curve.points.iter().filter_map(|point| Some((point.timestep, point.mean_square?)));
    let measured: Vec<_> = measured.collect();
    let (timestep, square) = *measured.last()?;
    let information: Vec<(Timestep, f64)> = measured.iter().map(|(t, square)| (*t, square.mean)).collect();
    let kl = divergences(&information, schedule, data);
    // Without any signal nothing is left: a threshold is reached there at the latest.
    let gone = (schedule.alpha(timestep) == 0.0).then_some(timestep);
    let below = THRESHOLDS.map(|(name, threshold)| (name.to_string(), timestep_below(&kl, threshold).or(gone)));
    let alpha_bar = schedule.alpha_bar(timestep);
    let by_data = |data: &DataMoments| {
        let first = |bound: &dyn Fn(f64) -> f64, threshold: f64| {
            let steps: Vec<(Timestep, f64)> =
                (0..schedule.timesteps()).map(|t| t as f64).map(|t| (t, bound(schedule.alpha_bar(t)))).collect();
            timestep_below(&steps, threshold)
        };
        let bounds = |threshold| (first(&|a| data.kl_lower(a), threshold), first(&|a| data.kl_upper(a), threshold));
        THRESHOLDS.map(|(name, threshold)| (name.to_string(), bounds(threshold))).into()
    };
    Some(Terminal {
        timestep,
        kl_bound: 0.5 * square.mean,
        kl_bound_ci: square.ci_low.zip(square.ci_high).map(|(low, high)| (0.5 * low, 0.5 * high)),
        kl_lower: data.map(|data| data.kl_lower(alpha_bar)),
        kl_upper: data.map(|data| data.kl_upper(alpha_bar)),
        timestep_for: below.into(),
        timestep_for_data: data.map(by_data).unwrap_or_default(),
    })
}
