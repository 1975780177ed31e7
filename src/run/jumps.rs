//! What a curve of total rates comes to: steps of uniformization, and the calibration of the mean.

use crate::estimator::Method;
use crate::process::Jump;
use crate::report::{Calibration, Curve, Point, Uniformization};
use lipscope_core::process::jump::integral;

/// Samples with at least one jump that a timestep needs for the check: where data is sparse all of R is theirs, and the spread
/// of fewer is not to be believed.
const JUMPED: f64 = 30.0;

/// Relative error of E R that single precision explains, where the number of jumps explains all of the spread.
const ROUNDING: f64 = 1e-6;

/// ∫ R dσ between the first and the last σ of a curve of R; `None` of another curve.
pub(super) fn uniformization(curve: &Curve) -> Option<Uniformization> {
    let points = || curve.points.iter().filter(|_| curve.is_size_of_rate());
    let along = |of: fn(&Point) -> Option<f64>| -> Option<Vec<(f64, f64)>> {
        let known: Vec<(f64, f64)> = points().filter_map(|point| Some((point.sigma?, of(point)?))).collect();
        (known.len() == curve.points.len() && known.len() > 1).then_some(known)
    };
    let bounds = along(|point| point.max)?;
    Some(Uniformization {
        expected_steps_sup: integral(&bounds),
        expected_steps_q999: along(|point| point.p999).map(|quantiles| integral(&quantiles)),
        expected_jumps: integral(&along(|point| point.mean)?),
        from: bounds.first()?.0,
        to: bounds.last()?.0,
        exact: curve.estimator == Method::ClosedForm,
    })
}

/// E R against what the forward process says, of a curve of R over samples of so many positions.
pub(super) fn calibration(curve: &Curve, jump: &Jump, positions: usize) -> Option<Calibration> {
    let exact = curve.estimator == Method::ClosedForm;
    let seen = |point: &&Point| {
        let still = jump.graph.kernel(jump.sigma(point.timestep)).stays.powi(positions as i32);
        exact || point.samples as f64 * (1.0 - still) >= JUMPED
    };
    let measured = curve.points.iter().filter(|_| curve.is_size_of_rate()).filter(seen);
    let known = measured.filter_map(|point| {
        let expected = jump.graph.mean_rate(positions, jump.sigma(point.timestep));
        Some((expected, point.mean?, point.std_error.unwrap_or_default()))
    });
    let known: Vec<(f64, f64, f64)> = known.collect();
    let count = known.len() as f64;
    let mean = |of: fn(&(f64, f64, f64)) -> f64| known.iter().map(of).sum::<f64>() / count;
    let (expected, found) = (mean(|row| row.0), mean(|row| row.1));
    let error = (known.iter().map(|row| row.2 * row.2).sum::<f64>()).sqrt() / count;
    let z = (found - expected) / error.hypot(ROUNDING * expected);
    (!known.is_empty()).then(|| Calibration {
        expected_mean_rate: expected,
        measured: found,
        z: (!exact).then_some(z),
        worst_state: curve.points.iter().filter_map(|point| point.off_in_state).reduce(f64::max),
        timesteps: known.len() as u64,
        of: curve.points.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::closed_form_curve;
    use crate::estimator::{Norm, Quantity};
    use crate::of::Of;
    use crate::process::ProcessSpec;
    use crate::time::Axis;

    fn curve(samples: u64, points: &[(f64, f64)]) -> Curve {
        let mut curve = closed_form_curve((Quantity::Size, Of::Rate), Axis::Step, Norm::L2, None);
        curve.estimator = Method::ControlVariates;
        let point = |&(timestep, mean): &(f64, f64)| Point {
            timestep,
            samples,
            sigma: Some(timestep + 1.0),
            mean: Some(mean),
            max: Some(2.0 * mean),
            std_error: Some(0.1),
            ..Point::default()
        };
        curve.points = points.iter().map(point).collect();
        curve
    }

    #[test]
    fn timesteps_without_jumps_are_left_out_of_the_check() {
        let ProcessSpec::Jump(jump) = "flip:timesteps=1000".parse().unwrap() else { panic!() };
        // P(a jump) of five bits is 0.005 at t = 0, and 0.95 at t = 600.
        let found = calibration(&curve(64, &[(0.0, 0.001), (600.0, 5.2)]), &jump, 5).unwrap();
        assert_eq!((found.timesteps, found.of, found.expected_mean_rate), (1, 2, 5.0));
        assert!((found.z.unwrap() - 2.0).abs() < 1e-6, "{found:?}");
        assert_eq!(calibration(&curve(64, &[(0.0, 0.001)]), &jump, 5), None);
        let both = calibration(&curve(10_000, &[(0.0, 5.0), (600.0, 5.2)]), &jump, 5).unwrap();
        assert!((both.z.unwrap() - 0.1 / (0.1 / 2f64.sqrt())).abs() < 1e-6, "{both:?}");
    }

    #[test]
    fn steps_are_integrals_over_sigma_and_need_every_point() {
        let mut rates = curve(64, &[(0.0, 3.0), (2.0, 1.0)]);
        let found = uniformization(&rates).unwrap();
        // 6/σ from 1 to 3.
        assert!((found.expected_steps_sup - 6.0 * 3f64.ln()).abs() < 1e-12, "{found:?}");
        assert!((found.expected_jumps - 3.0 * 3f64.ln()).abs() < 1e-12, "{found:?}");
        assert_eq!((found.from, found.to, found.exact, found.expected_steps_q999), (1.0, 3.0, false, None));
        rates.points[1].max = None;
        assert_eq!(uniformization(&rates), None);
        rates.of = Of::Jumps;
        assert_eq!(uniformization(&rates), None);
    }
}
