//! Processes against their formulas, row by row in float64.

use super::*;
use crate::random::{Purpose, fill_uniform, stream};
use crate::schedule;
use crate::testing::{Tolerance, assert_close};

#[test]
fn a_gaussian_state_is_signal_and_noise_by_the_schedule() {
    let schedule = schedule::parse("cosine").unwrap();
    let process = Gaussian::from(schedule.clone());
    let clean = Tensor::from_slice(&[0.5f64, -1.0, 0.25, 0.75]).reshape([2, 2]);
    let noise = Tensor::from_slice(&[1.5f64, 0.5, -0.25, -2.0]).reshape([2, 2]);
    let times = [3.0, 640.5];
    let x = process.state(&clean, &noise, &times).unwrap();
    for (row, &t) in times.iter().enumerate() {
        for element in 0..2 {
            let at = [row as i64, element];
            let expected = schedule.alpha(t) * clean.double_value(&at) + schedule.sigma(t) * noise.double_value(&at);
            // One rounding of each product and of the sum.
            assert!((x.double_value(&at) - expected).abs() <= 4.0 * f64::EPSILON, "{row} {element}");
        }
    }
}

#[test]
fn a_gaussian_has_every_axis_and_one_unnamed_block() {
    let schedule = schedule::parse("linear").unwrap();
    let process = Gaussian::from(schedule.clone());
    for axis in Axis::ALL.into_iter().filter(|axis| *axis != Axis::Argument) {
        assert_eq!(process.coordinate(axis, 20.0), Some(axis.coordinate(&*schedule, 20.0)), "{axis}");
        assert_eq!(process.coordinate_rate(axis, 20.0), Some(axis.rate(&*schedule, 20.0)), "{axis}");
    }
    assert_eq!(process.timesteps(), 1000);
    assert_eq!(process.state_shape(&[3, 4, 4]), [3, 4, 4]);
    assert_eq!(process.blocks(&[3, 4, 4]), [Block { name: None, elements: 0..48 }]);
}

fn cld(text: &str) -> Arc<LinearGaussian> {
    match text.parse().unwrap() {
        ProcessSpec::LinearGaussian(process) => process,
        other => panic!("{other}"),
    }
}

/// Each row at its own t: u = E_x x₀ + L ε, for images and for rows, the variables one after the other.
#[test]
fn a_state_with_a_velocity_is_its_mean_and_the_factor_of_its_covariance() {
    let process = cld("cld");
    for sample in [vec![3i64], vec![1, 3, 1], vec![3, 1]] {
        let state = process.state_shape(&sample);
        assert_eq!((state.len(), state[0], &state[1..]), (sample.len(), 2 * sample[0], &sample[1..]));
        let width = sample.iter().product::<i64>();
        let rows = |shape: &[i64], step: f64| {
            let all = [&[2], shape].concat();
            (Tensor::arange(all.iter().product::<i64>(), (tch::Kind::Double, tch::Device::Cpu)) * step)
                .sin()
                .view(&all[..])
        };
        let (clean, noise, times) = (rows(&sample, 0.7), rows(&state, 1.3), [4.0, 310.5]);
        let u = process.state(&clean, &noise, &times).unwrap();
        assert_eq!(u.size(), [&[2], &state[..]].concat());
        let at = |tensor: &Tensor, row: i64, element: i64| tensor.view([2, -1]).double_value(&[row, element]);
        for (row, t) in (0..2).zip(times) {
            let kernel = process.kernel(t);
            for element in 0..width {
                let (x, v) = (at(&noise, row, element), at(&noise, row, element + width));
                let l = &kernel.factor;
                let expected = [
                    kernel.mean[0] * at(&clean, row, element) + l[[0, 0]] * x,
                    kernel.mean[1] * at(&clean, row, element) + l[[1, 0]] * x + l[[1, 1]] * v,
                ];
                for (i, expected) in expected.into_iter().enumerate() {
                    let got = at(&u, row, element + i as i64 * width);
                    assert!((got - expected).abs() <= 8.0 * f64::EPSILON, "{row} {element} {i}");
                }
            }
        }
    }
    assert_eq!(process.state_shape(&[3, 8, 8]), [6, 8, 8]);
    let blocks = process.blocks(&[3, 8, 8]);
    let named = |name: &str, elements| Block { name: Some(name.into()), elements };
    assert_eq!(blocks, [named("x", 0..192), named("v", 192..384)]);
    assert_eq!((process.coordinate(Axis::Sigma, 3.0), process.gaussian().is_none()), (None, true));
    assert!(process.start(&Tensor::zeros([1], (tch::Kind::Double, tch::Device::Cpu)), 3.0).is_err());
}

/// The law of drawn states: mean and covariance are those of the kernel, to five standard errors of 40,000 draws.
#[test]
fn drawn_states_have_the_covariance_of_the_kernel() {
    let process = cld("cld:gamma=1");
    let source = Arc::new(crate::ideal::Gaussian::diagonal(&[0.3], &[0.0], tch::Device::Cpu).samples());
    let draws = crate::draws::Draws::new(source, 7, vec![1]).under(&process);
    let (count, t) = (40_000, 60.0);
    let rows = draws.rows(&(0..count).map(|sample| crate::draws::Draw { t, sample }).collect::<Vec<_>>()).unwrap();
    assert_eq!((rows.x0.len(), rows.noise.len()), (40_000, 80_000));
    let pairs = draws.to_device(&rows, tch::Device::Cpu, tch::Kind::Double).unwrap();
    let u = pairs.x_t(&process, &vec![t; count as usize]).unwrap();
    let kernel = process.kernel(t);
    let mean = u.mean_dim([0].as_slice(), false, tch::Kind::Double);
    let centered = &u - &mean;
    let covariance = centered.tr().matmul(&centered) / count as f64;
    let expected = kernel.covariance();
    for i in 0..2 {
        let spread = (expected[[i as usize, i as usize]] / count as f64).sqrt();
        assert!((mean.double_value(&[i]) - 0.3 * kernel.mean[i as usize]).abs() < 5.0 * spread, "mean {i}");
        for j in 0..2 {
            let (a, b, c) = (
                expected[[i as usize, i as usize]],
                expected[[j as usize, j as usize]],
                expected[[i as usize, j as usize]],
            );
            // Var of a product of normals: Σ_ii Σ_jj + Σ_ij².
            let spread = ((a * b + c * c) / count as f64).sqrt();
            assert!((covariance.double_value(&[i, j]) - c).abs() < 5.0 * spread, "{i} {j}");
        }
    }
}

/// Without auxiliary variables the noise of a sample has its shape, and no bit depends on how it is asked for.
#[test]
fn noise_of_a_gaussian_process_is_as_wide_as_a_sample() {
    let source = Arc::new(crate::ideal::Gaussian::diagonal(&[0.0; 6], &[1.0; 6], tch::Device::Cpu).samples());
    let draws = crate::draws::Draws::new(source, 7, vec![2, 3]);
    let gaussian = Gaussian::from(schedule::parse("linear").unwrap());
    let asked = [crate::draws::Draw { t: 3.0, sample: 5 }];
    let (plain, under) = (draws.clone().rows(&asked).unwrap(), draws.clone().under(&gaussian).rows(&asked).unwrap());
    assert_eq!(plain.noise, under.noise);
    // The first numbers of a wider noise are those of the narrower one.
    let wide = draws.under(&cld("cld")).rows(&asked).unwrap();
    assert_eq!((wide.noise.len(), &wide.noise[..6]), (12, &plain.noise[..]));
    let double = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
    assert_close("x0", &double(&wide.x0), &double(&plain.x0), Tolerance::of_each(0.0, "the same stream"));
}

/// Element by element the state is what [`Graph::jump`](lipscope_core::process::jump::Graph::jump) says, each row at its own t.
#[test]
fn symbols_jump_as_their_uniform_numbers_say() {
    for name in ["flip", "uniform:symbols=2", "uniform:symbols=50257", "absorb:symbols=5"] {
        let ProcessSpec::Jump(jump) = name.parse().unwrap() else { panic!() };
        let (width, times) = (64, [3.0, 499.5, 999.0]);
        let mut uniform = vec![0.0f32; width * times.len()];
        fill_uniform(&mut stream(4, Purpose::Noise, 0.0, 0), &mut uniform);
        uniform[0] = 0.0;
        let clean: Vec<f32> = (0..uniform.len()).map(|i| (i * 7 % jump.graph.symbols()) as f32).collect();
        let tensor = |values: &[f32]| Tensor::from_slice(values).view([3, 8, 8]);
        let state = jump.state(&tensor(&clean), &tensor(&uniform), &times).unwrap();
        assert_eq!((state.size(), state.kind()), (vec![3, 8, 8], tch::Kind::Float));
        let state: Vec<f32> = state.reshape([-1]).try_into().unwrap();
        for (i, symbol) in state.into_iter().enumerate() {
            let kernel = jump.graph.kernel(jump.sigma(times[i / width]));
            let expected = jump.graph.jump(clean[i] as usize, &kernel, f64::from(uniform[i]));
            assert_eq!(symbol as usize, expected, "{name} {i}");
        }
        assert_eq!(jump.noise(), NoiseKind::Uniform);
    }
}

#[test]
fn a_jump_process_has_no_log_snr() {
    let ProcessSpec::Jump(jump) = "absorb:symbols=3".parse().unwrap() else { panic!() };
    let process = of_spec(&ProcessSpec::Jump(Arc::clone(&jump)));
    assert_eq!(process.coordinate(Axis::LogSnr, 3.0), None);
    assert_eq!(process.coordinate(Axis::Sigma, 3.0), Some(jump.sigma(3.0)));
    assert_eq!((process.axis(), process.timesteps()), (Axis::Sigma, 1000));
    let number = told(&*process, "sigma*10".parse().unwrap(), 3.0).unwrap();
    assert!((number - 10.0 * jump.sigma(3.0)).abs() < 1e-15);
    let refused = told_rate(&*process, "log-snr".parse().unwrap(), 3.0).unwrap_err().to_string();
    assert!(refused.contains("--time-input"), "{refused}");
}

#[test]
fn numbers_that_are_told_have_their_rates() {
    let flow = Gaussian::from(schedule::parse("flow").unwrap());
    let rate = |text: &str, t: f64| told_rate(&flow, text.parse().unwrap(), t).unwrap();
    // Exact in float64: d(1 − (t + 1)/1000)/dt, and d ln u/dt = 1/(1000 u) at u = 0.25.
    assert_eq!((rate("1-unit", 3.0), rate("ln-unit", 249.0)), (-1e-3, 4e-3));
    let range = of_spec(&"none:from=0,to=1".parse().unwrap());
    let error = told(&*range, Conditioning::scaled(Axis::Sigma, 1.0), 3.0).unwrap_err().to_string();
    assert!(error.contains("--time-input") && error.contains("step"), "{error}");
}
