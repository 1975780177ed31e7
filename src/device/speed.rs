//! How fast a device is, in some seconds: forward passes of a small UNet with fresh weights, what a derivative and a secant
//! cost beside them, and copies from main memory.
//!
//! Everything that is compared alternates within a round, so that other work on the machine slows all of it alike, and
//! medians over the rounds are reported.

use super::{dtype_name, name, read_back};
use crate::denoiser::{AskedNetwork, NetworkDenoiser};
use crate::error::{Doing, Result};
use crate::estimator::{Norm, Quantity, estimator};
use crate::libtorch::pinned;
use crate::network::{self, Network};
use crate::nn::Weights;
use crate::prediction::Prediction;
use crate::response::Response;
use crate::schedule;
use crate::state::State;
use crate::stats::median;
use crate::time::{Axis, Conditioning, Timestep};
use crate::timestep_map::Identity;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

/// The network, as `train --arch` takes it, and the samples that it gets.
const ARCH: &str = "unet";
const SHAPE: [i64; 3] = [3, 32, 32];
/// Samples at once, on the CPU and on a GPU.
const BATCH: [i64; 2] = [16, 256];
const T: Timestep = 100.0;
const LEAST_ROUNDS: usize = 3;
const COPIED: i64 = 256 << 20;

/// Of a network in one dtype.
#[derive(Debug, Clone, Serialize)]
pub struct NetworkSpeed {
    /// The network's dtype, as `--dtype` takes it.
    pub dtype: String,
    /// Forward passes with one sample, per second.
    pub forwards_per_second: f64,
    /// Samples per second, `batch` at once.
    pub samples_per_second: f64,
    /// Their number.
    pub batch: i64,
    /// What ‖∂ε/∂t‖ costs, in forward passes of the same batch.
    pub derivative_in_forwards: f64,
    /// What ‖ε(x, t′) − ε(x, t)‖ costs, in forward passes of the same batch.
    pub secant_in_forwards: f64,
    /// How many rounds were taken the median of.
    pub rounds: usize,
}

/// Of copies from main memory, in 10⁹ bytes per second.
#[derive(Debug, Clone, Serialize)]
pub struct CopySpeed {
    /// From memory as it comes; on the CPU to another place of it.
    pub plain: f64,
    /// From pinned memory, to a CUDA device.
    pub pinned: Option<f64>,
}

/// One line on the network.
pub fn about() -> Result<String> {
    let network = fresh()?;
    let parameters: usize = network.parameters().iter().map(|(_, tensor)| tensor.numel()).sum();
    let millions = parameters as f64 / 1e6;
    Ok(format!("{} with {millions:.2} million parameters, x {SHAPE:?}", network.architecture()))
}

/// The dtypes that are worth knowing the speed of.
pub fn dtypes(device: Device) -> &'static [Kind] {
    if device == Device::Cpu { &[Kind::Float] } else { &[Kind::Float, Kind::BFloat16, Kind::Half] }
}

/// The speed of the network on a device, in rounds for about this long. `None` where `goes_on` answers `false`.
pub fn network(
    device: Device,
    kind: Kind,
    budget: Duration,
    goes_on: &dyn Fn() -> bool,
) -> Result<Option<NetworkSpeed>> {
    let _no_grad = tch::no_grad_guard();
    let denoiser = denoiser(device, kind)?;
    let batch = if device == Device::Cpu { BATCH[0] } else { BATCH[1] };
    let (one, many) = (states(1, device, kind)?, states(batch, device, kind)?);
    let times = vec![T; batch as usize];
    let forward = |state: &State, t: &[Timestep]| seconds(|| read_one(&denoiser.value(state, t)?));
    let estimate = |quantity| {
        let estimator = estimator(quantity, 1.0, Axis::Step, Norm::L2);
        seconds(|| read_back(&estimator.norms(&denoiser, &many, &times)?.values).map(|_| ()))
    };
    let round = || -> Result<[f64; 4]> {
        Ok([
            forward(&one, &[T])?,
            forward(&many, &times)?,
            estimate(Quantity::Derivative)?,
            estimate(Quantity::Secant)?,
        ])
    };
    // The first calls choose algorithms and take memory.
    round()?;
    let (began, mut rounds) = (Instant::now(), Vec::new());
    while rounds.len() < LEAST_ROUNDS || began.elapsed() < budget {
        if !goes_on() {
            return Ok(None);
        }
        rounds.push(round()?);
    }
    let of = |f: &dyn Fn(&[f64; 4]) -> f64| median(&rounds.iter().map(f).collect::<Vec<f64>>()).unwrap_or(f64::NAN);
    Ok(Some(NetworkSpeed {
        dtype: dtype_name(kind).into(),
        forwards_per_second: 1.0 / of(&|[one, ..]| *one),
        samples_per_second: batch as f64 / of(&|[_, many, ..]| *many),
        batch,
        derivative_in_forwards: of(&|[_, forward, derivative, _]| derivative / forward),
        secant_in_forwards: of(&|[_, forward, _, secant]| secant / forward),
        rounds: rounds.len(),
    }))
}

/// The speed of copies to a device.
pub fn copies(device: Device) -> Result<CopySpeed> {
    let doing = "copying memory";
    let host = Tensor::f_ones([COPIED], (Kind::Uint8, Device::Cpu)).doing(doing)?;
    let mut target = Tensor::f_empty([COPIED], (Kind::Uint8, device)).doing(doing)?;
    let mut rate = |from: &Tensor| -> Result<f64> {
        let mut copy = || seconds(|| target.f_copy_(from).doing(doing).map(|_| ()).and_then(|()| read_one(&target)));
        copy()?;
        let taken = (0..LEAST_ROUNDS).map(|_| copy()).collect::<Result<Vec<f64>>>()?;
        Ok(COPIED as f64 / 1e9 / median(&taken).unwrap_or(f64::NAN))
    };
    let plain = rate(&host)?;
    let pinned = if matches!(device, Device::Cuda(_)) { Some(rate(&pinned(&host)?)?) } else { None };
    Ok(CopySpeed { plain, pinned })
}

fn fresh() -> Result<Box<dyn Network>> {
    let config = network::arch::parse(ARCH, &SHAPE, 1000)?;
    network::build(&config, &Weights::fresh(0), Path::new("the network of doctor"))
}

fn denoiser(device: Device, kind: Kind) -> Result<NetworkDenoiser> {
    let mut network = fresh()?;
    network.to(device, kind)?;
    let asked = AskedNetwork {
        network,
        map: Arc::new(Identity),
        conditioning: Conditioning::default(),
        given: Default::default(),
        sample_shape: SHAPE.to_vec(),
        device,
        kind,
    };
    let process = schedule::parse("linear")?.into();
    Ok(NetworkDenoiser { asked, process, prediction: Prediction::Epsilon, guidance: None })
}

fn states(rows: i64, device: Device, kind: Kind) -> Result<State> {
    let shape: Vec<i64> = std::iter::once(rows).chain(SHAPE).collect();
    let x = Tensor::f_ones(&shape[..], (kind, device)).doing("making states to ask a network about")?;
    Ok(State::unconditional(x))
}

/// Reads one of its numbers: then all of them are there, whatever the device.
fn read_one(x: &Tensor) -> Result<()> {
    let first = x.f_flatten(0, -1).and_then(|x| x.f_narrow(0, 0, 1)).and_then(|x| x.f_to_kind(Kind::Double));
    read_back(&first.doing("waiting for a device")?).map(|_| ())
}

fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64())
}

/// A device's name and how much memory it has free, in bytes, where that is known.
pub fn memory(device: Device) -> (String, Option<u64>) {
    let free = match device {
        Device::Cpu => super::memory::available(),
        Device::Cuda(index) => crate::libtorch::free_memory(index),
        _ => None,
    };
    (name(device), free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_numbers_are_there_and_a_stop_is_heard() {
        let speed = network(Device::Cpu, Kind::Float, Duration::ZERO, &|| true).unwrap().unwrap();
        assert_eq!((speed.dtype.as_str(), speed.rounds, speed.batch), ("f32", LEAST_ROUNDS, BATCH[0]));
        // No bounds but these: other tests run at the same time.
        let NetworkSpeed { forwards_per_second, samples_per_second, .. } = speed;
        for number in [forwards_per_second, samples_per_second, speed.derivative_in_forwards, speed.secant_in_forwards]
        {
            assert!(number.is_finite() && number > 0.0, "{speed:?}");
        }
        assert!(network(Device::Cpu, Kind::Float, Duration::ZERO, &|| false).unwrap().is_none());
    }

    #[test]
    fn copies_have_a_speed() {
        let speed = copies(Device::Cpu).unwrap();
        assert!(speed.plain > 0.0 && speed.plain.is_finite() && speed.pinned.is_none(), "{speed:?}");
    }
}
