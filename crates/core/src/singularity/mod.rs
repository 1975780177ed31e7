//! Does a curve blow up as t → 0, how fast, and because of what?
//!
//! Near 0 a curve is fitted by K ∝ s^p with s = t + 1 the steps of noise (the middle of the step for a secant), over one
//! decade and a fifth from the first measured timestep. p is the slope at the *lower end* of that range, with bends and
//! oscillations allowed for (`slope`): a curve that rises towards 0 and levels off before it is bounded, whatever a line
//! through all of it says. Single points that are far off their neighbours are left out.
//!
//! Under a process that has no σ (one with auxiliary variables) only the first fit is there, and no cause is told.
//!
//! The grid ends at s = 1, and the fit says nothing about what lies below. Where K per σ is level and dσ/dt → ∞ at the clean
//! sample, K may go on rising below the grid although it hardly does on it: such a curve is inconclusive (`cut_off`). One
//! that does not rise at all is no evidence of a blow-up.
//!
//! Two causes are told apart by measuring the same curve against σ. With K_σ = K·|da/dσ|:
//! * *schedule*: K blows up and K_σ does not; then dσ/dt does;
//! * *data*: K_σ blows up as well: data near a low-dimensional manifold, and a score that grows like 1/σ.
//!
//! t → 0 is the end at which σ → 0 in every schedule; a network whose own time runs from noise to data is told another
//! number (`1-unit`), and its curve stands over the same t. Where the steps belong to the sampling and not to the model
//! ([`NoiseSchedule::has_steps`](crate::schedule::NoiseSchedule::has_steps)), s = t + 1 counts nothing: there σ itself is s,
//! and the verdict is about K_σ as σ → 0 ([`Over::Sigma`]).

mod slope;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use slope::{LowerEnd, lower_end};

/// Points further from 0 than this times the first one are left out: 1.2 decades.
const REACH: f64 = 16.0;
/// Fewer points give no slope worth the name.
const FEWEST: usize = 5;
/// A curve whose first timestep lies beyond this says nothing about t → 0.
const NEAREST: f64 = 2.0;
/// A curve that is at least this likely to be flattening towards 0 is not called singular.
const FLATTENING: f64 = 0.2;
/// Flattening that is at least this likely is reported.
const CLEAR: f64 = 0.9;
/// A point is left out where it is off its neighbours by this many times what is usual, and by a factor of two.
const OUTLYING: f64 = 8.0;
/// A curve dips where it falls by this factor and rises by it again.
const DIP: f64 = 3.0;
/// A curve that falls less steeply than s^−0.1 towards larger s counts as bounded.
const THRESHOLD: f64 = -0.1;

/// What a curve is a power of near the data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// K ∝ s^p in the steps of noise s.
    #[default]
    Steps,
    /// K per σ ∝ σ^p, under a schedule whose steps belong to the sampling.
    Sigma,
}

impl Over {
    fn is_steps(&self) -> bool {
        *self == Over::Steps
    }
}

/// What is said about a curve near 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Singularity {
    /// What the curve is a power of.
    #[serde(default, skip_serializing_if = "Over::is_steps")]
    pub over: Over,
    /// p at the first timesteps: of K ∝ s^p, or of K per σ ∝ σ^p.
    pub exponent: f64,
    /// Its 95 % interval.
    pub exponent_ci: (f64, f64),
    /// Whether the curve blows up on the range.
    pub verdict: Verdict,
    /// Because of what.
    pub driver: Driver,
    /// p of the same curve per σ; `None` under a process that has no σ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exponent_per_sigma: Option<f64>,
    /// First and last timestep of the fit.
    pub range: (f64, f64),
    /// Whether the grid may end before a blow-up shows: K rises less than s^−0.1 towards 0, but K per σ is level and dσ/dt
    /// is infinite at the clean sample. The verdict is then inconclusive.
    #[serde(default)]
    pub cut_off: bool,
    /// The timestep, or the σ, below which the curve flattens, where that is clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flattens_below: Option<f64>,
}

/// Whether a curve blows up towards t = 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The whole interval of the exponent lies below −0.1, and the curve does not flatten towards 0.
    Singular,
    /// The whole interval lies above −0.1: on the grid the curve does not blow up.
    Bounded,
    /// Neither.
    Inconclusive,
}

/// What makes a curve blow up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// dσ/dt.
    Schedule,
    /// The score: it blows up per σ as well.
    Data,
    /// The curve does not blow up, or its cause cannot be told.
    Unknown,
}

/// One timestep of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// t in steps.
    pub t: f64,
    /// s: steps of noise at t, or in the middle between t and t′; or σ there.
    pub steps: f64,
    /// The curve; per σ where s is σ.
    pub value: f64,
    /// The same curve per σ; `None` under a process that has no σ.
    pub per_sigma: Option<f64>,
}

/// The verdict on a curve in ascending order of t; `None` where there are too few points above 0 near t = 0. `steep` is
/// whether the schedule has dσ/dt → ∞ at the clean sample.
pub fn judge(samples: &[Sample], over: Over, steep: bool) -> Option<Singularity> {
    let first = samples.first().filter(|first| first.t <= NEAREST)?.steps;
    let near: Vec<Sample> = (samples.iter().copied())
        .filter(|sample| sample.steps <= REACH * first)
        .filter(|sample| [Some(sample.value), sample.per_sigma].into_iter().flatten().all(is_positive))
        .collect();
    let near = without_outliers(&near);
    let near = if over.is_steps() { near } else { before_dip(near) };
    if near.len() < FEWEST {
        return None;
    }
    // Steps are counted from 1, and σ in units of the first one.
    let unit = if over.is_steps() { 1.0 } else { first };
    let logs = |of: fn(&Sample) -> Option<f64>| -> Option<Vec<(f64, f64)>> {
        near.iter().map(|sample| Some((sample.steps / unit, of(sample)?.ln()))).collect()
    };
    let curve = lower_end(&logs(|sample| Some(sample.value))?)?;
    let per_sigma = match logs(|sample| sample.per_sigma) {
        Some(logs) => Some(lower_end(&logs)?),
        None => None,
    };
    let level = per_sigma.as_ref().is_some_and(|end| end.interval.0 > THRESHOLD && end.interval.1 < -THRESHOLD);
    let fitted = verdict(&curve);
    let cut_off = fitted == Verdict::Bounded && curve.interval.1 < 0.0 && level && steep;
    let verdict = if cut_off { Verdict::Inconclusive } else { fitted };
    let driver = match (verdict, per_sigma.as_ref().map(self::verdict)) {
        // Data near points does it, and so does a network that is told ln σ.
        _ if over == Over::Sigma => Driver::Unknown,
        (Verdict::Singular, Some(Verdict::Bounded)) => Driver::Schedule,
        (Verdict::Singular, Some(Verdict::Singular)) => Driver::Data,
        _ => Driver::Unknown,
    };
    // s = t + 1, or the middle of a step that begins at t.
    let offset = near.first()?.steps - near.first()?.t;
    let flattens = |place: f64| if over.is_steps() { (place - offset).max(0.0) } else { place * unit };
    Some(Singularity {
        over,
        exponent: curve.slope,
        exponent_ci: curve.interval,
        verdict,
        driver,
        exponent_per_sigma: per_sigma.map(|end| end.slope),
        range: (near.first()?.t, near.last()?.t),
        cut_off,
        flattens_below: curve.flattens.filter(|_| curve.flattening > CLEAR).map(flattens),
    })
}

fn is_positive(number: f64) -> bool {
    number > 0.0 && number.is_finite()
}

fn verdict(end: &LowerEnd) -> Verdict {
    let (low, high) = end.interval;
    if high < THRESHOLD && end.flattening < FLATTENING {
        Verdict::Singular
    } else if low > THRESHOLD {
        Verdict::Bounded
    } else {
        Verdict::Inconclusive
    }
}

/// The part well below a dip: where the rate of ε changes its sign, its norm falls to 0 and rises again, as it does at the
/// spread of Gaussian data, and no power describes that.
fn before_dip(samples: Vec<Sample>) -> Vec<Sample> {
    let Some(lowest) = (0..samples.len()).min_by(|&a, &b| samples[a].value.total_cmp(&samples[b].value)) else {
        return samples;
    };
    let dip = samples[lowest];
    let rises = samples[lowest..].iter().any(|sample| sample.value > DIP * dip.value);
    let falls = samples[..lowest].iter().any(|sample| sample.value > DIP * dip.value);
    if !(rises && falls) {
        return samples;
    }
    samples.into_iter().filter(|sample| sample.steps <= dip.steps / 2.0).collect()
}

/// Without the points whose logarithm is far off the line between its two neighbours, by the median of all distances.
fn without_outliers(samples: &[Sample]) -> Vec<Sample> {
    let distance = |three: &[Sample]| {
        let [a, b, c] = [0, 1, 2].map(|i| (three[i].steps.ln(), three[i].value.ln()));
        (b.1 - a.1 - (c.1 - a.1) * (b.0 - a.0) / (c.0 - a.0)).abs()
    };
    let inner: Vec<f64> = samples.windows(3).map(distance).collect();
    let limit = 2f64.ln() + OUTLYING * crate::stats::median(&inner).unwrap_or(0.0);
    // A point that is off bends the lines of its neighbours too, by less than its own.
    let outlying = |i: usize| {
        let at = |i: Option<usize>| i.and_then(|i| inner.get(i)).copied().unwrap_or(0.0);
        at(Some(i)) > limit && at(Some(i)) >= at(i.checked_sub(1)).max(at(Some(i + 1)))
    };
    let kept = |i: &usize| i.checked_sub(1).is_none_or(|i| !outlying(i));
    (0..samples.len()).filter(kept).map(|i| samples[i]).collect()
}
