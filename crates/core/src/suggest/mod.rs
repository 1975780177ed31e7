//! From a measured curve to shared sub-intervals of E-TSDM (arXiv 2306.11251, section 4), with what each of them costs.
//!
//! All of it rests on one number per step, the Lipschitz mass K(s) = E‖ε(x_s, s+1) − ε(x_s, s)‖ of a model that shares
//! nothing, here per element (divided by √D: the noise itself then has size 1), and its sums M[a, b) = Σ_{a ≤ s < b} K(s).
//! What follows holds for the ideal ε; a measured network stands in for it.
//!
//! *Sharing error.* A network that shares its condition over the timesteps of [a, b) learns one function g for all of
//! them, the least-squares one. Compare it with the constant choice of the last condition, c = b−1:
//!
//! ```text
//! mean_t E‖g(x_t) − ε(x_t, t)‖² ≤ mean_t E‖ε(x_t, c) − ε(x_t, t)‖²          g is the least-squares choice
//! E‖ε(x_t, c) − ε(x_t, t)‖     ≤ Σ_{t ≤ s < c} E‖ε(x_t, s+1) − ε(x_t, s)‖    triangle inequality
//!                               ≤ M[t, b−1)                                   where x_t moves ε no more than x_s does, s > t
//! ```
//!
//! The last step holds for centred Gaussian data of variances up to 1, whose x_t spreads no more than x_s. So the root
//! mean square of M[t, b−1) over the sub-interval *bounds* the average sharing error, up to the ratio of a root mean square
//! over samples to a mean over samples: √(π/2) at most for Gaussian data, 1 + O(1/D) for images. At a single timestep g is
//! a mean of the ε(x, s) of its sub-interval, by Bayes' rule, with weights that depend on x, and so within M[a, b−1) of
//! ε(x, t) at one x: this, an *estimate from above* since masses are expectations over other x_s, is what `--max-error`
//! limits. It is 0 for a sub-interval of one step, and far from reached where x itself tells the noise level.
//!
//! *Error of x̂₀.* x̂₀ = (x − σ ε)/α, so an error of ε counts σ_t/α_t times, and since σ/α grows, that of the choice c is
//! (σ_t/α_t) M[t, b−1) ≤ Σ_{t ≤ s < b−1} (σ_s/α_s) K(s). In ε, g is better than c on average; in x̂₀ this is an estimate.
//!
//! *Jump.* For the same reason, where the next sub-interval is [b, c), the two functions differ by M[a, c−1) at most at one
//! x, and by M[a, b) where sharing ends at b: an *estimate from above* of K(b−1, b) after training. With all weights alike
//! the two means lie where half of the mass of their sub-intervals is. All of these are means of norms over samples, as masses
//! are; a root mean square over the same samples is larger. The *typical* jump is
//! M[a, b−1)/2 + K(b−1) + M[b, c−1)/2.

mod curve;
mod grid;
mod parts;
pub mod snippet;
mod split;
#[cfg(test)]
mod tests;

pub use curve::MeasuredCurve;
pub use split::{SPLITS, Split};

use crate::error::{Error, Result};
use crate::report::Report;
use crate::time::Timestep;
use serde::Serialize;

/// The paper's number of sub-intervals (section 5), and the part of T that they cover.
const PAPER_INTERVALS: usize = 5;
const PAPER_PART: usize = 10;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Label of the model; the first one otherwise.
    pub model: Option<&'a str>,
    /// t̃, where sharing ends; found from the curve otherwise.
    pub until: Option<u64>,
    /// t̃ is where K falls below so many times its median.
    pub level: f64,
    /// How [0, t̃) is cut.
    pub split: &'static Split,
    /// How many sub-intervals.
    pub number: Number,
    /// Network evaluations of a sampler's step grid.
    pub steps: Option<usize>,
}

/// What decides on the number of sub-intervals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// It is given.
    Fixed(usize),
    /// The smallest for which no sharing error and no jump exceeds these.
    Bounded {
        /// Largest sharing error, per element of ε.
        error: Option<f64>,
        /// Largest jump, per element of ε.
        jump: Option<f64>,
    },
}

/// What a curve comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suggestion {
    /// Label of the model whose curve it is.
    pub model: String,
    /// T.
    pub timesteps: usize,
    /// t̃, where sharing ends.
    pub until: Timestep,
    /// Why there.
    pub why_until: String,
    /// The suggestion.
    pub suggested: SharedIntervals,
    /// Others to compare it with: the other splits of as many sub-intervals, and the paper's.
    pub others: Vec<SharedIntervals>,
    /// Timesteps of a sampler, descending, with equal mass between neighbours; empty where none were asked for.
    pub step_grid: Vec<Timestep>,
    /// What the parts of ∂ε/∂t say, where the report tells them apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// What a reader must know.
    pub warnings: Vec<String>,
}

/// Shared sub-intervals and what they cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SharedIntervals {
    /// How [0, t̃) was cut: `mass`, `error`, `uniform` or `paper`.
    pub split: String,
    /// t₀ < … < t_n.
    pub boundaries: Vec<Timestep>,
    /// What each costs.
    pub intervals: Vec<Interval>,
}

/// One sub-interval. All numbers are per element: 1 is the size of the noise, or of data of variance 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Its first timestep, which is the condition of all.
    pub from: Timestep,
    /// Its end, excluded.
    pub until: Timestep,
    /// Sharing error at any of its timesteps, estimated from above.
    pub error_bound: f64,
    /// Bound of the sharing error in the root mean square over its timesteps.
    pub mean_error_bound: f64,
    /// What that does to x̂₀, for a network that answers all with the last timestep's ε.
    pub x0_error_bound: f64,
    /// Estimate from above of the jump at its end.
    pub jump_bound: f64,
    /// The jump at its end where its network is the plain mean over its timesteps.
    pub typical_jump: f64,
}

impl SharedIntervals {
    /// What sub-intervals between whole `boundaries` cost on a curve that covers them.
    pub fn new(split: &str, boundaries: Vec<Timestep>, curve: &MeasuredCurve) -> Self {
        let interval = |i: usize| {
            let (from, until) = (boundaries[i], boundaries[i + 1]);
            // Where sharing ends the network is asked for `until` itself: a sub-interval of one step.
            let after = boundaries.get(i + 2).copied().unwrap_or(until + 1.0);
            Interval::new(from, until, after, curve)
        };
        let intervals = (0..boundaries.len().saturating_sub(1)).map(interval).collect();
        SharedIntervals { split: split.into(), boundaries, intervals }
    }

    /// `0-3-9-20`, as `train --boundaries` takes them.
    pub fn typed(&self) -> String {
        self.boundaries.iter().map(f64::to_string).collect::<Vec<_>>().join("-")
    }

    /// The largest sharing error.
    pub fn largest_error(&self) -> f64 {
        self.intervals.iter().map(|interval| interval.error_bound).fold(0.0, f64::max)
    }

    /// The largest jump.
    pub fn largest_jump(&self) -> f64 {
        self.intervals.iter().map(|interval| interval.jump_bound).fold(0.0, f64::max)
    }
}

impl Interval {
    fn new(from: Timestep, until: Timestep, after: Timestep, curve: &MeasuredCurve) -> Self {
        let mass = |a: Timestep, b: Timestep| curve.mass.between(a, b.max(a));
        let last = until - 1.0;
        let steps = until - from;
        let squares: f64 = (0..steps as u64).map(|i| mass(from + i as f64, last).powi(2)).sum();
        Interval {
            from,
            until,
            error_bound: mass(from, last),
            mean_error_bound: (squares / steps).sqrt(),
            x0_error_bound: curve.x0_mass.between(from, last.max(from)),
            jump_bound: mass(from, after - 1.0),
            typical_jump: 0.5 * mass(from, last) + mass(last, until) + 0.5 * mass(until, after - 1.0),
        }
    }
}

/// Suggests sub-intervals from a report.
///
/// # Errors
///
/// The report has no usable curve of secants, its K does not rise near 0 and no t̃ was given, or a bound cannot be kept.
pub fn suggest(report: &Report, wanted: &Wanted) -> Result<Suggestion> {
    let curve = MeasuredCurve::read(report, wanted.model)?;
    let (until, why_until) = match wanted.until {
        Some(until) => (until as f64, "as given".to_string()),
        None => curve.falls_below(wanted.level)?,
    };
    curve.covers(until)?;
    let cut = |split: &Split, n: usize| {
        SharedIntervals::new(split.name, (split.boundaries)(&curve, until as usize, n), &curve)
    };
    let suggested = number(wanted, until as usize, |n| cut(wanted.split, n))?;
    let n = suggested.intervals.len();
    let mut others: Vec<SharedIntervals> =
        SPLITS.iter().filter(|split| split.name != wanted.split.name).map(|split| cut(split, n)).collect();
    others.extend(paper(&curve));
    let step_grid = wanted.steps.map(|steps| curve.step_grid(steps)).transpose()?.unwrap_or_default();
    Ok(Suggestion {
        model: curve.label.clone(),
        timesteps: curve.timesteps,
        until,
        why_until,
        warnings: curve.warnings(until, &step_grid),
        remedy: report.models.iter().find(|model| model.label == curve.label).and_then(parts::remedy),
        suggested,
        others,
        step_grid,
    })
}

/// n = 5 equal sub-intervals of the first tenth of T, where the curve covers them.
fn paper(curve: &MeasuredCurve) -> Option<SharedIntervals> {
    let until = curve.timesteps / PAPER_PART;
    (until >= PAPER_INTERVALS && curve.covers(until as f64).is_ok())
        .then(|| SharedIntervals::new("paper", split::uniform(curve, until, PAPER_INTERVALS), curve))
}

/// The sub-intervals that the wanted number, or the wanted bounds, lead to.
fn number(wanted: &Wanted, until: usize, cut: impl Fn(usize) -> SharedIntervals) -> Result<SharedIntervals> {
    let (error, jump) = match wanted.number {
        Number::Fixed(n) if n == 0 || n > until => {
            let allowed = format!("there are {until} timesteps to be shared");
            return Err(Error::argument("--intervals", n, allowed, format!("Give 1 to {until}.")));
        }
        Number::Fixed(n) => return Ok(cut(n)),
        Number::Bounded { error, jump } => (error.unwrap_or(f64::INFINITY), jump.unwrap_or(f64::INFINITY)),
    };
    let kept = |shared: &SharedIntervals| shared.largest_error() <= error && shared.largest_jump() <= jump;
    if let Some(shared) = (1..=until).map(&cut).find(kept) {
        return Ok(shared);
    }
    let least = cut(until).largest_jump();
    Err(Error::argument(
        "--max-jump",
        jump,
        format!("the curve itself moves by {least:.3} within one step before t = {until}"),
        format!("Give {least:.3} or more, or share nothing."),
    ))
}
