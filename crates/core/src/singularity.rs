//! Does a curve blow up as t → 0, how fast, and because of what?
//!
//! Near 0 a curve is fitted by K ∝ s^p with s = t + 1 the steps of noise (the middle of the step for a secant), over one
//! decade and a fifth from the first measured timestep. The slope is Theil and Sen's, the median over all pairs of points,
//! with Sen's rank interval: single points that are off do not move it. The grid ends at s = 1, and the fit says nothing
//! about what lies below; but the schedule is known there. Where K per σ is level and dσ/dt → ∞ at the clean sample, K
//! blows up with it, though β may grow too fast on the grid for the fit to show it (`cut_off`).
//!
//! Two causes are told apart by measuring the same curve against σ. With K_σ = K·|da/dσ|:
//! * *schedule*: K blows up and K_σ does not; then dσ/dt does;
//! * *data*: K_σ blows up as well: data near a low-dimensional manifold, and a score that grows like 1/σ.

use serde::{Deserialize, Serialize};

/// Points further from 0 than this times the first one are left out: 1.2 decades.
const REACH: f64 = 16.0;
/// Fewer points give no slope worth the name.
const FEWEST: usize = 5;
/// A curve that falls less steeply than s^−0.1 towards larger s counts as bounded.
const THRESHOLD: f64 = -0.1;

/// What is said about a curve near 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Singularity {
    /// p in K ∝ s^p.
    pub exponent: f64,
    /// Its 95 % interval.
    pub exponent_ci: (f64, f64),
    /// Whether the curve blows up on the range.
    pub verdict: Verdict,
    /// Because of what.
    pub driver: Driver,
    /// p of the same curve per σ.
    pub exponent_per_sigma: f64,
    /// First and last timestep of the fit.
    pub range: (f64, f64),
    /// Whether the blow-up follows from K per σ and the schedule alone: the grid ends before the fit shows it.
    #[serde(default)]
    pub cut_off: bool,
}

/// Whether a curve blows up towards t = 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The whole interval of the exponent lies below −0.1, or that follows from the schedule.
    Singular,
    /// The whole interval lies above −0.1.
    Bounded,
    /// It straddles −0.1.
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
    /// s: steps of noise at t, or in the middle between t and t′.
    pub steps: f64,
    /// The curve.
    pub value: f64,
    /// The same curve per σ.
    pub per_sigma: f64,
}

/// The verdict on a curve; `None` where there are too few points above 0 near t = 0. `steep` is whether the schedule has
/// dσ/dt → ∞ at the clean sample.
pub fn judge(samples: &[Sample], steep: bool) -> Option<Singularity> {
    let first = samples.iter().map(|sample| sample.steps).fold(f64::INFINITY, f64::min);
    let near: Vec<&Sample> = samples
        .iter()
        .filter(|sample| sample.steps <= REACH * first && sample.value > 0.0 && sample.per_sigma > 0.0)
        .filter(|sample| sample.value.is_finite() && sample.per_sigma.is_finite())
        .collect();
    if near.len() < FEWEST {
        return None;
    }
    let logs = |of: fn(&Sample) -> f64| near.iter().map(|s| (s.steps.ln(), of(s).ln())).collect::<Vec<(f64, f64)>>();
    let (exponent, exponent_ci) = theil_sen(&logs(|sample| sample.value))?;
    let (exponent_per_sigma, per_sigma_ci) = theil_sen(&logs(|sample| sample.per_sigma))?;
    let level = per_sigma_ci.0 > THRESHOLD && per_sigma_ci.1 < -THRESHOLD;
    let fitted = verdict(exponent_ci);
    let cut_off = fitted != Verdict::Singular && level && steep;
    let verdict = if cut_off { Verdict::Singular } else { fitted };
    let driver = match (verdict, self::verdict(per_sigma_ci)) {
        (Verdict::Singular, Verdict::Bounded) => Driver::Schedule,
        (Verdict::Singular, Verdict::Singular) => Driver::Data,
        _ => Driver::Unknown,
    };
    let range = (near.first()?.t, near.last()?.t);
    Some(Singularity { exponent, exponent_ci, verdict, driver, exponent_per_sigma, range, cut_off })
}

fn verdict((low, high): (f64, f64)) -> Verdict {
    if high < THRESHOLD {
        Verdict::Singular
    } else if low > THRESHOLD {
        Verdict::Bounded
    } else {
        Verdict::Inconclusive
    }
}

/// The median slope over all pairs, and Sen's 95 % interval: the slopes at ranks (N ∓ 1.96 √(n(n−1)(2n+5)/18))/2.
fn theil_sen(points: &[(f64, f64)]) -> Option<(f64, (f64, f64))> {
    let mut slopes: Vec<f64> = Vec::new();
    for (i, a) in points.iter().enumerate() {
        slopes.extend(points[i + 1..].iter().filter(|b| b.0 != a.0).map(|b| (b.1 - a.1) / (b.0 - a.0)));
    }
    slopes.sort_by(f64::total_cmp);
    let median = crate::stats::median(&slopes)?;
    let n = points.len() as f64;
    let spread = 1.96 * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let count = slopes.len() as f64;
    let rank = |rank: f64| slopes[(rank.round().max(0.0) as usize).min(slopes.len() - 1)];
    Some((median, (rank((count - spread) / 2.0 - 1.0), rank((count + spread) / 2.0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::mean_norm;
    use crate::schedule;

    /// D(t) of N(0, variance) in closed form: E‖√V z d(σ/V)/dt‖, and per σ.
    fn gaussian(name: &str, variance: f64) -> Singularity {
        let schedule = schedule::parse(name).unwrap();
        let samples: Vec<Sample> = (0..40)
            .map(|t| {
                let level = schedule.level(f64::from(t));
                let v = level.alpha.powi(2) * variance + level.sigma.powi(2);
                let d_v = 2.0 * (level.alpha * level.d_alpha * variance + level.sigma * level.d_sigma);
                let rate = level.d_sigma / v - level.sigma * d_v / (v * v);
                let value = mean_norm(&[0.0], &[rate * rate * v]);
                Sample { t: f64::from(t), steps: f64::from(t) + 1.0, value, per_sigma: value / level.d_sigma.abs() }
            })
            .collect();
        judge(&samples, schedule.d_sigma_dt(-1.0).is_infinite()).unwrap()
    }

    #[test]
    fn variance_preserving_linear_is_singular_by_its_schedule_with_one_half() {
        // The continuous limit: the same β(u) du on a grid a thousand times as fine, whose first steps are in the √t regime.
        let fine = gaussian("linear:timesteps=1000000,beta-start=1e-7,beta-end=2e-5", 0.25);
        assert!((fine.exponent + 0.5).abs() < 0.01, "{fine:?}");
        assert_eq!((fine.verdict, fine.driver), (Verdict::Singular, Driver::Schedule));
        assert!(!fine.cut_off);
        // On the usual grid β doubles within five steps, which flattens the fit; the verdict is the same.
        for name in ["linear", "scaled-linear", "quadratic", "cosine"] {
            let usual = gaussian(name, 0.25);
            assert_eq!((usual.verdict, usual.driver), (Verdict::Singular, Driver::Schedule), "{name} {usual:?}");
            assert!(usual.exponent_ci.0 <= usual.exponent && usual.exponent <= usual.exponent_ci.1);
        }
    }

    #[test]
    fn trigflow_and_flow_are_bounded() {
        for name in ["trigflow", "flow", "linear:timesteps=1000000,beta-start=1e-7,beta-end=2e-5,flat-until=1000"] {
            let found = gaussian(name, 0.25);
            assert_eq!((found.verdict, found.driver), (Verdict::Bounded, Driver::Unknown), "{name} {found:?}");
        }
    }

    #[test]
    fn data_near_a_manifold_is_singular_whatever_the_schedule() {
        for name in ["trigflow", "flow", "linear"] {
            let found = gaussian(name, 1e-8);
            assert_eq!((found.verdict, found.driver), (Verdict::Singular, Driver::Data), "{name} {found:?}");
        }
        // With σ = u the score grows like 1/σ: an exponent of −1.
        assert!((gaussian("flow", 1e-8).exponent + 1.0).abs() < 0.05);
    }

    #[test]
    fn single_points_do_not_move_it_and_noise_is_said() {
        let sample = |t: i32, noise: f64| {
            let value = (f64::from(t) + 1.0).powf(-0.5) * noise.exp();
            Sample { t: f64::from(t), steps: f64::from(t) + 1.0, value, per_sigma: 1.0 }
        };
        let mut samples: Vec<Sample> = (0..16).map(|t| sample(t, 0.0)).collect();
        samples[3].value *= 50.0;
        let found = judge(&samples, false).unwrap();
        assert!((found.exponent + 0.5).abs() < 0.02 && found.driver == Driver::Schedule, "{found:?}");
        let noisy: Vec<Sample> = (0..16).map(|t| sample(t, 2.0 * f64::from(t * 7 % 5))).collect();
        assert_eq!(judge(&noisy, false).unwrap().verdict, Verdict::Inconclusive);
        assert_eq!(judge(&samples[..3], true), None);
        let zeros: Vec<Sample> = samples.iter().map(|s| Sample { value: 0.0, ..*s }).collect();
        assert_eq!(judge(&zeros, true), None);
    }

    /// Slopes of t² between whole t are sums of two of them: the 6th and the 23rd of 28 are 4 and 10, by Sen's table.
    #[test]
    fn slopes_and_their_interval_are_those_of_sen() {
        let points: Vec<(f64, f64)> = (0..8).map(f64::from).map(|t| (t, t * t)).collect();
        assert_eq!(theil_sen(&points), Some((7.0, (4.0, 10.0))));
    }

    fn power(value: f64, per_sigma: f64) -> Vec<Sample> {
        let sample = |t: f64| {
            let s = t + 1.0;
            Sample { t, steps: s, value: s.powf(value), per_sigma: s.powf(per_sigma) }
        };
        (0..40).map(f64::from).map(sample).collect()
    }

    #[test]
    fn the_fit_ends_where_it_says() {
        let mut samples = power(-0.5, 0.0);
        // What lies at and behind 16 times the first s is no part of it.
        samples[16..].iter_mut().for_each(|sample| sample.value = 1.0);
        let found = judge(&samples, false).unwrap();
        assert_eq!(found.range, (0.0, 15.0));
        assert!((found.exponent + 0.5).abs() < 1e-12 && found.exponent_per_sigma.abs() < 1e-12, "{found:?}");
    }

    /// A steep schedule alone makes a level curve singular, and only where K per σ is level too.
    #[test]
    fn what_the_grid_cuts_off_follows_from_the_schedule() {
        let verdict = |per_sigma: f64, steep: bool| {
            let found = judge(&power(0.0, per_sigma), steep).unwrap();
            (found.verdict, found.driver, found.cut_off)
        };
        assert_eq!(verdict(0.0, true), (Verdict::Singular, Driver::Schedule, true));
        assert_eq!(verdict(0.0, false), (Verdict::Bounded, Driver::Unknown, false));
        for per_sigma in [0.5, -0.5] {
            assert_eq!(verdict(per_sigma, true), (Verdict::Bounded, Driver::Unknown, false), "{per_sigma}");
        }
        // What the fit shows itself is not cut off.
        let found = judge(&power(-0.5, 0.0), true).unwrap();
        assert_eq!((found.verdict, found.cut_off), (Verdict::Singular, false));
    }
}
