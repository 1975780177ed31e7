//! Processes against their formulas, row by row in float64.

use super::*;
use crate::random::{Purpose, fill_uniform, stream};
use crate::schedule;

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
    for axis in Axis::ALL {
        assert_eq!(process.coordinate(axis, 20.0), Some(axis.coordinate(&*schedule, 20.0)), "{axis}");
        assert_eq!(process.coordinate_rate(axis, 20.0), Some(axis.rate(&*schedule, 20.0)), "{axis}");
    }
    assert_eq!(process.timesteps(), 1000);
    assert_eq!(process.state_shape(&[3, 4, 4]), [3, 4, 4]);
    assert_eq!(process.blocks(&[3, 4, 4]), [Block { name: None, elements: 0..48 }]);
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
