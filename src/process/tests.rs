//! The Gaussian process against its formula, row by row in float64.

use super::*;
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
