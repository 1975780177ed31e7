//! E‖y‖₂ of independent normal coordinates, in closed form up to a one-dimensional integral.
//!
//! For Q = ‖y‖², y_j ~ N(m_j, v_j):  E√Q = 1/(2√π) ∫₀^∞ (1 − E e^{−sQ}) s^{−3/2} ds,
//! E e^{−sQ} = ∏_j (1 + 2 s v_j)^{−1/2} exp(−s m_j²/(1 + 2 s v_j)).
//! With s = e^z the integrand is analytic in a strip and decays like e^{−|z|/2}: the trapezoidal rule then converges
//! exponentially, to about 1e-13 with the step and range used here.

use std::f64::consts::PI;

const STEP: f64 = 0.25;
const RANGE: f64 = 64.0;

/// E‖y‖₂ for y with independent coordinates of the given means and variances.
pub fn mean_norm(mean: &[f64], variance: &[f64]) -> f64 {
    let coordinates: Vec<(f64, f64)> = mean.iter().zip(variance).map(|(m, v)| (m * m, *v)).collect();
    let scale: f64 = coordinates.iter().map(|(m2, v)| m2 + v).sum();
    if scale == 0.0 || !scale.is_finite() {
        return scale;
    }
    // In units where E Q = 1 the integrand is centred at z = 0.
    let log_laplace = |s: f64| -> f64 {
        coordinates
            .iter()
            .map(|(m2, v)| {
                let spread = 2.0 * s * v / scale;
                -0.5 * spread.ln_1p() - s * m2 / scale / (1.0 + spread)
            })
            .sum()
    };
    let steps = (RANGE / STEP) as i32;
    let integral: f64 = (-steps..=steps)
        .map(|i| f64::from(i) * STEP)
        .map(|z| -log_laplace(z.exp()).exp_m1() * (-z / 2.0).exp())
        .sum::<f64>()
        * STEP;
    scale.sqrt() * integral / (2.0 * PI.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(got: f64, expected: f64) {
        assert!((got / expected - 1.0).abs() < 1e-11, "{got} {expected}");
    }

    #[test]
    fn chi_distributions_have_their_known_means() {
        assert_close(mean_norm(&[0.0], &[1.0]), (2.0 / PI).sqrt());
        assert_close(mean_norm(&[0.0; 2], &[1.0; 2]), (PI / 2.0).sqrt());
        assert_close(mean_norm(&[0.0; 3], &[4.0; 3]), 2.0 * 2.0 * (2.0 / PI).sqrt());
        // E χ_d → √d (1 − 1/4d + 1/32d² + …) for large d
        let d = 3072.0f64;
        assert_close(mean_norm(&[0.0; 3072], &[1.0; 3072]), d.sqrt() * (1.0 - 0.25 / d + 1.0 / (32.0 * d * d)));
    }

    #[test]
    fn a_folded_normal_has_its_known_mean() {
        let (m, s) = (0.7f64, 1.3f64);
        // E|m + s z| = s√(2/π) e^{−m²/2s²} + m erf(m/s√2); erf(0.380749…) = 0.409747…
        let erf = statrs::function::erf::erf(m / (s * 2f64.sqrt()));
        assert_close(mean_norm(&[m], &[s * s]), s * (2.0 / PI).sqrt() * (-m * m / (2.0 * s * s)).exp() + m * erf);
    }

    #[test]
    fn degenerate_cases_are_exact() {
        assert_eq!(mean_norm(&[0.0, 0.0], &[0.0, 0.0]), 0.0);
        assert_close(mean_norm(&[3.0, 4.0], &[0.0, 0.0]), 5.0);
        assert_close(mean_norm(&[1e-9], &[1e-30]), 1e-9);
    }
}
