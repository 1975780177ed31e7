//! Control variates: numbers of a pair (x₀, ε) whose expectations are known, and which explain part of why one sample's
//! norm is larger than another's. What they explain is taken out of the mean's error.
//!
//! With c_s the covariates of sample s and γ their known expectation, the regression estimator of the mean of y is
//! ȳ − β·(c̄ − γ), β from least squares. Conditional on the covariates its variance is s²(1/n + (c̄−γ)ᵀ S⁻¹ (c̄−γ)) with
//! s² the residual variance on n − 1 − P degrees of freedom and S the covariates' scatter (Cochran, *Sampling Techniques*,
//! chapter 7). It is used where that is smaller than the plain mean's.
//!
//! Near t = 0 nearly all of the spread of ‖∂ε/∂t‖ comes from x₀ (how much ink a digit has), at the other end from ε.

use crate::stats::{Statistics, interval, statistics};

/// Number of covariates P.
const COUNT: usize = 3;
/// Fewer samples do not fix the coefficients well enough.
const FEWEST: usize = 16;
/// A covariate whose scatter beyond the others' is below this part of its own says nothing new.
const COLLINEAR: f64 = 1e-9;

/// The mean of x₀, the mean of x₀², and the mean of ε over the elements of one sample.
pub type Covariates = [f64; COUNT];

/// The covariates of a pair.
pub fn covariates(x0: &[f32], noise: &[f32]) -> Covariates {
    let mean = |values: &[f32], of: fn(f64) -> f64| {
        values.iter().map(|&value| of(f64::from(value))).sum::<f64>() / values.len().max(1) as f64
    };
    [mean(x0, |x| x), mean(x0, |x| x * x), mean(noise, |e| e)]
}

/// Covariates by sample and their expectation.
#[derive(Debug, Clone)]
pub struct Control {
    /// By sample.
    pub covariates: Vec<Covariates>,
    /// γ; `None` where it is not known, and nothing can be done.
    pub expected: Option<Covariates>,
}

/// Statistics of the values, with mean, standard error and interval from the regression estimator where it is better,
/// and values whose plain mean is that mean, for paired ratios.
pub fn controlled(values: &[f64], control: &Control) -> (Statistics, Vec<f64>) {
    let plain = statistics(values);
    let keep = |plain: Statistics| (plain, values.to_vec());
    let (Some(expected), true) = (&control.expected, control.covariates.len() == values.len()) else {
        return keep(plain);
    };
    let centred = |covariates: &Covariates| std::array::from_fn(|p| covariates[p] - expected[p]);
    let rows: Vec<(f64, Covariates)> = (values.iter().zip(&control.covariates))
        .filter(|(value, covariates)| value.is_finite() && covariates.iter().all(|c| c.is_finite()))
        .map(|(value, covariates)| (*value, centred(covariates)))
        .collect();
    if rows.len() < FEWEST || rows.len() as u64 != plain.samples {
        return keep(plain);
    }
    let fit = Regression::new(&rows);
    let better = plain.std_error.is_some_and(|plain| fit.std_error < plain);
    if !better {
        return keep(plain);
    }
    let mut adjusted = values.to_vec();
    for (value, covariates) in adjusted.iter_mut().zip(&control.covariates) {
        *value -= dot(&fit.slopes, &centred(covariates));
    }
    let statistics = Statistics {
        mean: Some(fit.mean),
        std_error: Some(fit.std_error),
        interval: interval(fit.mean, fit.std_error, fit.degrees),
        ..plain
    };
    (statistics, adjusted)
}

/// Least squares of values on covariates that are centred on their expectation.
struct Regression {
    slopes: Covariates,
    /// The value at the expectation.
    mean: f64,
    std_error: f64,
    degrees: usize,
}

impl Regression {
    fn new(rows: &[(f64, Covariates)]) -> Self {
        let n = rows.len() as f64;
        let value_mean = rows.iter().map(|row| row.0).sum::<f64>() / n;
        let means: Covariates = std::array::from_fn(|p| rows.iter().map(|row| row.1[p]).sum::<f64>() / n);
        let (mut scatter, mut joint) = ([[0.0; COUNT]; COUNT], [0.0; COUNT]);
        for (value, covariates) in rows {
            let c: Covariates = std::array::from_fn(|p| covariates[p] - means[p]);
            for p in 0..COUNT {
                joint[p] += c[p] * (value - value_mean);
                (0..COUNT).for_each(|q| scatter[p][q] += c[p] * c[q]);
            }
        }
        let (inverse, rank) = inverse(scatter);
        let slopes: Covariates = std::array::from_fn(|p| dot(&inverse[p], &joint));
        let mean = value_mean - dot(&slopes, &means);
        let residual = |(value, covariates): &(f64, Covariates)| (value - mean - dot(&slopes, covariates)).powi(2);
        let degrees = rows.len().saturating_sub(1 + rank).max(1);
        let variance = rows.iter().map(residual).sum::<f64>() / degrees as f64;
        let leverage: f64 = (0..COUNT).map(|p| means[p] * dot(&inverse[p], &means)).sum();
        Regression { slopes, mean, std_error: (variance * (1.0 / n + leverage.max(0.0))).sqrt(), degrees }
    }
}

fn dot(a: &Covariates, b: &Covariates) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The inverse of a scatter matrix on the covariates that say something of their own, zeros for the others, and how many
/// those are (Gauss–Jordan sweeps).
fn inverse(scatter: [[f64; COUNT]; COUNT]) -> ([[f64; COUNT]; COUNT], usize) {
    let mut m = scatter;
    let mut swept = [false; COUNT];
    for p in 0..COUNT {
        let pivot = m[p][p];
        if pivot.is_nan() || pivot <= COLLINEAR * scatter[p][p] {
            continue;
        }
        swept[p] = true;
        let row = m[p];
        for q in (0..COUNT).filter(|q| *q != p) {
            let factor = m[q][p] / pivot;
            for r in (0..COUNT).filter(|r| *r != p) {
                m[q][r] -= factor * row[r];
            }
            m[q][p] = -factor;
        }
        (0..COUNT).filter(|r| *r != p).for_each(|r| m[p][r] = row[r] / pivot);
        m[p][p] = 1.0 / pivot;
    }
    // A sweep leaves M⁻¹ on the swept rows and columns.
    let kept = |p: usize, q: usize| if swept[p] && swept[q] { m[p][q] } else { 0.0 };
    let inverse = std::array::from_fn(|p| std::array::from_fn(|q| kept(p, q)));
    (inverse, swept.iter().filter(|swept| **swept).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, fill_normal, stream};

    /// n samples of y = 3 + 2c₀ − c₂ + noise·z with c₀ ~ N(0.5, 1), c₁ = c₀² and c₂ ~ N(0, 1).
    fn example(n: usize, noise: f64, seed: u64) -> (Vec<f64>, Control) {
        let mut numbers = vec![0.0f32; 3 * n];
        fill_normal(&mut stream(seed, Purpose::Noise, 0.0, 0), &mut numbers);
        let row = |z: &[f32]| {
            let c0 = 0.5 + f64::from(z[0]);
            ([c0, c0 * c0, f64::from(z[1])], 3.0 + 2.0 * c0 - f64::from(z[1]) + noise * f64::from(z[2]))
        };
        let (covariates, values) = numbers.chunks_exact(3).map(row).unzip();
        (values, Control { covariates, expected: Some([0.5, 1.25, 0.0]) })
    }

    #[test]
    fn what_covariates_explain_is_taken_out() {
        let (values, control) = example(40, 0.0, 1);
        let (found, adjusted) = controlled(&values, &control);
        assert!((found.mean.unwrap() - 4.0).abs() < 1e-12 && found.std_error.unwrap() < 1e-12);
        assert!(adjusted.iter().all(|value| (value - 4.0).abs() < 1e-12));
        // Quantiles and the maximum remain those of the samples.
        assert_eq!(found.max, statistics(&values).max);
    }

    #[test]
    fn intervals_cover_as_often_as_they_say_and_are_narrower() {
        let (mut covered, mut ratio) = (0, 0.0);
        for seed in 0..400 {
            let (values, control) = example(24, 1.0, seed);
            let (found, adjusted) = controlled(&values, &control);
            let (low, high) = found.interval.unwrap();
            covered += u32::from(low <= 4.0 && 4.0 <= high);
            ratio += found.std_error.unwrap() / statistics(&values).std_error.unwrap() / 400.0;
            let mean = adjusted.iter().sum::<f64>() / adjusted.len() as f64;
            assert!((mean - found.mean.unwrap()).abs() < 1e-12);
        }
        // 95 % of 400 is 380, with a standard deviation of 4.4.
        assert!((363..=397).contains(&covered), "{covered}");
        // Of the variance 4 + 1 + 1, one is left.
        assert!((0.35..0.5).contains(&ratio), "{ratio}");
    }

    #[test]
    fn where_they_explain_nothing_the_plain_mean_stays() {
        let (values, mut control) = example(40, 1.0, 2);
        control.covariates.iter_mut().for_each(|c| *c = [0.5, 1.25, 0.0]);
        assert_eq!(controlled(&values, &control).0, statistics(&values));
        let (_, control) = example(40, 1.0, 3);
        assert_eq!(controlled(&values, &Control { expected: None, ..control }).0, statistics(&values));
        let (values, control) = example(10, 0.0, 2);
        assert_eq!(controlled(&values, &control).0, statistics(&values));
        let (mut values, control) = example(40, 0.0, 2);
        values[3] = f64::NAN;
        let (found, _) = controlled(&values, &control);
        assert_eq!((found.samples, found.non_finite), (39, 1));
        assert!((found.mean.unwrap() - 4.0).abs() < 1e-12);
    }

    #[test]
    fn covariates_that_repeat_another_do_no_harm() {
        let (values, mut control) = example(40, 0.5, 4);
        let plain = controlled(&values, &control).0;
        control.covariates.iter_mut().for_each(|c| c[1] = 3.0 * c[0]);
        control.expected = Some([0.5, 1.5, 0.0]);
        let found = controlled(&values, &control).0;
        // Only the useless c₀² is gone.
        assert!((found.mean.unwrap() - plain.mean.unwrap()).abs() < plain.std_error.unwrap(), "{found:?} {plain:?}");
        assert!(found.std_error.unwrap() < 1.2 * plain.std_error.unwrap());
    }

    #[test]
    fn covariates_are_means_of_x0_its_square_and_the_noise() {
        assert_eq!(covariates(&[1.0, 2.0, -3.0], &[3.0, -1.0, 4.0]), [0.0, 14.0 / 3.0, 2.0]);
    }

    /// One covariate that says something, so that mean, error and degrees are those of a straight line's fit.
    #[test]
    fn one_covariate_is_a_straight_line() {
        let line = |n: usize| {
            let x: Vec<f64> = (0..n).map(|i| i as f64).collect();
            let y: Vec<f64> = (0..n).map(|i| 2.0 * i as f64 + if i % 3 == 0 { 1.0 } else { -0.5 }).collect();
            (x, y)
        };
        let control = |x: &[f64]| Control {
            covariates: x.iter().map(|x| [*x, 1.0, 0.0]).collect(),
            expected: Some([7.0, 1.0, 0.0]),
        };
        let (x, y) = line(FEWEST);
        let n = x.len() as f64;
        let (x_mean, y_mean) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
        let scatter: f64 = x.iter().map(|x| (x - x_mean).powi(2)).sum();
        let slope = x.iter().zip(&y).map(|(x, y)| (x - x_mean) * (y - y_mean)).sum::<f64>() / scatter;
        let mean = y_mean + slope * (7.0 - x_mean);
        let residual = |(x, y): (&f64, &f64)| (y - y_mean - slope * (x - x_mean)).powi(2);
        let variance = x.iter().zip(&y).map(residual).sum::<f64>() / (n - 2.0);
        let error = (variance * (1.0 / n + (x_mean - 7.0).powi(2) / scatter)).sqrt();
        let found = controlled(&y, &control(&x)).0;
        assert!((found.mean.unwrap() - mean).abs() < 1e-12, "{found:?} {mean}");
        assert!((found.std_error.unwrap() / error - 1.0).abs() < 1e-12, "{found:?} {error}");
        // Student's factor of 14 degrees of freedom, to the digits of a table.
        let (low, high) = found.interval.unwrap();
        assert!(((high - low) / (2.0 * error) - 2.144787).abs() < 1e-6, "{low} {high}");
        // With one sample less the coefficient is not trusted.
        let (x, y) = line(FEWEST - 1);
        assert_eq!(controlled(&y, &control(&x)).0, statistics(&y));
    }

    /// Of c₁ = 2c₀ + z a fifth is its own, and y = c₁ − 2c₀ is seen by both together only.
    #[test]
    fn covariates_that_are_alike_in_part_are_told_apart() {
        let (_, mut control) = example(40, 0.0, 5);
        control.covariates.iter_mut().for_each(|c| c[1] = 2.0 * c[0] + c[2]);
        control.covariates.iter_mut().for_each(|c| c[2] = 0.0);
        control.expected = Some([0.5, 1.0, 0.0]);
        let values: Vec<f64> = control.covariates.iter().map(|c| c[1] - 2.0 * c[0]).collect();
        let found = controlled(&values, &control).0;
        assert!(found.mean.unwrap().abs() < 1e-12 && found.std_error.unwrap() < 1e-12, "{found:?}");
    }
}
