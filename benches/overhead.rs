//! What measuring costs beyond the network itself: the time of the measuring loop over that of the same number of bare
//! forward calls of the same network, on batches of the same size, in one process.
//!
//!     ./x bench --bench overhead -- [DIFFUSERS_FOLDER] [C,H,W]
//!
//! Prints a table and one line of JSON. Rounds alternate between the two, so that noise of the machine hits both.

mod common;

use common::{arguments, median};
use lipscope::checkpoint::{self, Request};
use lipscope::denoiser::{AskedNetwork, NetworkDenoiser};
use lipscope::draws::{CleanSamples, Draws};
use lipscope::dual::Dual;
use lipscope::error::Result;
use lipscope::estimator::{Norm, Quantity, estimator};
use lipscope::measure::{AtTimestep, Observer, SampleRule, Settings, Subject, Sweep};
use lipscope::network::{Condition, Network};
use lipscope::prediction::Prediction;
use lipscope::time::{Axis, Conditioning};
use lipscope::timestep_map::Identity;
use lipscope::{random, schedule};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

const ROUNDS: usize = 7;
const TIMESTEPS: [f64; 4] = [0.0, 1.0, 50.0, 500.0];
const SAMPLES: u64 = 64;
const BATCH: i64 = 32;

struct Normal;

impl CleanSamples for Normal {
    fn draw(&self, rng: &mut rand_chacha::ChaCha8Rng, out: &mut [f32]) -> Result<Option<usize>> {
        random::fill_normal(rng, out);
        Ok(None)
    }
}

struct Silent;

impl Observer for Silent {
    fn batch(&mut self, _t: f64, _samples: u64, _round: u64) -> bool {
        true
    }

    fn smaller_batch(&mut self, _batch: u64) {}

    fn finished(&mut self, _point: AtTimestep) -> Result<bool> {
        Ok(true)
    }
}

fn bare(network: &dyn Network, shape: &[i64]) -> Result<f64> {
    let _no_grad = tch::no_grad_guard();
    let full: Vec<i64> = std::iter::once(BATCH).chain(shape.iter().copied()).collect();
    let x = Tensor::randn(&full[..], (Kind::Float, Device::Cpu));
    let calls = 2 * TIMESTEPS.len() as i64 * SAMPLES as i64 / BATCH;
    let began = Instant::now();
    for call in 0..calls {
        let t = Tensor::full([BATCH], call as f64, (Kind::Float, Device::Cpu));
        network.forward(&Dual::constant(x.shallow_clone()), &Dual::constant(t), &Condition::default())?;
    }
    Ok(began.elapsed().as_secs_f64())
}

fn measured(subjects: &[Subject], draws: &Draws) -> Result<f64> {
    let settings = Settings { rule: SampleRule::Fixed { samples: SAMPLES }, batch: BATCH as u64, probe: false };
    let began = Instant::now();
    Sweep::new(subjects, draws, &settings).measure(&TIMESTEPS, &mut Silent)?;
    Ok(began.elapsed().as_secs_f64())
}

fn main() -> Result<()> {
    let arguments = arguments();
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/unet2d/ddpm_cifar10");
    let folder = arguments.first().map_or(default, String::as_str);
    let shape: Vec<i64> = match arguments.get(1) {
        Some(text) => text.split(',').filter_map(|size| size.parse().ok()).collect(),
        None => vec![3, 32, 32],
    };
    let open = || checkpoint::open(Path::new(folder), &Request::on(Device::Cpu));
    let network = open()?.network;
    let denoiser = NetworkDenoiser {
        asked: AskedNetwork {
            network: open()?.network,
            map: Arc::new(Identity),
            conditioning: Conditioning::default(),
            given: Default::default(),
            sample_shape: shape.clone(),
            device: Device::Cpu,
            kind: Kind::Float,
        },
        process: schedule::parse("linear")?.into(),
        prediction: Prediction::Epsilon,
        guidance: None,
    };
    let estimators = vec![estimator(Quantity::Secant, 1.0, Axis::Step, Norm::L2)];
    let subjects = [Subject { response: Box::new(denoiser), estimators, source: None }];
    let draws = Draws::new(Arc::new(Normal), 0, shape.clone());
    bare(&*network, &shape)?;
    measured(&subjects, &draws)?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((bare(&*network, &shape)?, measured(&subjects, &draws)?));
    }
    let ratio = median(rounds.iter().map(|(bare, measured)| measured / bare).collect());
    println!("round   bare calls [s]   measure [s]   ratio");
    for (i, (bare, measured)) in rounds.iter().enumerate() {
        println!("{i:>5}   {bare:>14.3}   {measured:>11.3}   {:>5.3}", measured / bare);
    }
    println!(
        "median ratio {ratio:.3}: {} evaluations, batch {BATCH}, x {shape:?}",
        2 * TIMESTEPS.len() as u64 * SAMPLES
    );
    println!("{}", serde_json::json!({"bench": "overhead", "ratio": ratio, "rounds": rounds, "shape": shape}));
    Ok(())
}
