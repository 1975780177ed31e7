//! Ideal noise with auxiliary variables against the score it is defined by, differences in time, and Gaussians' closed form.

use super::*;
use crate::ideal::{Finite, Gaussian, Mixture};
use crate::process::ProcessSpec;
use crate::testing::{Tolerance, assert_close};
use crate::timestep_map::Identity;

const POINTS: [f64; 6] = [0.4, -0.9, 1.2, 0.1, -0.3, 0.8];

fn process(text: &str) -> Arc<LinearGaussian> {
    match text.parse().unwrap() {
        ProcessSpec::LinearGaussian(process) => process,
        other => panic!("{other}"),
    }
}

fn malda() -> Arc<LinearGaussian> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("malda.json");
    let text = r#"{"Q": [[0, -1, -1], [1, 0, -1], [1, 1, 0]], "D": [[0, 0, 0], [0, 2, 0], [0, 0, 2]]}"#;
    std::fs::write(&path, text).unwrap();
    process(&format!("mdm:{}", path.display()))
}

fn noise(distribution: Box<dyn Distribution>, process: Arc<LinearGaussian>) -> IdealNoise {
    let sample_shape = vec![distribution.dim()];
    IdealNoise { distribution, process, map: Arc::new(Identity), sample_shape, device: Device::Cpu }
}

fn gaussian() -> Gaussian {
    Gaussian::diagonal(&[0.3, -0.2], &[0.25, 0.04], Device::Cpu)
}

fn points() -> Tensor {
    Tensor::from_slice(&POINTS).view([3, 2])
}

fn laws() -> Vec<(&'static str, Box<dyn Distribution>)> {
    let full = Gaussian::full(&[0.3, -0.2], &[0.5, 0.2, 0.2, 0.4], Device::Cpu).unwrap();
    vec![
        ("diagonal", Box::new(gaussian())),
        ("mixture", Box::new(Mixture::new(&[2.0, 1.0], vec![full, gaussian()]))),
        ("finite", Box::new(Finite::new(&points(), Device::Cpu).unwrap())),
    ]
}

/// States of a data point each, so that they are where q_t has mass.
fn states(process: &Arc<LinearGaussian>, t: f64) -> State {
    tch::manual_seed(3);
    let noise = Tensor::randn([3, 2 * process.variables() as i64], (Kind::Double, Device::Cpu));
    State::unconditional(process.state(&points(), &noise, &[t; 3]).unwrap())
}

#[test]
fn of_a_gaussian_it_is_the_closed_form() {
    for process in [process("cld"), process("cld:eps=0"), malda()] {
        let ideal = noise(Box::new(gaussian()), Arc::clone(&process));
        for t in [0.0, 9.5, 99.0, 700.0] {
            let state = states(&process, t);
            let (value, rate) = (ideal.value(&state, &[t; 3]).unwrap(), ideal.rate(&state, &[t; 3]).unwrap());
            let (kernel, k) = (process.kernel(t), process.variables() as i64);
            let (mut expected, mut expected_rate) = (Vec::new(), Vec::new());
            for row in 0..3 {
                for i in 0..k {
                    for (element, (mean, variance)) in [(0, (0.3, 0.25)), (1, (-0.2, 0.04))] {
                        let exact = process.ideal(&kernel, t, mean, variance);
                        let off = |j: i64| state.x.double_value(&[row, 2 * j + element]) - exact.mean[j as usize];
                        let sum = |f: &dyn Fn(usize) -> f64| (0..k as usize).map(f).sum::<f64>();
                        let i = i as usize;
                        expected.push(sum(&|j| exact.gain[[i, j]] * off(j as i64)));
                        expected_rate.push(sum(&|j| {
                            exact.d_gain[[i, j]] * off(j as i64) - exact.gain[[i, j]] * exact.d_mean[j]
                        }));
                    }
                }
            }
            let shape = [3, 2 * k];
            let what = |of: &str| format!("{of} of {} at {t}", process.name);
            // z = L⁻¹u holds x over its noise, 1e5 times as large at t = 0, and differences of it.
            let tolerance = |size| Tolerance::of_largest(size, "cancellation of x over the noise in it");
            assert_close(what("ε"), &value, &Tensor::from_slice(&expected).view(shape), tolerance(1e-9));
            assert_close(what("rate"), &rate, &Tensor::from_slice(&expected_rate).view(shape), tolerance(1e-6));
        }
    }
}

#[test]
fn rates_match_differences_in_time() {
    for process in [process("cld"), process("cld:mass=1,gamma=0.5,beta=9"), malda()] {
        for (name, distribution) in laws() {
            let ideal = noise(distribution, Arc::clone(&process));
            for t in [2.5, 40.0, 500.0] {
                let state = states(&process, t);
                let at = |t: f64| ideal.value(&state, &[t; 3]).unwrap();
                let central = |h: f64| (at(t + h) - at(t - h)) / (2.0 * h);
                let difference = (central(1e-2) * 4.0 - central(2e-2)) / 3.0;
                let tolerance = Tolerance::of_largest(1e-5, "of the differences: truncation h⁴, cancellation over h");
                let what = format!("{name} under {} at {t}", process.name);
                assert_close(what, &ideal.rate(&state, &[t; 3]).unwrap(), &difference, tolerance);
            }
        }
    }
}

/// ε = −Lᵀ ∇_u ln q_t(u), with ln q_t of three points written down as it is.
#[test]
fn it_is_the_score_through_the_factor() {
    for process in [process("cld"), malda()] {
        let ideal = noise(Box::new(Finite::new(&points(), Device::Cpu).unwrap()), Arc::clone(&process));
        for t in [30.0, 300.0] {
            let (kernel, k) = (process.kernel(t), process.variables());
            let state = states(&process, t);
            let u = state.x.copy().set_requires_grad(true);
            // ‖L⁻¹(u − E_x x₀)‖² of every state and point.
            let matrix = |entries: Vec<f64>, shape: [i64; 2]| Tensor::from_slice(&entries).view(shape);
            let k64 = k as i64;
            let inverse = matrix(kernel.whitened().inverse.iter().copied().collect(), [k64, k64]);
            let means = matrix(kernel.mean.to_vec(), [k64, 1]).unsqueeze(0) * points().unsqueeze(1);
            let off = u.view([3, 1, k64, 2]) - means.unsqueeze(0);
            let square = inverse.matmul(&off).square().sum_dim_intlist([2, 3].as_slice(), false, Kind::Double);
            let log_density = (square * -0.5).logsumexp([1].as_slice(), false).sum(Kind::Double);
            let score = Tensor::run_backward(&[log_density], &[&u], false, false).remove(0).view([3, k64, 2]);
            let factor = matrix(kernel.factor.iter().copied().collect(), [k64, k64]);
            let expected = -factor.tr().matmul(&score).view([3, 2 * k64]);
            let tolerance = Tolerance::of_largest(1e-9, "cancellation of x over the noise in it");
            assert_close(
                format!("{} at {t}", process.name),
                &ideal.value(&state, &[t; 3]).unwrap(),
                &expected,
                tolerance,
            );
        }
    }
}

/// Rows of a batch have their own times.
#[test]
fn batches_may_hold_several_timesteps() {
    let process = process("cld");
    let ideal = noise(Box::new(gaussian()), Arc::clone(&process));
    let state = states(&process, 50.0);
    let times = [50.0, 51.0, 400.0];
    let (value, rate) = (ideal.value(&state, &times).unwrap(), ideal.rate(&state, &times).unwrap());
    for (row, &t) in (0..3).zip(&times) {
        let one = State::unconditional(state.x.narrow(0, row, 1));
        let tolerance = Tolerance::of_largest(1e-13, "rounding of float64");
        assert_close("value", &value.narrow(0, row, 1), &ideal.value(&one, &[t]).unwrap(), tolerance);
        assert_close("rate", &rate.narrow(0, row, 1), &ideal.rate(&one, &[t]).unwrap(), tolerance);
    }
}
