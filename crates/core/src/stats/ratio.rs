//! The ratio of two means on the same samples.

use super::Moments;

/// A ratio of means with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Mean of the candidate over mean of the baseline, less its bias.
    pub value: f64,
    /// `None` for fewer than two pairs.
    pub interval: Option<(f64, f64)>,
}

/// Ratio of the means of paired samples, candidate over baseline, on pairs that are finite on both sides, with
/// `fitted` degrees of freedom spent on either. `None` over a baseline of 0.
///
/// With R = c̄/b̄ and d = (c − R·b)/b̄ the error of R is that of the mean of d, to first order; the interval is that mean's.
/// To second order R is too large by −cov(d, b)/(n·b̄), which is added (Tin, *Comparison of some ratio estimators*, J. Am.
/// Statist. Assoc. 60, 1965): a thousandth of R or less for the norms of trained networks, some per cent for few and
/// strongly skewed ones. One candidate that is everywhere the same multiple of the baseline has that ratio exactly.
pub fn paired_ratio(baseline: &[f64], candidate: &[f64], fitted: f64) -> Option<Ratio> {
    let pairs: Vec<(f64, f64)> = (baseline.iter().copied().zip(candidate.iter().copied()))
        .filter(|(b, c)| b.is_finite() && c.is_finite())
        .collect();
    let (b, c) = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    let first_order = (b > 0.0).then(|| c / b)?;
    let n = pairs.len() as f64;
    let mean = b / n;
    let differences: Vec<f64> = pairs.iter().map(|(b, c)| (c - first_order * b) / mean).collect();
    let covariance = differences.iter().zip(&pairs).map(|(d, (b, _))| d * (b - mean)).sum::<f64>() / n;
    let interval = Moments::new(&differences, fitted).and_then(|moments| moments.interval());
    // Norms are not negative, and neither is their ratio.
    Some(Ratio {
        value: (first_order + covariance / (n * mean)).max(0.0),
        interval: interval.map(|(low, high)| ((first_order + low).max(0.0), first_order + high)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairing_makes_intervals_narrow_and_zero_baselines_have_no_ratio() {
        let baseline: Vec<f64> = (1..50).map(f64::from).collect();
        let half: Vec<f64> = baseline.iter().map(|b| b / 2.0).collect();
        let ratio = paired_ratio(&baseline, &half, 0.0).unwrap();
        let (low, high) = ratio.interval.unwrap();
        assert!((ratio.value - 0.5).abs() < 1e-15 && high - low < 1e-12);
        assert_eq!(paired_ratio(&[0.0, 0.0], &[1.0, 2.0], 0.0), None);
        assert_eq!(paired_ratio(&[1.0, 2.0], &[0.0, 0.0], 0.0).unwrap().interval, Some((0.0, 0.0)));
        assert_eq!(paired_ratio(&[1.0], &[2.0], 0.0).unwrap().interval, None);
        // Pairs of which one side is not finite are left out.
        assert_eq!(paired_ratio(&[1.0, f64::NAN, 3.0], &[2.0, 5.0, 6.0], 0.0).unwrap().value, 2.0);
    }

    /// b = 1, 3 and c = 4, 6: R = 2.5, d = (c − 2.5b)/2 = ±0.75, cov(d, b) = −0.75, and R − 0.75/(2·2).
    #[test]
    fn the_bias_of_second_order_is_taken_out() {
        let found = paired_ratio(&[1.0, 3.0], &[4.0, 6.0], 0.0).unwrap();
        assert!((found.value - 2.3125).abs() < 1e-15, "{found:?}");
        // About 2.5: Student's factor of one degree of freedom times the standard error of d, 0.75.
        let (low, high) = found.interval.unwrap();
        assert!(low == 0.0 && (high - 2.5 - 12.706205 * 0.75).abs() < 1e-5, "{found:?}");
    }
}
