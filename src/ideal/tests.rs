//! Ideal denoisers against each other, against finite differences, and against the score they are defined by.

use super::*;
use crate::draws::CleanSamples;
use crate::schedule;
use crate::testing::{Tolerance, assert_close};
use crate::timestep_map::Identity;

fn random(shape: &[i64], seed: i64) -> Tensor {
    tch::manual_seed(seed);
    Tensor::randn(shape, (Kind::Double, Device::Cpu))
}

fn denoiser(distribution: Box<dyn Distribution>, name: &str) -> IdealDenoiser {
    let sample_shape = vec![distribution.dim()];
    let schedule = schedule::parse(name).unwrap();
    IdealDenoiser { distribution, process: schedule.into(), map: Arc::new(Identity), sample_shape, device: Device::Cpu }
}

fn rounding(size: f64) -> Tolerance {
    Tolerance::of_largest(size, "rounding of float64")
}

fn full_gaussian() -> Gaussian {
    Gaussian::full(&[0.3, -0.2, 0.5], &[0.5, 0.2, 0.0, 0.2, 0.4, -0.1, 0.0, -0.1, 0.3], Device::Cpu).unwrap()
}

fn mixture() -> Mixture {
    let second = Gaussian::diagonal(&[-0.6, 0.1, 0.0], &[0.02, 0.3, 0.1], Device::Cpu);
    Mixture::new(&[2.0, 1.0], vec![full_gaussian(), second])
}

fn all() -> Vec<(&'static str, Box<dyn Distribution>)> {
    let data = random(&[7, 3], 1);
    vec![
        ("diagonal", Box::new(Gaussian::diagonal(&[0.1, 0.2, -0.3], &[0.25, 0.5, 1e-4], Device::Cpu))),
        ("full", Box::new(full_gaussian())),
        ("mixture", Box::new(mixture())),
        ("finite", Box::new(Finite::new(&data, Device::Cpu).unwrap().with_chunk_rows(3))),
    ]
}

#[test]
fn rates_match_differences_in_time() {
    for schedule in ["linear", "cosine", "trigflow", "flow"] {
        for (name, distribution) in all() {
            let ideal = denoiser(distribution, schedule);
            // Away from the indices, where an interpolated schedule has no third derivative.
            for t in [2.5, 40.5, 500.5] {
                let x = random(&[5, 3], 2);
                let state = State::unconditional(x);
                let at = |t: f64| ideal.value(&state, &[t; 5]).unwrap();
                let central = |h: f64| (at(t + h) - at(t - h)) / (2.0 * h);
                let difference = (central(5e-3) * 4.0 - central(1e-2)) / 3.0;
                let what = format!("{name} {schedule} at {t}");
                let tolerance = Tolerance::of_largest(2e-8, "of the differences: truncation h⁴, rounding 1e-16/h");
                assert_close(what, &ideal.rate(&state, &[t; 5]).unwrap(), &difference, tolerance);
            }
        }
    }
}

/// ε* = −σ ∇ log q_t by automatic differentiation of the density itself.
#[test]
fn epsilon_is_minus_sigma_times_the_score() {
    let schedule = schedule::parse("linear").unwrap();
    let level = schedule.level(30.0);
    let data = random(&[7, 3], 1);
    let x = random(&[4, 3], 3).set_requires_grad(true);
    let square = (x.unsqueeze(1) - data.unsqueeze(0) * level.alpha).pow_tensor_scalar(2);
    let log_q =
        (square.sum_dim_intlist(-1, false, Kind::Double) / (-2.0 * level.sigma * level.sigma)).logsumexp(1, false);
    let score = Tensor::run_backward(&[log_q.sum(Kind::Double)], &[&x], false, false).remove(0);
    let ideal = Finite::new(&data, Device::Cpu).unwrap().with_chunk_rows(2);
    let epsilon = ideal.epsilon(&x.detach(), &[level; 4], false).unwrap().value;
    assert_close("epsilon", &epsilon, &(score * -level.sigma), rounding(1e-12));
}

#[test]
fn limits_agree() {
    let x = random(&[6, 3], 4);
    let level = schedule::parse("linear").unwrap().level(50.0);
    let levels = [level; 6];
    let epsilon = |d: &dyn Distribution| d.epsilon(&x, &levels, true).unwrap();
    // A full covariance that is diagonal, and a mixture of two equal halves, are the diagonal Gaussian.
    let diagonal = Gaussian::diagonal(&[0.1, 0.2, 0.3], &[0.5, 0.6, 0.7], Device::Cpu);
    let full = Gaussian::full(&[0.1, 0.2, 0.3], &[0.5, 0., 0., 0., 0.6, 0., 0., 0., 0.7], Device::Cpu).unwrap();
    let half = || Gaussian::diagonal(&[0.1, 0.2, 0.3], &[0.5, 0.6, 0.7], Device::Cpu);
    let halves = Mixture::new(&[1.0, 1.0], vec![half(), half()]);
    // A mixture of points is the finite data set.
    let data = random(&[4, 3], 5);
    let points = (0..4).map(|i| {
        let row: Vec<f64> = Vec::try_from(data.get(i)).unwrap();
        Gaussian::diagonal(&row, &[0.0; 3], Device::Cpu)
    });
    let points = Mixture::new(&[1.0; 4], points.collect());
    let finite = Finite::new(&data, Device::Cpu).unwrap();
    let pairs: [(&dyn Distribution, &dyn Distribution); 3] =
        [(&full, &diagonal), (&halves, &diagonal), (&finite, &points)];
    for (a, b) in pairs {
        let (a, b) = (epsilon(a), epsilon(b));
        assert_close("value", &a.value, &b.value, rounding(1e-12));
        assert_close("tangent", &a.tangent.unwrap(), &b.tangent.unwrap(), rounding(1e-11));
    }
}

#[test]
fn rows_may_have_different_times_and_chunks_do_not_matter() {
    let data = random(&[11, 3], 6);
    let x = random(&[3, 3], 7);
    let schedule = schedule::parse("cosine").unwrap();
    let levels: Vec<Level> = [0.0, 80.0, 700.0].map(|t| schedule.level(t)).into();
    let whole = Finite::new(&data, Device::Cpu).unwrap().epsilon(&x, &levels, true).unwrap();
    for chunk in [1, 4, 11] {
        let finite = Finite::new(&data, Device::Cpu).unwrap().with_chunk_rows(chunk);
        let chunked = finite.epsilon(&x, &levels, true).unwrap();
        assert_close("value", &chunked.value, &whole.value, rounding(1e-12));
        assert_close("tangent", chunked.tangent.as_ref().unwrap(), whole.tangent.as_ref().unwrap(), rounding(1e-9));
        for (i, level) in levels.iter().enumerate() {
            let alone = finite.epsilon(&x.narrow(0, i as i64, 1), &[*level], false).unwrap().value;
            assert_close(i, &alone, &whole.value.narrow(0, i as i64, 1), rounding(1e-12));
        }
    }
}

#[test]
fn draws_have_the_moments_of_their_distribution() {
    use crate::random::{Purpose, stream};
    let (gaussian, count) = (full_gaussian(), 40_000);
    let samples = gaussian.samples();
    let mut sum = [0.0; 3];
    let mut cross = 0.0;
    for i in 0..count {
        let mut x = [0.0; 3];
        samples.draw(&mut stream(0, Purpose::CleanSample, 0.0, i), &mut x).unwrap();
        for (total, value) in sum.iter_mut().zip(x) {
            *total += f64::from(value) / count as f64;
        }
        cross += f64::from((x[0] - 0.3) * (x[1] + 0.2)) / count as f64;
    }
    // Five standard errors of √(0.5/n) and √((0.5·0.4 + 0.2²)/n).
    assert!(sum.iter().zip([0.3, -0.2, 0.5]).all(|(got, mean)| (got - mean).abs() < 0.018), "{sum:?}");
    assert!((cross - 0.2).abs() < 0.0125, "{cross}");
}

/// Means over the coordinates of E x and of E x² = (E x)² + Var x.
#[test]
fn moments_are_those_of_the_definition() {
    let tolerance = Tolerance::absolute(1e-15, "rounding of float64");
    let gaussian = [0.6 / 3.0, (0.38 + 1.2) / 3.0];
    let second = [-0.5 / 3.0, (0.37 + 0.42) / 3.0];
    assert_close("gaussian", &full_gaussian().samples().moments().unwrap(), &gaussian, tolerance);
    let both: Vec<f64> = gaussian.iter().zip(second).map(|(a, b)| (2.0 * a + b) / 3.0).collect();
    assert_close("mixture", &mixture().samples().moments().unwrap()[..], &both[..], tolerance);
}

#[test]
fn components_are_drawn_as_often_as_they_weigh() {
    use crate::random::{Purpose, stream};
    let points = [-1.0, 0.0, 1.0].map(|mean| Gaussian::diagonal(&[mean], &[0.0], Device::Cpu));
    let samples = Mixture::new(&[1.0, 2.0, 5.0], points.into()).samples();
    let (mut counts, draws) = ([0.0; 3], 40_000);
    for i in 0..draws {
        let mut x = [f32::NAN];
        samples.draw(&mut stream(0, Purpose::CleanSample, 0.0, i), &mut x).unwrap();
        counts[(x[0] + 1.0) as usize] += 1.0 / draws as f64;
    }
    let tolerance = Tolerance::absolute(0.0125, "five standard errors of √(p(1 − p)/n) ≤ 0.0025");
    assert_close("parts", &counts, &[0.125, 0.25, 0.625], tolerance);
}

#[test]
fn covariances_that_are_none_are_refused() {
    assert!(Gaussian::full(&[0.0; 2], &[1.0, 0.5, 0.4, 1.0], Device::Cpu).is_err());
    assert!(Gaussian::full(&[0.0; 2], &[1.0, 2.0, 2.0, 1.0], Device::Cpu).is_err());
}
