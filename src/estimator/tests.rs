//! Estimators against closed forms in float64: values and the order of convergence.

use super::*;
use crate::expectation::mean_norm;
use crate::ideal::{Gaussian, IdealDenoiser};
use crate::schedule;
use crate::testing::{Tolerance, assert_close, largest};
use crate::timestep_map::{Identity, Sharing, TimestepMap};
use std::sync::Arc;
use tch::{Device, Kind};

fn gaussian(name: &str, map: Arc<dyn TimestepMap>) -> IdealDenoiser {
    IdealDenoiser {
        distribution: Box::new(Gaussian::diagonal(&[0.2, -0.4], &[0.25, 0.04], Device::Cpu)),
        process: schedule::parse(name).unwrap().into(),
        map,
        sample_shape: vec![2],
        device: Device::Cpu,
    }
}

fn x() -> Tensor {
    Tensor::from_slice(&[0.3f64, -0.8, 1.2, 0.1, -0.5, 0.7]).reshape([3, 2])
}

fn state() -> State {
    State::unconditional(x())
}

fn values(estimator: &dyn Estimator, denoiser: &dyn Response, t: f64) -> Vec<f64> {
    Vec::try_from(estimator.norms(denoiser, &state(), &[t; 3]).unwrap().values.flatten(0, -1)).unwrap()
}

fn secant(dt: f64, axis: Axis) -> Secant {
    Secant { dt, axis, norm: Norm::L2 }
}

#[test]
fn the_secant_converges_to_the_derivative_at_first_order() {
    for name in ["linear", "cosine", "trigflow", "flow"] {
        for axis in Axis::ALL.into_iter().filter(|axis| *axis != Axis::Argument) {
            let ideal = gaussian(name, Arc::new(Identity));
            let exact = values(&Derivative { axis, norm: Norm::L2 }, &ideal, 30.3);
            let error = |dt: f64| {
                let secants = values(&secant(dt, axis), &ideal, 30.3);
                largest(secants.iter().zip(&exact).map(|(k, d)| (k / d - 1.0).abs()))
            };
            let order = (error(4e-3) / error(1e-3)).log2() / 2.0;
            assert!((order - 1.0).abs() < 0.02, "{name} {axis}: order {order}");
            assert!(error(1e-3) < 1e-3, "{name} {axis}");
        }
    }
}

#[test]
fn the_secant_is_the_difference_quotient_on_its_axis() {
    let ideal = gaussian("linear", Arc::new(Identity));
    let change = ideal.epsilon(&state(), &[7.0; 3]).unwrap() - ideal.epsilon(&state(), &[9.0; 3]).unwrap();
    let norms: Vec<f64> = Vec::try_from(row_norms(Norm::L2, &change).unwrap()).unwrap();
    let s = schedule::parse("linear").unwrap();
    for (axis, distance) in [
        (Axis::Step, 2.0),
        (Axis::Unit, 0.002),
        (Axis::Sigma, s.sigma(9.0) - s.sigma(7.0)),
        (Axis::LogSnr, s.log_snr(7.0) - s.log_snr(9.0)),
    ] {
        for (got, norm) in values(&secant(2.0, axis), &ideal, 7.0).iter().zip(&norms) {
            assert!((got / (norm / distance) - 1.0).abs() < 1e-12, "{axis}");
        }
    }
}

#[test]
fn sharing_gives_exact_zeros_inside_and_jumps_at_boundaries() {
    let ideal = gaussian("linear", Arc::new(Sharing::uniform(5, 100).unwrap()));
    for (t, zero) in [(0.0, true), (18.0, true), (19.0, false), (20.0, true), (99.0, false), (100.0, false)] {
        let all_zero = values(&secant(1.0, Axis::Step), &ideal, t).iter().all(|&k| k == 0.0);
        assert_eq!(all_zero, zero, "at {t}");
    }
    let inside = values(&Derivative { axis: Axis::Step, norm: Norm::L2 }, &ideal, 10.0);
    assert_eq!(inside, [0.0; 3]);
}

/// A sample mean over the distribution of x_t agrees with the closed-form expectation.
#[test]
fn monte_carlo_agrees_with_the_closed_form() {
    let ideal = gaussian("linear", Arc::new(Identity));
    let s = schedule::parse("linear").unwrap();
    let (t, n) = (10.0, 200_000);
    tch::manual_seed(0);
    let mean = Tensor::from_slice(&[0.2f64, -0.4]);
    let std = Tensor::from_slice(&[0.25f64, 0.04]).sqrt();
    let normal = || Tensor::randn([n, 2], (Kind::Double, Device::Cpu));
    let x = (mean + std * normal()) * s.alpha(t) + normal() * s.sigma(t);
    let norms = secant(1.0, Axis::Step).norms(&ideal, &State::unconditional(x), &vec![t; n as usize]).unwrap().values;
    let (got, spread) = (norms.mean(Kind::Double).double_value(&[]), norms.std(true).double_value(&[]));
    // ε*_s(x) = g_s (x − α_s μ), so the change is normal with these moments.
    let gain = |t: f64, variance: f64| s.sigma(t) / (s.alpha(t).powi(2) * variance + s.sigma(t).powi(2));
    let moments = |mean: f64, variance: f64| {
        let (g0, g1) = (gain(t, variance), gain(t + 1.0, variance));
        let m = (g0 - g1) * s.alpha(t) * mean - (g0 * s.alpha(t) - g1 * s.alpha(t + 1.0)) * mean;
        (m, (g0 - g1).powi(2) * (s.alpha(t).powi(2) * variance + s.sigma(t).powi(2)))
    };
    let (a, b) = (moments(0.2, 0.25), moments(-0.4, 0.04));
    let expected = mean_norm(&[a.0, b.0], &[a.1, b.1]);
    assert!((got - expected).abs() < 5.0 * spread / (n as f64).sqrt(), "{got} {expected}");
}

#[test]
fn rms_is_l2_over_the_root_of_the_dimension() {
    let ideal = gaussian("linear", Arc::new(Identity));
    let l2 = values(&secant(1.0, Axis::Step), &ideal, 3.0);
    let rms = values(&Secant { dt: 1.0, axis: Axis::Step, norm: Norm::Rms }, &ideal, 3.0);
    let expected: Vec<f64> = l2.iter().map(|l2| l2 / 2f64.sqrt()).collect();
    assert_close("rms", &rms, &expected, Tolerance::of_each(1e-14, "rounding of float64"));
}

/// With z = (x − αm)/√V constant along the probability flow of a Gaussian, ε = σ z/√V: dε/dt = z d(σ/√V)/dt.
#[test]
fn the_path_derivative_of_a_gaussian_is_its_closed_form() {
    for name in ["linear", "trigflow", "flow"] {
        let ideal = gaussian(name, Arc::new(Identity));
        let s = schedule::parse(name).unwrap();
        for t in [3.0, 250.5, 900.0] {
            let got = values(&Path { axis: Axis::Step, norm: Norm::L2 }, &ideal, t);
            let level = s.level(t);
            let expected = [[0.3, -0.8], [1.2, 0.1], [-0.5, 0.7]].map(|x| {
                let terms = [(0.2, 0.25), (-0.4, 0.04)].into_iter().zip(x).map(|((m, variance), x)| {
                    let v: f64 = level.alpha.powi(2) * variance + level.sigma.powi(2);
                    let d_v = 2.0 * (level.alpha * level.d_alpha * variance + level.sigma * level.d_sigma);
                    let z = (x - level.alpha * m) / v.sqrt();
                    (z * (level.d_sigma / v.sqrt() - 0.5 * level.sigma * d_v / v.powf(1.5))).powi(2)
                });
                terms.sum::<f64>().sqrt()
            });
            for (got, expected) in got.iter().zip(expected) {
                // Rounding of float64 through a dozen operations.
                assert!((got / expected - 1.0).abs() < 1e-9, "{name} {t}: {got} {expected}");
            }
        }
    }
}

/// ∂ε/∂x = σ (α²Λ + σ²)⁻¹, whose largest singular value belongs to the smallest variance.
#[test]
fn the_spatial_constant_of_a_gaussian_is_its_closed_form() {
    let ideal = gaussian("linear", Arc::new(Identity));
    let s = schedule::parse("linear").unwrap();
    for t in [0.0, 100.0, 900.0] {
        let norms = Spatial.norms(&ideal, &state(), &[t; 3]).unwrap();
        let (alpha, sigma) = (s.alpha(t), s.sigma(t));
        let expected = sigma / (alpha * alpha * 0.04 + sigma * sigma);
        for got in Vec::<f64>::try_from(norms.values.flatten(0, -1)).unwrap() {
            // Where both singular values are close the iteration stops at a relative growth of 1e-4 per step.
            assert!((got / expected - 1.0).abs() < 1e-3, "{t}: {got} {expected}");
        }
    }
}

/// Rows of a batch settle after different numbers of iterations, and must not change with their neighbours.
#[test]
fn the_spatial_constant_does_not_depend_on_the_batch() {
    let points = Tensor::from_slice(&[0.0f64, 0.0, 1.0, 0.5, -0.7, 0.9]).reshape([3, 2]);
    let finite = Box::new(crate::ideal::Finite::new(&points, Device::Cpu).unwrap());
    let ideal = IdealDenoiser { distribution: finite, ..gaussian("linear", Arc::new(Identity)) };
    let of = |x: &Tensor| {
        let state = State::unconditional(x.shallow_clone());
        let norms = Spatial.norms(&ideal, &state, &vec![400.0; x.size()[0] as usize]).unwrap();
        Vec::<f64>::try_from(norms.values.flatten(0, -1)).unwrap()
    };
    let together = of(&x());
    for row in 0..3 {
        assert!((of(&x().narrow(0, row, 1))[0] / together[row as usize] - 1.0).abs() < 1e-12);
    }
}

/// Jᵀ of a mixture and of a finite set against differences of ε.
#[test]
fn jacobians_of_closed_forms_are_derivatives() {
    let components = vec![
        Gaussian::diagonal(&[1.0, 0.0], &[0.1, 0.2], Device::Cpu),
        Gaussian::full(&[-1.0, 0.5], &[0.2, 0.1, 0.1, 0.3], Device::Cpu).unwrap(),
    ];
    let points = Tensor::from_slice(&[0.0f64, 0.0, 1.0, 0.5, -0.7, 0.9]).reshape([3, 2]);
    let distributions: [Box<dyn crate::ideal::Distribution>; 2] = [
        Box::new(crate::ideal::Mixture::new(&[0.3, 0.7], components)),
        Box::new(crate::ideal::Finite::new(&points, Device::Cpu).unwrap()),
    ];
    for distribution in distributions {
        let ideal = IdealDenoiser { distribution, ..gaussian("linear", Arc::new(Identity)) };
        let v = Tensor::from_slice(&[0.3f64, 1.0, -0.2, 0.4, 0.9, -1.1]).reshape([3, 2]);
        let moved = |h: f64| State::unconditional(x() + h * &v);
        let times = [300.0; 3];
        let at = |h: f64| ideal.epsilon(&moved(h), &times).unwrap();
        let differences = (at(1e-5) - at(-1e-5)) / 2e-5;
        let along = ideal.along(&state(), &v, false, &times).unwrap();
        let reason = "central differences: h² times a third derivative of order 10, and rounding 1e-16/h";
        assert_close("in x", &along, &differences, Tolerance::absolute(1e-8, reason));
        let both = ideal.along(&state(), &v, true, &times).unwrap();
        let at = |h: f64| ideal.epsilon(&moved(h), &[300.0 + h; 3]).unwrap();
        let differences = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert_close("in x and t", &both, &differences, Tolerance::absolute(1e-8, reason));
    }
}
