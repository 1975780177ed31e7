//! How much of the data is left at the last timesteps: KL(q_t‖N(0, I)), what sampling from pure noise there costs.
//!
//! With r = ε/σ − x, the excess of the score over that of N(0, I), I(t) = E‖r‖² is the relative Fisher information. For a
//! variance-preserving process KL ≤ ½ I (the logarithmic Sobolev inequality), and de Bruijn's identity gives what lies between
//! two times: KL(t₁) − KL(t₂) = ½ ∫ I dτ with τ = −ln ᾱ. Without any model, of d elements:
//!
//! - from below, KL of the Gaussian with the mean μ and the covariance eigenvalues λ of the data: with δ = ᾱ(λ − 1),
//!   ½ [Σ (δ − ln(1 + δ)) + ᾱ‖μ‖²]; exact for Gaussian data;
//! - from above, as KL is convex, the mean of KL(N(α x₀, σ² I)‖N(0, I)): ½ [d(−ᾱ − ln(1 − ᾱ)) + ᾱ E‖x₀‖²].

use crate::schedule::NoiseSchedule;
use crate::time::Timestep;

/// First and second moments of the data.
#[derive(Debug, Clone, PartialEq)]
pub struct DataMoments {
    /// ‖μ‖².
    pub mean_square: f64,
    /// Eigenvalues of the covariance, or of its diagonal: then the bound from below is a weaker one. One per element.
    pub variances: Vec<f64>,
}

impl DataMoments {
    /// KL of the Gaussian with these moments.
    pub fn kl_lower(&self, alpha_bar: f64) -> f64 {
        let spread: f64 = self.variances.iter().map(|variance| excess(alpha_bar * (variance - 1.0))).sum();
        0.5 * (spread + alpha_bar * self.mean_square)
    }

    /// The mean over x₀ of KL of what becomes of it.
    pub fn kl_upper(&self, alpha_bar: f64) -> f64 {
        let square = self.mean_square + self.variances.iter().sum::<f64>();
        0.5 * (self.variances.len() as f64 * excess(-alpha_bar) + alpha_bar * square)
    }
}

/// δ − ln(1 + δ), where it is small too.
fn excess(delta: f64) -> f64 {
    if delta.abs() < 1e-4 {
        // The next term is δ⁵/5.
        let terms = [1.0 / 2.0, -1.0 / 3.0, 1.0 / 4.0];
        return delta * delta * terms.iter().rev().fold(0.0, |sum, term| sum * delta + term);
    }
    delta - delta.ln_1p()
}

/// KL at every whole timestep between the first and the last that has been measured, ascending.
///
/// `information` are pairs (t, I(t)) by ascending t, between which ln I is a straight line over τ. KL at the end is that of
/// the Gaussian with the moments of the data, since what else there is of the data is gone there to a higher order of ᾱ;
/// without moments it is the bound ½ I.
pub fn divergences(
    information: &[(Timestep, f64)],
    schedule: &dyn NoiseSchedule,
    data: Option<&DataMoments>,
) -> Vec<(Timestep, f64)> {
    let tau = |t: Timestep| -2.0 * schedule.alpha(t).ln();
    let usable = |&&(t, value): &&(Timestep, f64)| tau(t).is_finite() && value.is_finite() && value >= 0.0;
    let known: Vec<(f64, f64, f64)> = information.iter().filter(usable).map(|&(t, i)| (t, tau(t), i)).collect();
    let Some(&(last, _, at_last)) = known.last() else { return Vec::new() };
    let end = data.map_or(0.5 * at_last, |data| data.kl_lower(schedule.alpha_bar(last)));
    let mut found = vec![(last, end)];
    let (mut kl, mut after) = (end, (known[known.len() - 1].1, at_last));
    for pair in known.windows(2).rev() {
        let (left, right) = (pair[0], pair[1]);
        let whole = (left.0.ceil() as i64..right.0.ceil() as i64).rev().map(|t| t as f64);
        let inner =
            whole.filter(|t| *t > left.0).map(|t| (t, tau(t), between((left.1, left.2), (right.1, right.2), tau(t))));
        for (t, at, value) in inner.chain(std::iter::once(left)) {
            kl += 0.5 * log_mean(value, after.1) * (after.0 - at);
            after = (at, value);
            if t.fract() == 0.0 {
                found.push((t, kl));
            }
        }
    }
    found.reverse();
    found
}

/// A straight line of logarithms; of the numbers where one of them is 0.
fn between(left: (f64, f64), right: (f64, f64), at: f64) -> f64 {
    let part = (at - left.0) / (right.0 - left.0);
    if left.1 > 0.0 && right.1 > 0.0 {
        return (left.1.ln() * (1.0 - part) + right.1.ln() * part).exp();
    }
    left.1 * (1.0 - part) + right.1 * part
}

/// The mean of an exponential between two of its values; of a straight line where one of them is 0.
fn log_mean(a: f64, b: f64) -> f64 {
    let ratio = (a / b).ln();
    if a <= 0.0 || b <= 0.0 || ratio.abs() < 1e-6 { 0.5 * (a + b) } else { (a - b) / ratio }
}

/// The first timestep from which on KL stays at or below `threshold`; `None` where it is above it to the end.
pub fn timestep_below(divergences: &[(Timestep, f64)], threshold: f64) -> Option<Timestep> {
    let above = divergences.iter().rposition(|(_, kl)| *kl > threshold);
    divergences.get(above.map_or(0, |last| last + 1)).map(|(t, _)| *t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule;

    /// KL and I of N(μ, s²) per element.
    fn gaussian(alpha_bar: f64, mean: f64, variance: f64) -> (f64, f64) {
        let delta: f64 = alpha_bar * (variance - 1.0);
        let kl = 0.5 * (delta - delta.ln_1p() + alpha_bar * mean * mean);
        (kl, delta * delta / (1.0 + delta) + alpha_bar * mean * mean)
    }

    fn moments(mean: f64, variance: f64) -> DataMoments {
        DataMoments { mean_square: mean * mean, variances: vec![variance] }
    }

    #[test]
    fn a_sweep_gives_the_kl_of_a_gaussian() {
        for name in ["linear", "cosine", "scaled-linear"] {
            let schedule = schedule::parse(name).unwrap();
            for (mean, variance) in [(0.0, 0.25), (0.2, 0.25), (-0.4, 0.81)] {
                let exact = |t: f64| gaussian(schedule.alpha_bar(t), mean, variance);
                let last = 998;
                let swept: Vec<(f64, f64)> = (0..=last).map(|t| (f64::from(t), exact(f64::from(t)).1)).collect();
                let found = divergences(&swept, &*schedule, Some(&moments(mean, variance)));
                assert_eq!(found.len(), swept.len());
                for (t, kl) in &found {
                    // One step is 1 % of τ at most from here on; ln I bends over it to second order.
                    let wanted = exact(*t).0;
                    assert!(*t < 20.0 || (kl / wanted - 1.0).abs() < 2e-3, "{name} {mean} {t}: {kl} {wanted}");
                }
                // Every twentieth step tells nearly as much.
                let few: Vec<(f64, f64)> = swept.iter().copied().step_by(20).chain([swept[998]]).collect();
                for threshold in [1e-2, 1e-3, 1e-4] {
                    let wanted = (0..=last).map(f64::from).find(|t| exact(*t).0 <= threshold);
                    assert_eq!(timestep_below(&found, threshold), wanted, "{name} {mean} {threshold}");
                    let coarse =
                        timestep_below(&divergences(&few, &*schedule, Some(&moments(mean, variance))), threshold);
                    let near = coarse.zip(wanted).is_none_or(|(coarse, wanted)| (coarse - wanted).abs() <= 2.0);
                    assert!(near && coarse.is_some() == wanted.is_some(), "{name} {mean}: {coarse:?} {wanted:?}");
                }
            }
        }
    }

    /// Of two points ±1, N(0, 1) has the moments: the bound from below is 0, KL is not.
    #[test]
    fn bounds_hold_and_the_lower_one_is_exact_for_a_gaussian() {
        let data = moments(0.3, 0.5);
        for alpha_bar in [0.9, 0.1, 1e-3, 1e-9] {
            let kl = gaussian(alpha_bar, 0.3, 0.5).0;
            // The difference of 1 and 1 + δ costs as many digits as δ has.
            assert!((data.kl_lower(alpha_bar) / kl - 1.0).abs() < 1e-6, "{alpha_bar}");
            assert!(data.kl_upper(alpha_bar) > kl);
        }
        assert_eq!(DataMoments { mean_square: 0.0, variances: vec![1.0] }.kl_lower(0.5), 0.0);
        // −x − ln(1 − x) = x²/2 + x³/3 + …, on both sides of where the series takes over.
        for x in [0.99e-4, 1.01e-4f64] {
            let series = x * x / 2.0 + x.powi(3) / 3.0 + x.powi(4) / 4.0;
            assert!((excess(-x) / series - 1.0).abs() < 1e-8, "{}", excess(-x) / series);
        }
    }

    #[test]
    fn without_data_the_end_is_the_bound() {
        let schedule = schedule::parse("linear").unwrap();
        let found = divergences(&[(900.0, 0.02), (999.0, 0.004)], &*schedule, None);
        assert_eq!(found.last(), Some(&(999.0, 0.002)));
        assert_eq!((found.len(), timestep_below(&found, 1e-3)), (100, None));
        assert_eq!(divergences(&[], &*schedule, None), []);
    }
}
