//! How many samples a timestep gets.

use crate::control_variates::{Control, controlled};
use crate::stats::Moments;
use serde::{Deserialize, Serialize};

/// How many samples a timestep gets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SampleRule {
    /// So many.
    Fixed {
        /// Number of (x₀, ε) pairs.
        samples: u64,
    },
    /// As many as it takes until every model's standard error is below `target` times its mean, skewness allowed for, and
    /// its norms are not too skewed for their number.
    RelativeError {
        /// Wanted relative standard error.
        target: f64,
        /// Where to give up.
        most: u64,
    },
}

/// Samples come in steps of this many.
const STEP: u64 = 8;
/// Samples before a spread is believed.
const FIRST: u64 = 24;

impl SampleRule {
    /// How many samples come before the first look.
    pub fn first_round(&self) -> u64 {
        match *self {
            SampleRule::Fixed { samples } => samples,
            SampleRule::RelativeError { most, .. } => FIRST.min(most),
        }
    }

    /// After `done` samples: how many are needed in all before the next look, or `None` where these suffice. The error
    /// falls like 1/√n, and the spread of few samples is not to be trusted far: it is small where chance has left the
    /// large ones out, and stopping there would make the mean too low. Neither depends on the batch size.
    pub fn next_round(&self, done: u64, norms: &[&[f64]], control: &Control) -> Option<u64> {
        match *self {
            SampleRule::Fixed { samples } => (done < samples).then_some(samples),
            SampleRule::RelativeError { most, .. } if done >= most => None,
            SampleRule::RelativeError { target, most } => {
                let needed = norms.iter().filter_map(|values| needed(done, values, control, target)).max()?;
                let step = |samples: u64| samples.div_ceil(STEP) * STEP;
                Some(step(needed.min(most)).clamp(step(done + 1), step(2 * done)).min(most))
            }
        }
    }
}

/// How many samples these norms need in all; `None` where they are enough.
fn needed(done: u64, values: &[f64], control: &Control, target: f64) -> Option<u64> {
    let (_, adjusted) = controlled(values, control);
    let finite: Vec<f64> = adjusted.values.iter().copied().filter(|value| value.is_finite()).collect();
    let Some(moments) = Moments::new(&finite, adjusted.fitted) else { return Some(u64::MAX) };
    // All norms are 0, or all are alike.
    if moments.std_error == 0.0 {
        return None;
    }
    let relative = if moments.mean > 0.0 { moments.cautious_error() / moments.mean } else { f64::INFINITY };
    // Half of the wanted error leaves room for what skewness may hide.
    if 2.0 * relative <= target {
        return None;
    }
    let for_error = (done as f64 * (relative / target).powi(2)).ceil() as u64;
    let for_error = (relative > target).then_some(for_error);
    for_error.into_iter().chain(moments.needed()).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use crate::stats::statistics;
    use rand_distr::{Distribution, StandardNormal};

    /// Norms e^{σz} one after the other, and how many of them the rule takes.
    fn taken(sigma: f64, target: f64, seed: u64) -> Vec<f64> {
        let (rule, mut rng) =
            (SampleRule::RelativeError { target, most: 100_000 }, stream(seed, Purpose::Noise, 0.0, 0));
        let control = Control { covariates: Vec::new(), expected: None };
        let (mut norms, mut wanted) = (Vec::new(), Some(rule.first_round()));
        while let Some(samples) = wanted {
            norms.extend((norms.len() as u64..samples).map(|_| {
                let normal: f64 = StandardNormal.sample(&mut rng);
                (sigma * normal).exp()
            }));
            wanted = rule.next_round(samples, &[&norms], &control);
        }
        norms
    }

    /// What chance has left out is not taken for a small error: intervals hold the mean e^{σ²/2}, and it is not too low.
    #[test]
    fn stopping_does_not_choose_small_errors() {
        for (sigma, target, bias) in [(0.1, 0.02, 0.004), (0.5, 0.05, 0.01), (1.0, 0.1, 0.03)] {
            let (trials, truth) = (400, f64::exp(sigma * sigma / 2.0));
            let (mut covered, mut mean) = (0, 0.0);
            for seed in 0..trials {
                let found = statistics(&taken(sigma, target, seed));
                let (low, high) = found.interval.unwrap();
                covered += u32::from(low <= truth && truth <= high);
                mean += found.mean.unwrap() / truth / trials as f64;
            }
            // 95 % of 400 is 380, with a standard deviation of 4.4.
            assert!((362..=396).contains(&covered), "σ = {sigma}: {covered}");
            assert!((mean - 1.0).abs() < bias, "σ = {sigma}: {mean}");
        }
    }

    #[test]
    fn looks_come_in_steps_and_end_where_they_must() {
        let control = Control { covariates: Vec::new(), expected: None };
        let rule = SampleRule::RelativeError { target: 0.01, most: 100 };
        let norms: Vec<f64> = (0..24).map(|i| f64::from(1 + i % 3)).collect();
        // Twice as many at most, a multiple of eight, and never beyond the last.
        assert_eq!(rule.next_round(24, &[&norms], &control), Some(48));
        assert_eq!(rule.next_round(96, &[&norms.repeat(4)], &control), Some(100));
        assert_eq!(rule.next_round(100, &[&norms.repeat(4)], &control), None);
        for constant in [0.0, 3.0] {
            assert_eq!(rule.next_round(24, &[&[constant; 24]], &control), None);
        }
        assert_eq!(rule.next_round(24, &[&[f64::NAN; 24]], &control), Some(48));
        assert_eq!(SampleRule::Fixed { samples: 30 }.next_round(24, &[&norms], &control), Some(30));
    }
}
