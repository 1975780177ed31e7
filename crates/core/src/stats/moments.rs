//! The moments of some values, and the 95 % interval of their mean.
//!
//! Norms are skewed to the right: the mean of few goes along with their spread, and Student's interval then misses on one
//! side. Hall's transformation of Student's statistic takes the skewness out to the first order (Hall, *On the removal of
//! skewness by transformation*, J. R. Statist. Soc. B 54, 1992). Long tails make the spread itself uncertain: with kurtosis κ
//! it is worth 2ν/(κ − 1) degrees of freedom instead of ν (Box, *Non-normality and tests on variances*, Biometrika 40, 1953).
//! The interval here holds both Student's and Hall's with those degrees.

use statrs::distribution::{ContinuousCDF, StudentsT};

const CONFIDENCE: f64 = 0.95;
/// Fewer values say nothing about skewness and kurtosis; their interval is Student's.
const SHAPED: usize = 8;
/// Degrees of freedom that any spread of `SHAPED` values is worth.
const FEWEST_DEGREES: f64 = 3.0;
/// Spread over size of values that differ by rounding alone: it has no shape.
const ROUNDING: f64 = 1e-13;
/// Values over squared skewness, from where intervals hold a mean about as often as they say.
const SETTLED: f64 = 10.0;
/// Squared skewness that is more than chance, times the number of values: four standard errors, √(6/n) each.
const NOTABLE: f64 = 96.0;
/// Standard deviations that are allowed for before samples are called enough.
const CAUTION: f64 = 2.0;

/// What the interval of a mean rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Number of values.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Its standard error.
    pub std_error: f64,
    /// γ = m₃/m₂^(3/2), corrected for few values; 0 of fewer than eight.
    pub skewness: f64,
    /// κ = m₄/m₂², corrected for few values; 3 of fewer than eight.
    pub kurtosis: f64,
    /// Degrees of freedom of the spread, before long tails are allowed for.
    pub degrees: f64,
}

impl Moments {
    /// Of finite values that `fitted` coefficients were fitted to; `None` where no degree of freedom is left.
    pub fn new(values: &[f64], fitted: f64) -> Option<Self> {
        let (count, n) = (values.len(), values.len() as f64);
        let degrees = Some(n - 1.0 - fitted).filter(|degrees| *degrees > 0.0)?;
        let mean = values.iter().sum::<f64>() / n;
        let central = |power: i32| values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / n;
        let variance = central(2);
        let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let (mut skewness, mut kurtosis) = (0.0, 3.0);
        if count >= SHAPED && variance > (ROUNDING * largest).powi(2) {
            skewness = central(3) / variance.powf(1.5) * (n * (n - 1.0)).sqrt() / (n - 2.0);
            // E m₄/m₂² of normal values is 3(n − 1)/(n + 1).
            kurtosis = central(4) / variance.powi(2) * (n + 1.0) / (n - 1.0);
        }
        Some(Moments { count, mean, std_error: (variance / degrees).sqrt(), skewness, kurtosis, degrees })
    }

    /// The 95 % interval of the mean.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let student = StudentsT::new(0.0, 1.0, self.worth()).ok()?.inverse_cdf(0.5 + CONFIDENCE / 2.0);
        let n = self.count as f64;
        let (x, s) = (student / n.sqrt(), self.std_error * n.sqrt());
        Some((self.mean - s * x.max(self.hall(x)), self.mean - s * (-x).min(self.hall(-x))))
    }

    /// g⁻¹(x), where g(w) = w + γw²/3 + γ²w³/27 + γ/6n of w = (ȳ − μ)/s is nearly symmetric.
    fn hall(&self, x: f64) -> f64 {
        let skewness = self.skewness;
        if skewness.abs() < 1e-6 {
            return x;
        }
        3.0 / skewness * ((1.0 + skewness * (x - skewness / (6.0 * self.count as f64))).cbrt() - 1.0)
    }

    /// Degrees of freedom that the spread is worth: ν, or 2ν/(κ − 1) where tails are long.
    fn worth(&self) -> f64 {
        let long_tails = 2.0 * self.degrees / (self.kurtosis - 1.0).max(2.0);
        long_tails.max(FEWEST_DEGREES).min(self.degrees)
    }

    /// The standard error, raised by what skewness may have hidden: where chance has left large values out, mean and spread
    /// are too small together. Of the spread's relative error γ/(2√n) goes along with the mean's.
    pub fn cautious_error(&self) -> f64 {
        self.std_error * (1.0 + CAUTION * self.skewness.abs() / (2.0 * (self.count as f64).sqrt()))
    }

    /// How many values there should be, where these are so skewed that their interval may be too narrow.
    pub fn needed(&self) -> Option<u64> {
        needed(self.count as u64, self.skewness)
    }
}

/// How many values of this skewness there should be for the interval of their mean, where `count` are too few. That is
/// twice as many at least: the skewness of few values is smaller than that of all.
pub fn needed(count: u64, skewness: f64) -> Option<u64> {
    let (squared, count) = (skewness * skewness, count as f64);
    let short = squared * count > NOTABLE && SETTLED / 2.0 * squared > count;
    short.then(|| (SETTLED * squared).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 0, …, 0, 1 (n values) m₂ = (n−1)/n², m₃ = (n−1)(n−2)/n³ and m₄/m₂² = (n² − 3n + 3)/(n − 1).
    #[test]
    fn moments_are_those_of_a_single_one_among_zeros() {
        let mut values = vec![0.0; 16];
        values[3] = 1.0;
        let found = Moments::new(&values, 3.0).unwrap();
        assert!((found.mean - 1.0 / 16.0).abs() < 1e-15);
        assert!((found.std_error - (15.0f64 / 256.0 / 12.0).sqrt()).abs() < 1e-15);
        // γ = (n−2)/√(n−1), times √(n(n−1))/(n−2).
        assert!((found.skewness - 4.0).abs() < 1e-12, "{found:?}");
        assert!((found.kurtosis - 211.0 / 15.0 * 17.0 / 15.0).abs() < 1e-12, "{found:?}");
        assert!((found.cautious_error() / found.std_error - (1.0 + 2.0 * 4.0 / 8.0)).abs() < 1e-12);
        assert_eq!(Moments::new(&values[..4], 3.0), None);
    }

    #[test]
    fn degrees_fall_with_kurtosis_and_stay_above_three() {
        let of = |kurtosis: f64, degrees: f64| {
            Moments { count: 20, mean: 0.0, std_error: 1.0, skewness: 0.0, kurtosis, degrees }.worth()
        };
        assert_eq!([of(3.0, 19.0), of(1.8, 19.0), of(5.0, 19.0), of(20.0, 19.0)], [19.0, 19.0, 9.5, 3.0]);
        // No more than there are.
        assert_eq!(of(9.0, 2.0), 2.0);
    }

    #[test]
    fn too_few_are_told_from_chance_and_from_enough() {
        // 16 · 16 > 96 and 5 · 16 > 16.
        assert_eq!(needed(16, 4.0), Some(160));
        assert_eq!([needed(200, 4.0), needed(16, 2.0), needed(16, 0.0), needed(80, 4.0)], [None; 4]);
        assert_eq!(needed(79, -4.0), Some(160));
    }

    #[test]
    fn rounding_has_no_shape() {
        let mut values = vec![4.0; 20];
        values[7] = 4.0 + 2e-15;
        let found = Moments::new(&values, 0.0).unwrap();
        assert_eq!((found.skewness, found.kurtosis), (0.0, 3.0));
    }

    /// The cubic of Hall's transformation at the ends of the interval is Student's factor.
    #[test]
    fn the_longer_side_is_halls() {
        let values: Vec<f64> = (0..20).map(|i| (0.15 * f64::from(i)).exp()).collect();
        let found = Moments { kurtosis: 3.0, ..Moments::new(&values, 0.0).unwrap() };
        let (low, high) = found.interval().unwrap();
        let (n, s, skewness) = (20.0f64, found.std_error * 20f64.sqrt(), found.skewness);
        assert!(skewness > 0.5, "{found:?}");
        let w = (found.mean - high) / s;
        let g = w + skewness * w * w / 3.0 + skewness.powi(2) * w.powi(3) / 27.0 + skewness / (6.0 * n);
        // Student's 97.5 % quantile with 19 degrees of freedom, to the digits of a table.
        assert!((g * n.sqrt() + 2.093024).abs() < 1e-6, "{g}");
        assert!(((found.mean - low) / found.std_error - 2.093024).abs() < 1e-6, "{found:?} {low}");
    }
}
