//! Statistics over samples: means with their intervals, quantiles.

#[cfg(test)]
mod coverage;
mod moments;

pub use moments::{Moments, needed};

/// What a set of samples comes to. `None` where too few finite samples exist.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Finite samples.
    pub samples: u64,
    /// Samples left out because they were NaN or infinite.
    pub non_finite: u64,
    /// Mean.
    pub mean: Option<f64>,
    /// Standard error of the mean.
    pub std_error: Option<f64>,
    /// 95 % interval of the mean.
    pub interval: Option<(f64, f64)>,
    /// Skewness of the values that the mean is of.
    pub skewness: Option<f64>,
    /// 5 %, 50 % and 95 % quantiles (linear interpolation between order statistics).
    pub quantiles: Option<[f64; 3]>,
    /// Largest sample.
    pub max: Option<f64>,
}

/// Statistics of all finite values; the others are counted.
pub fn statistics(values: &[f64]) -> Statistics {
    let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    let n = finite.len();
    let non_finite = (values.len() - n) as u64;
    if n == 0 {
        return Statistics { non_finite, ..Statistics::default() };
    }
    let moments = Moments::new(&finite, 0.0);
    Statistics {
        samples: n as u64,
        non_finite,
        mean: Some(finite.iter().sum::<f64>() / n as f64),
        std_error: moments.map(|moments| moments.std_error),
        interval: moments.and_then(|moments| moments.interval()),
        skewness: moments.map(|moments| moments.skewness),
        quantiles: Some([0.05, 0.5, 0.95].map(|q| quantile(&finite, q))),
        max: finite.last().copied(),
    }
}

/// Quantile of sorted, non-empty values.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    below + (above - below) * position.fract()
}

/// Quantile of the finite values; `None` of nothing.
pub fn quantile_of(values: &[f64], q: f64) -> Option<f64> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    (!finite.is_empty()).then(|| quantile(&finite, q))
}

/// Median; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| quantile(&sorted, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against R: t.test(c(1, 2, 4, 8, 16)) gives 6.2 with [−1.385…, 13.785…].
    #[test]
    fn student_intervals_match_a_table() {
        let s = statistics(&[16.0, 1.0, 2.0, 4.0, 8.0]);
        let (low, high) = s.interval.unwrap();
        let half = 2.7764451051977987 * (37.2f64 / 5.0).sqrt();
        assert!((s.mean.unwrap() - 6.2).abs() < 1e-15);
        assert!((low - (6.2 - half)).abs() < 1e-9 && (high - (6.2 + half)).abs() < 1e-9, "{low} {high}");
        assert!(s.quantiles.unwrap().iter().zip([1.2, 4.0, 14.4]).all(|(got, q)| (got - q).abs() < 1e-12));
        assert_eq!(s.max, Some(16.0));
    }

    #[test]
    fn what_does_not_exist_is_none() {
        let nothing = statistics(&[f64::NAN, f64::INFINITY]);
        assert_eq!((nothing.samples, nothing.non_finite, nothing.mean), (0, 2, None));
        let one = statistics(&[3.0]);
        assert_eq!((one.mean, one.std_error, one.interval), (Some(3.0), None, None));
    }
}
