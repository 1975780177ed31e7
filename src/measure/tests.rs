//! The loop against closed forms: what it hands over does not depend on how samples and timesteps are cut into batches.

use super::*;
use crate::compare::{bare_point, empty_curve};
use crate::control_variates::controlled;
use crate::device::scale_rows;
use crate::estimator::{Derivative, Norm, Path, Secant};
use crate::ideal::{Gaussian, IdealDenoiser};
use crate::of::Of;
use crate::process::{Block, ForwardProcess, NoiseKind};
use crate::schedule;
use crate::state::State;
use crate::testing::{SmallDevice, Tolerance, assert_close};
use crate::time::Axis;
use crate::timestep_map::{Identity, Sharing, TimestepMap};
use std::sync::Arc;
use tch::{Device, Tensor};

fn gaussian() -> Gaussian {
    Gaussian::diagonal(&[0.0; 2], &[0.25; 2], Device::Cpu)
}

fn subjects(rows: i64) -> Vec<Subject> {
    let denoiser = IdealDenoiser {
        distribution: Box::new(SmallDevice { gaussian: gaussian(), rows }),
        process: schedule::parse("linear").unwrap().into(),
        map: Arc::new(Sharing::uniform(2, 20).unwrap()),
        sample_shape: vec![2],
        device: Device::Cpu,
    };
    let (axis, norm) = (Axis::Step, Norm::L2);
    vec![Subject {
        response: Box::new(denoiser),
        estimators: vec![Box::new(Secant { dt: 1.0, axis, norm }), Box::new(Derivative { axis, norm })],
        source: None,
    }]
}

#[derive(Default)]
struct Told {
    points: Vec<AtTimestep>,
    batches: u64,
    smaller: Vec<u64>,
}

impl Observer for Told {
    fn batch(&mut self, _t: Timestep, samples: u64, round: u64) -> bool {
        assert!(samples <= round);
        self.batches += 1;
        true
    }

    fn smaller_batch(&mut self, batch: u64) {
        self.smaller.push(batch);
    }

    fn finished(&mut self, point: AtTimestep) -> Result<bool> {
        self.points.push(point);
        Ok(true)
    }
}

const TIMESTEPS: [f64; 5] = [0.0, 9.0, 10.0, 300.0, 900.0];

fn measured(rule: SampleRule, batch: u64, rows: i64) -> Told {
    let draws = Draws::new(Arc::new(gaussian().samples()), 3, vec![2]);
    let mut told = Told::default();
    let subjects = subjects(rows);
    let settings = Settings { rule, batch, probe: false };
    assert!(Sweep::new(&subjects, &draws, &settings).measure(&TIMESTEPS, &mut told).unwrap());
    told
}

#[test]
fn batches_may_hold_several_timesteps_and_change_nothing() {
    for rule in [SampleRule::Fixed { samples: 10 }, SampleRule::RelativeError { target: 0.08, most: 400 }] {
        let one_by_one = measured(rule, 1, 1000).points;
        for batch in [7, 32, 1000] {
            let together = measured(rule, batch, 1000).points;
            for (a, b) in one_by_one.iter().zip(&together) {
                assert_eq!((a.t, a.norms[0][0].len()), (b.t, b.norms[0][0].len()));
                for (a, b) in a.norms[0].iter().flatten().zip(b.norms[0].iter().flatten()) {
                    // Rounding of float64: the same operations on rows of another matrix.
                    assert!((a - b).abs() <= 1e-12 * b.abs(), "{a} {b}");
                }
                assert_eq!(a.evaluations, b.evaluations, "at {}", a.t);
            }
        }
    }
}

#[test]
fn a_batch_of_several_timesteps_is_filled() {
    let told = measured(SampleRule::Fixed { samples: 10 }, 50, 1000);
    assert_eq!(told.batches, 1);
    let told = measured(SampleRule::Fixed { samples: 10 }, 10, 1000);
    assert_eq!(told.batches, 5);
}

#[test]
fn where_memory_runs_out_batches_become_smaller() {
    let rule = SampleRule::Fixed { samples: 20 };
    let plenty = measured(rule, 100, 1000).points;
    let told = measured(rule, 100, 6);
    assert_eq!(told.smaller, [50, 25, 12, 6]);
    for (a, b) in plenty.iter().zip(&told.points) {
        assert_close("norms", &a.norms[0][0], &b.norms[0][0], Tolerance::of_each(1e-12, "rounding of float64"));
    }
    // What was learnt holds for what is measured next.
    let (subjects_6, settings) = (subjects(6), Settings { rule, batch: 100, probe: false });
    let draws = Draws::new(Arc::new(gaussian().samples()), 3, vec![2]);
    let (mut sweep, mut told) = (Sweep::new(&subjects_6, &draws, &settings), Told::default());
    assert!(sweep.measure(&[5.0], &mut told).unwrap() && sweep.measure(&[7.0], &mut told).unwrap());
    assert_eq!(told.smaller.last(), Some(&5));
    assert_eq!(told.smaller.len(), 2);
    // One row that does not fit is an error.
    let draws = Draws::new(Arc::new(gaussian().samples()), 3, vec![2]);
    let settings = Settings { rule, batch: 8, probe: false };
    let error = Sweep::new(&subjects(0), &draws, &settings).measure(&[5.0], &mut Told::default()).unwrap_err();
    assert!(error.to_string().contains("--batch"), "{error}");
}

#[test]
fn large_samples_are_probed_one_row_first() {
    let shape = vec![1 << 14];
    let mean = vec![0.0; 1 << 14];
    let gaussian = || Gaussian::diagonal(&mean, &vec![0.25; 1 << 14], Device::Cpu);
    let denoiser = IdealDenoiser {
        distribution: Box::new(gaussian()),
        process: schedule::parse("linear").unwrap().into(),
        map: Arc::new(Sharing::uniform(2, 20).unwrap()),
        sample_shape: shape.clone(),
        device: Device::Cpu,
    };
    let estimators: Vec<Box<dyn Estimator>> = vec![Box::new(Secant { dt: 1.0, axis: Axis::Step, norm: Norm::L2 })];
    let subjects = [Subject { response: Box::new(denoiser), estimators, source: None }];
    let draws = Draws::new(Arc::new(gaussian().samples()), 3, shape);
    let norms = |probe: bool| {
        let settings = Settings { rule: SampleRule::Fixed { samples: 5 }, batch: 8, probe };
        let mut told = Told::default();
        assert!(Sweep::new(&subjects, &draws, &settings).measure(&[500.0], &mut told).unwrap());
        told.points[0].norms[0][0].clone()
    };
    let (plain, probed) = (norms(false), norms(true));
    assert_eq!(plain.len(), 5);
    assert_close("norms", &plain, &probed, Tolerance::of_each(1e-12, "rounding of float64"));
}

#[test]
fn a_derivative_does_not_exist_where_the_condition_jumps() {
    let points = measured(SampleRule::Fixed { samples: 4 }, 64, 1000).points;
    let derivatives: Vec<usize> = points.iter().map(|point| point.norms[0][1].len()).collect();
    // 10 is a boundary; 0 is where time begins.
    assert_eq!(derivatives, [4, 4, 0, 4, 4]);
    assert!(points.iter().all(|point| point.norms[0][0].len() == 4));
    assert!(points[1].norms[0][1].iter().all(|d| *d == 0.0) && points[1].norms[0][0].iter().all(|k| *k > 0.0));
}

#[test]
fn a_wanted_error_is_reached() {
    let target = 0.05;
    let points = measured(SampleRule::RelativeError { target, most: 4000 }, 64, 1000).points;
    for point in points.iter().filter(|point| point.norms[0][0].iter().any(|k| *k > 0.0)) {
        let (statistics, _) = controlled(&point.norms[0][0], &point.control);
        assert!(statistics.std_error.unwrap() <= target * statistics.mean.unwrap());
        // Two dimensions: σ/mean of a Rayleigh norm is 0.52, so about 110 samples, less what x₀² explains.
        assert!((24..200).contains(&statistics.samples), "{}", statistics.samples);
    }
}

/// A state of two blocks, as positions and velocities are: x₀ beside pure noise, and the response −x/t.
struct Phase;

impl ForwardProcess for Phase {
    fn timesteps(&self) -> usize {
        1000
    }
    fn gaussian(&self) -> Option<&dyn schedule::NoiseSchedule> {
        None
    }
    fn coordinate(&self, axis: Axis, t: f64) -> Option<f64> {
        (axis == Axis::Step).then_some(t)
    }
    fn coordinate_rate(&self, axis: Axis, _t: f64) -> Option<f64> {
        (axis == Axis::Step).then_some(1.0)
    }
    fn state_shape(&self, sample: &[i64]) -> Vec<i64> {
        vec![2 * sample[0]]
    }
    fn blocks(&self, sample: &[i64]) -> Vec<Block> {
        let block = |name: &str, elements| Block { name: Some(name.into()), elements };
        vec![block("x", 0..sample[0]), block("v", sample[0]..2 * sample[0])]
    }
    fn noise(&self) -> NoiseKind {
        NoiseKind::Normal
    }
    fn start(&self, noise: &Tensor, _t: f64) -> Result<Tensor> {
        Ok(noise.shallow_clone())
    }
    fn state(&self, clean: &Tensor, noise: &Tensor, _t: &[f64]) -> Result<Tensor> {
        Ok(Tensor::cat(&[clean, noise], 1))
    }
}

struct Inverse;

impl Response for Inverse {
    fn process(&self) -> &dyn ForwardProcess {
        &Phase
    }
    fn timestep_map(&self) -> &dyn TimestepMap {
        &Identity
    }
    fn sample_shape(&self) -> &[i64] {
        &[2]
    }
    fn device(&self) -> Device {
        Device::Cpu
    }
    fn kind(&self) -> tch::Kind {
        tch::Kind::Double
    }
    fn value(&self, state: &State, t: &[f64]) -> Result<Tensor> {
        scale_rows(&state.x, &t.iter().map(|t| -1.0 / t).collect::<Vec<_>>())
    }
    fn rate(&self, state: &State, t: &[f64]) -> Result<Tensor> {
        scale_rows(&state.x, &t.iter().map(|t| 1.0 / (t * t)).collect::<Vec<_>>())
    }
    fn offers(&self) -> &'static [Of] {
        &[Of::Output]
    }
    fn asked_for(self: Box<Self>, _of: Of, _scales: &[f64]) -> Box<dyn Response> {
        self
    }
}

/// Every block has a curve of its own, in whatever batches; what a process does not have is refused or missing.
#[test]
fn a_response_of_two_blocks_has_two_curves() {
    let (axis, norm) = (Axis::Step, Norm::L2);
    let estimators: Vec<Box<dyn Estimator>> =
        vec![Box::new(Secant { dt: 1.0, axis, norm }), Box::new(Derivative { axis, norm })];
    let subjects = [Subject { response: Box::new(Inverse), estimators, source: None }];
    let draws = Draws::new(Arc::new(gaussian().samples()), 3, vec![2]);
    let drawn = draws.rows(&(0..5).map(|sample| Draw { t: 20.0, sample }).collect::<Vec<_>>()).unwrap();
    let norms = |rows: &[f32]| rows.chunks(2).map(|row| f64::from(row[0]).hypot(row[1].into())).collect::<Vec<f64>>();
    for batch in [2, 100] {
        let mut told = Told::default();
        let settings = Settings { rule: SampleRule::Fixed { samples: 5 }, batch, probe: false };
        assert!(Sweep::new(&subjects, &draws, &settings).measure(&[10.0, 20.0], &mut told).unwrap());
        let at_20 = &told.points[1].norms[0];
        for (curve, (rows, factor)) in [
            (&drawn.x0, 1.0 / 20.0 - 1.0 / 21.0),
            (&drawn.noise, 1.0 / 20.0 - 1.0 / 21.0),
            (&drawn.x0, 1.0 / 400.0),
            (&drawn.noise, 1.0 / 400.0),
        ]
        .into_iter()
        .enumerate()
        {
            let expected: Vec<f64> = norms(rows).iter().map(|norm| norm * factor).collect();
            assert_close("norms", &at_20[curve], &expected, Tolerance::of_each(1e-12, "rounding of float64"));
        }
        let curves: Vec<_> = subjects[0].curves().iter().map(|curve| empty_curve(curve, Of::Epsilon)).collect();
        let named: Vec<_> = curves.iter().map(|curve| (curve.quantity.name(), curve.block.as_deref())).collect();
        let expected = ["secant", "derivative"].map(|name| [(name, Some("x")), (name, Some("v"))]).concat();
        assert_eq!(named, expected);
        let point = bare_point(&Phase, 10.0, None);
        assert_eq!((point.alpha, point.sigma, point.log_snr), (None, None, None));
    }
    let on_sigma = Secant { dt: 1.0, axis: Axis::Sigma, norm };
    let state = State::unconditional(Tensor::ones([1, 4], (tch::Kind::Double, Device::Cpu)));
    let error = on_sigma.norms(&Inverse, &state, &[10.0]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("no such axis") && error.contains("--axis step"), "{error}");
    let error = Path { axis, norm }.norms(&Inverse, &state, &[10.0]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("--quantity secant"), "{error}");
}

/// What is drawn with x₀ is of the row that x₀ came from, in whatever batches.
#[test]
fn labels_are_those_of_the_rows_drawn() {
    let rows = ndarray::Array2::from_shape_fn((7, 1), |(row, _)| row as f32);
    let labels: Vec<i64> = (0..7).map(|row| 10 * row).collect();
    let source = Arc::new(crate::clean_data::Rows::new(Arc::new(rows), Some(labels)));
    let draws = Draws::new(source, 5, vec![1]);
    let wanted: Vec<Draw> = (0..40).map(|sample| Draw { t: 3.0, sample }).collect();
    let all = draws.rows(&wanted).unwrap();
    let labels = all.columns.labels.unwrap();
    let expected: Vec<i64> = all.x0.iter().map(|row| 10 * *row as i64).collect();
    assert_eq!(labels, expected);
    assert!(expected.iter().any(|label| *label != expected[0]));
    assert_eq!(draws.rows(&wanted[30..]).unwrap().columns.labels.unwrap(), expected[30..]);
}
