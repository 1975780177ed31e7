//! From norms to a report's points, paired ratios and summaries.

use crate::control_variates::{Control, Covariates, controlled};
use crate::estimator::{Method, Norm, Quantity};
use crate::lipschitz_mass::LipschitzMass;
use crate::measure::{AtTimestep, Estimated, Subject};
use crate::of::Of;
use crate::process::ForwardProcess;
use crate::ratio::paired_ratio;
use crate::report::{ComparisonRow, Curve, MeanSquare, ModelReport, NearZero, Point, Rest, Spent, Summary};
use crate::schedule::NoiseSchedule;
use crate::singularity::{Over, Sample, Singularity, judge};
use crate::stats::{median, quantile_of};
use crate::time::{Axis, Timestep};

/// A curve before its first point.
pub fn empty_curve(Estimated { estimator, block }: &Estimated, of: Of) -> Curve {
    Curve {
        quantity: estimator.quantity(),
        of,
        block: block.clone(),
        estimator: estimator.method(),
        norm: estimator.norm(),
        axis: estimator.axis(),
        unit: estimator.quantity().unit(of, estimator.axis()),
        dt: estimator.t_next(0.0),
        points: Vec::new(),
    }
}

/// An empty closed-form curve, for expectations that need no samples.
pub fn closed_form_curve((quantity, of): (Quantity, Of), axis: Axis, norm: Norm, dt: Option<f64>) -> Curve {
    Curve {
        quantity,
        of,
        block: None,
        estimator: Method::ClosedForm,
        norm,
        axis,
        unit: quantity.unit(of, axis),
        dt,
        points: Vec::new(),
    }
}

/// A point without numbers yet: the process's side of it.
pub fn bare_point(process: &dyn ForwardProcess, t: Timestep, t_next: Option<Timestep>) -> Point {
    let schedule = process.gaussian();
    Point {
        timestep: t,
        t_next,
        alpha: schedule.map(|schedule| schedule.alpha(t)),
        sigma: schedule.map(|schedule| schedule.sigma(t)).or_else(|| process.coordinate(Axis::Sigma, t)),
        log_snr: schedule.map(|schedule| schedule.log_snr(t)).filter(|log_snr| log_snr.is_finite()),
        ..Point::default()
    }
}

/// Adds what was measured at one timestep to the curves of all models, in its place.
pub fn add_points(models: &mut [ModelReport], subjects: &[Subject], measured: &AtTimestep) {
    let numbers = measured.norms.iter().zip(&measured.unconverged);
    for ((model, subject), (norms, unconverged)) in models.iter_mut().zip(subjects).zip(numbers) {
        let numbers = norms.iter().zip(unconverged);
        for (curve, (norms, unconverged)) in model.curves.iter_mut().zip(numbers) {
            let (s, _) = controlled(norms, &measured.control);
            let finite = norms.iter().zip(&measured.rows).filter(|(norm, _)| norm.is_finite());
            let largest = finite.max_by(|a, b| a.0.total_cmp(b.0));
            let (t, t_next) = (measured.t, curve.dt.map(|dt| measured.t + dt));
            let place = curve.points.partition_point(|point| point.timestep < t);
            let point = Point {
                samples: s.samples,
                mean: s.mean,
                std_error: s.std_error,
                ci_low: s.interval.map(|interval| interval.0),
                ci_high: s.interval.map(|interval| interval.1),
                p05: s.quantiles.map(|quantiles| quantiles[0]),
                p50: s.quantiles.map(|quantiles| quantiles[1]),
                p95: s.quantiles.map(|quantiles| quantiles[2]),
                max: s.max,
                off_in_state: off_in_state(norms, curve, [subject, &subjects[0]], measured),
                p999: curve.is_size_of_rate().then(|| quantile_of(norms, 0.999)).flatten(),
                max_row: largest.map(|(_, row)| *row as u64),
                skewness: s.skewness,
                non_finite: s.non_finite,
                unconverged: *unconverged,
                mean_square: mean_square(norms, curve, subject, &measured.control),
                ..bare_point(subject.response.process(), t, t_next)
            };
            curve.points.insert(place, point);
        }
    }
}

/// Under masking R (e^σ − 1) is the number of masked positions, whatever the data: by which part it is off in the worst of these
/// samples, of which the covariates tell the number under the process of the first subject.
fn off_in_state(norms: &[f64], curve: &Curve, [subject, first]: [&Subject; 2], measured: &AtTimestep) -> Option<f64> {
    let process = subject.response.process();
    let jump = process.jump().filter(|jump| curve.is_size_of_rate() && jump.graph.mask().is_some())?;
    (first.response.process().jump() == Some(jump)).then_some(())?;
    let sigma = jump.sigma(measured.t);
    let positions = subject.response.sample_shape().iter().product::<i64>() as f64;
    let masked = |covariates: &Covariates| positions * (covariates[0] + jump.graph.kernel(sigma).jumps);
    let rows = norms.iter().zip(&measured.control.covariates).map(|(rate, c)| (rate * sigma.exp_m1(), masked(c)));
    // A part of a position is rounding.
    rows.filter(|(rate, masked)| *masked > 0.5 && rate.is_finite()).map(|(r, m)| (r / m - 1.0).abs()).reduce(f64::max)
}

/// E‖f‖² from the norms of a size.
fn mean_square(norms: &[f64], curve: &Curve, subject: &Subject, control: &Control) -> Option<MeanSquare> {
    if curve.quantity != Quantity::Size {
        return None;
    }
    let blocks = subject.response.blocks();
    let elements = &blocks.iter().find(|block| block.name == curve.block)?.elements;
    let count = (elements.end - elements.start) as f64;
    let scale = if curve.norm == Norm::Rms { count } else { 1.0 };
    let squares: Vec<f64> = norms.iter().map(|norm| norm * norm * scale).collect();
    let found = controlled(&squares, control).0;
    let (ci_low, ci_high) = found.interval.unzip();
    let mean = found.mean?;
    Some(MeanSquare { mean, std_error: found.std_error, ci_low, ci_high, per_element: mean / count })
}

/// Ratios of every candidate over the first model at one timestep, on the same samples.
pub fn ratios(models: &[ModelReport], measured: &AtTimestep) -> Vec<ComparisonRow> {
    let Some((baseline, candidates)) = measured.norms.split_first() else { return Vec::new() };
    let first = || models.iter().take(1).flat_map(|model| &model.curves).zip(baseline);
    let mut rows = Vec::new();
    for (model, norms) in models.iter().skip(1).zip(candidates) {
        for (curve, candidate) in model.curves.iter().zip(norms) {
            // One model may predict more variables than the other.
            let same = |other: &Curve| (other.quantity, &other.block) == (curve.quantity, &curve.block);
            let Some((_, base)) = first().find(|(other, _)| same(other)) else { continue };
            let mean = |norms: &[f64]| controlled(norms, &measured.control).0.mean;
            let ratio = paired_ratio(base, candidate, &measured.control);
            rows.push(ComparisonRow {
                model: model.label.clone(),
                timestep: measured.t,
                t_next: curve.dt.map(|dt| measured.t + dt),
                quantity: curve.quantity,
                of: curve.of,
                block: curve.block.clone(),
                baseline: mean(base),
                candidate: mean(candidate),
                ratio: ratio.map(|ratio| ratio.value),
                ratio_ci_low: ratio.and_then(|ratio| ratio.interval).map(|interval| interval.0),
                ratio_ci_high: ratio.and_then(|ratio| ratio.interval).map(|interval| interval.1),
            });
        }
    }
    rows
}

/// What a complete curve comes to, with `until` the end of the window near 0.
pub fn summarise(curve: &Curve, until: Timestep, process: &dyn ForwardProcess, spent: Spent) -> Summary {
    let finite = curve.points.iter().filter_map(|point| point.mean.map(|mean| (point.timestep, mean)));
    let (near, rest): (Vec<_>, Vec<_>) = finite.partition(|(t, _)| *t < until);
    let peak = near.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    let of = |points: &[(f64, f64)]| points.iter().map(|point| point.1).collect::<Vec<f64>>();
    let mean = |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    let rest = of(&rest);
    let (total_variation, total_variation_exact) = total_variation(curve, until);
    let typical = median(&rest).filter(|median| *median > 0.0);
    Summary {
        quantity: curve.quantity,
        of: curve.of,
        block: curve.block.clone(),
        near_zero: NearZero {
            from: 0.0,
            until,
            mean: mean(&of(&near)),
            max: peak.map(|peak| peak.1),
            argmax: peak.map(|peak| peak.0),
            total_variation,
            total_variation_exact,
            unmeasured_jumps: Vec::new(),
        },
        rest: Rest { mean: mean(&rest), max: rest.iter().copied().reduce(f64::max) },
        singularity: match process.gaussian() {
            Some(schedule) => singularity(curve, schedule).filter(|_| !curve.of.divides_by_sigma()),
            None if process.jump().is_some() => singularity_over_noise(curve, process),
            None => process.linear_gaussian().and_then(|_| singularity_without_sigma(curve)),
        },
        total_variation_all: variation_of_all(curve, process.timesteps()),
        terminal: None,
        memorisation: None,
        uniformization: None,
        calibration: None,
        peak_ratio: peak.zip(typical).map(|(peak, typical)| peak.1 / typical),
        function_evaluations: spent.function_evaluations,
        wall_seconds: spent.wall_seconds,
    }
}

/// The verdict at the end at which σ → 0: over steps of noise where those mean something to the model, else over σ.
fn singularity(curve: &Curve, schedule: &dyn NoiseSchedule) -> Option<Singularity> {
    let samples = samples(curve, schedule);
    if schedule.has_steps() {
        return judge(&samples, Over::Steps, schedule.d_sigma_dt(-1.0).is_infinite());
    }
    let sigma = |t: Timestep| schedule.sigma(t);
    let over_sigma = |sample: Sample| {
        let next = curve.dt.map_or(sample.t, |dt| sample.t + dt);
        let value = sample.per_sigma?;
        Some(Sample { steps: (sigma(sample.t) + sigma(next)) / 2.0, value, ..sample })
    };
    let samples: Vec<Sample> = samples.into_iter().filter_map(over_sigma).collect();
    judge(&samples, Over::Sigma, false)
}

/// The same under a process that has no σ: over steps, on the range that was measured.
fn singularity_without_sigma(curve: &Curve) -> Option<Singularity> {
    let sample = |point: &Point| {
        let t = point.timestep;
        Some(Sample { t, steps: 1.0 + (t + point.t_next.unwrap_or(t)) / 2.0, value: point.mean?, per_sigma: None })
    };
    let measured = curve.points.iter().filter(|_| curve.quantity.has_time_axis());
    judge(&measured.filter_map(sample).collect::<Vec<_>>(), Over::Steps, false)
}

/// The verdict on rates and laws of a jump process, per σ, as its total noise σ → 0.
fn singularity_over_noise(curve: &Curve, process: &dyn ForwardProcess) -> Option<Singularity> {
    process.jump().filter(|_| curve.quantity.has_time_axis())?;
    let sample = |point: &Point| {
        let t = point.timestep;
        let at = |axis: Axis, t: Timestep| process.coordinate(axis, t);
        let sigma = at(Axis::Sigma, t)?;
        let (steps, per_sigma) = match point.t_next {
            Some(next) => {
                let there = at(Axis::Sigma, next)?;
                ((sigma + there) / 2.0, (at(curve.axis, next)? - at(curve.axis, t)?) / (there - sigma))
            }
            None => (sigma, process.coordinate_rate(curve.axis, t)? / process.coordinate_rate(Axis::Sigma, t)?),
        };
        let value = point.mean? * per_sigma.abs();
        Some(Sample { t, steps, value, per_sigma: Some(value) })
    };
    judge(&curve.points.iter().filter_map(sample).collect::<Vec<_>>(), Over::Sigma, false)
}

/// What [`judge`] looks at. Per σ: times |Δa/Δσ|, or |da/dσ| for a derivative. A quantity in x has no time axis.
fn samples(curve: &Curve, schedule: &dyn NoiseSchedule) -> Vec<Sample> {
    let axis = curve.axis;
    let sample = |point: &Point| {
        let t = point.timestep;
        let (steps, per_sigma) = match point.t_next {
            Some(next) => {
                let distance = |axis: Axis| axis.coordinate(schedule, next) - axis.coordinate(schedule, t);
                (1.0 + (t + next) / 2.0, distance(axis) / distance(Axis::Sigma))
            }
            None => (1.0 + t, axis.rate(schedule, t) / schedule.d_sigma_dt(t)),
        };
        let value = point.mean?;
        Some(Sample { t, steps, value, per_sigma: Some(value * per_sigma.abs()) })
    };
    if curve.quantity.has_time_axis() { curve.points.iter().filter_map(sample).collect() } else { Vec::new() }
}

/// Σ K(t, t+1)·Δa over the steps of [0, until), linear between measured points; exact where every step was measured.
/// Only secants over one step on the step axis add up to a variation of ε over that window.
fn total_variation(curve: &Curve, until: Timestep) -> (Option<f64>, bool) {
    if !curve.quantity.has_time_axis() || curve.axis != Axis::Step || curve.dt.is_some_and(|dt| dt != 1.0) {
        return (None, false);
    }
    let known: Vec<(f64, f64)> =
        curve.points.iter().filter_map(|point| point.mean.map(|mean| (point.timestep, mean))).collect();
    let end = until.ceil();
    match LipschitzMass::new(&known) {
        Ok(mass) if mass.span().0 <= 0.0 && mass.span().1 >= end => {
            (Some(mass.between(0.0, end)), curve.dt.is_some() && mass.is_measured(0.0, end))
        }
        _ => (None, false),
    }
}

/// The same over all of [0, T−1), where the curve reaches its end.
fn variation_of_all(curve: &Curve, timesteps: usize) -> Option<f64> {
    total_variation(curve, timesteps.saturating_sub(1) as f64).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64)]) -> Curve {
        let mut curve = closed_form_curve((Quantity::Secant, Of::Epsilon), Axis::Step, Norm::L2, Some(1.0));
        curve.points =
            points.iter().map(|&(timestep, mean)| Point { timestep, mean: Some(mean), ..Point::default() }).collect();
        curve
    }

    #[test]
    fn total_variation_counts_every_step_once() {
        let every: Vec<(f64, f64)> = (0..10).map(|t| (f64::from(t), f64::from(t))).collect();
        assert_eq!(total_variation(&curve(&every), 10.0), (Some(45.0), true));
        let some: Vec<(f64, f64)> = [0, 3, 4, 9].map(|t| (f64::from(t), f64::from(t))).into();
        assert_eq!(total_variation(&curve(&some), 10.0), (Some(45.0), false));
        assert_eq!(total_variation(&curve(&some), 12.0), (None, false));
    }

    /// The last step of the grid is that to T−1.
    #[test]
    fn the_variation_of_all_needs_the_whole_grid() {
        let every: Vec<(f64, f64)> = (0..9).map(|t| (f64::from(t), 1.0)).collect();
        assert_eq!(variation_of_all(&curve(&every), 10), Some(9.0));
        assert_eq!(variation_of_all(&curve(&every), 11), None);
    }

    #[test]
    fn a_jump_between_zeros_counts_in_full() {
        let shared = curve(&[(0.0, 0.0), (18.0, 0.0), (19.0, 2.5), (20.0, 0.0), (30.0, 0.0)]);
        assert_eq!(total_variation(&shared, 30.0), (Some(2.5), false));
    }

    #[test]
    fn summaries_split_the_curve_at_the_window() {
        let s = summarise(
            &curve(&[(0.0, 4.0), (1.0, 8.0), (100.0, 1.0), (200.0, 2.0), (300.0, 3.0)]),
            100.0,
            &crate::process::Gaussian::from(crate::schedule::parse("linear").unwrap()),
            Spent::default(),
        );
        assert_eq!((s.near_zero.mean, s.near_zero.max, s.near_zero.argmax), (Some(6.0), Some(8.0), Some(1.0)));
        assert_eq!((s.rest.mean, s.rest.max, s.peak_ratio), (Some(2.0), Some(3.0), Some(4.0)));
    }

    /// N(0, 0.25) and points, per log-SNR: the verdict is about K per σ, whatever the grid.
    #[test]
    fn schedules_of_sigma_are_judged_by_sigma() {
        for (name, dt) in [("ve", None), ("edm", None), ("ve", Some(1.0)), ("edm", Some(1.0))] {
            let process = crate::process::Gaussian::from(crate::schedule::parse(name).unwrap());
            let schedule = process.gaussian().unwrap();
            // ε* = σ x/(V + σ²) of x ~ N(0, V + σ²): E|Δε*| over |Δλ| = 2 |Δ ln σ|.
            let mean = |variance: f64, t: f64| {
                let (root, half) = ((2.0 / std::f64::consts::PI).sqrt(), schedule.sigma(t));
                let of = |sigma: f64| sigma / (variance + sigma * sigma);
                let spread = (variance + half * half).sqrt();
                let rate = (variance - half * half) / (variance + half * half).powi(2);
                let next = schedule.sigma(t + 1.0);
                root * spread
                    * dt.map_or((rate * half / 2.0).abs(), |_| (of(next) - of(half)).abs() / (2.0 * (next / half).ln()))
            };
            let judged = |variance: f64| {
                let mut curve = closed_form_curve((Quantity::Derivative, Of::Epsilon), Axis::LogSnr, Norm::L2, dt);
                if dt.is_some() {
                    curve.quantity = Quantity::Secant;
                }
                let point = |t: i32| {
                    let t = f64::from(3 * t);
                    let t_next = dt.map(|dt| t + dt);
                    Point { mean: Some(mean(variance, t)), ..bare_point(&process, t, t_next) }
                };
                curve.points = (0..150).map(point).collect();
                summarise(&curve, 100.0, &process, Spent::default()).singularity.unwrap()
            };
            let smooth = judged(0.25);
            assert_eq!((smooth.over, smooth.verdict), (Over::Sigma, crate::singularity::Verdict::Bounded), "{name}");
            assert!(smooth.exponent.abs() < 0.02, "{name} {smooth:?}");
            let points = judged(1e-10);
            assert_eq!(points.verdict, crate::singularity::Verdict::Singular, "{name} {points:?}");
            assert!((points.exponent + 1.0).abs() < 0.02, "{name} {points:?}");
        }
    }
}
