//! The (x₀, ε) pairs that expectations are taken over: one random stream per timestep and sample.

use crate::error::{Doing, Result};
use crate::random::{Purpose, fill_normal, stream};
use crate::schedule::NoiseSchedule;
use crate::time::Timestep;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// A source of clean samples x₀, one random stream each.
pub trait CleanSamples: Send + Sync {
    /// Draws one x₀ into `out`, flattened.
    fn draw(&self, rng: &mut ChaCha8Rng, out: &mut [f32]);
}

/// Where pairs come from.
#[derive(Clone)]
pub struct Draws {
    /// The clean samples.
    pub source: Arc<dyn CleanSamples>,
    /// Seed of all streams.
    pub seed: u64,
    /// Shape of one sample.
    pub sample_shape: Vec<i64>,
}

/// A batch of pairs, [B, …] each, on the device and in the dtype asked for.
pub struct Pairs {
    /// Clean samples.
    pub x0: Tensor,
    /// Standard normal noise.
    pub noise: Tensor,
}

impl Draws {
    /// Pairs number `samples` of timestep `t`. They do not depend on how samples are cut into batches.
    pub fn pairs(&self, t: Timestep, samples: Range<u64>, device: Device, kind: Kind) -> Result<Pairs> {
        let dim: i64 = self.sample_shape.iter().product();
        let rows = (samples.end - samples.start) as usize;
        let mut clean = vec![0.0f32; rows * dim as usize];
        let mut noise = vec![0.0f32; rows * dim as usize];
        let width = (dim as usize).max(1);
        clean.par_chunks_mut(width).zip(noise.par_chunks_mut(width)).enumerate().for_each(|(row, (x0, epsilon))| {
            let sample = samples.start + row as u64;
            self.source.draw(&mut stream(self.seed, Purpose::CleanSample, t, sample), x0);
            fill_normal(&mut stream(self.seed, Purpose::Noise, t, sample), epsilon);
        });
        let shape: Vec<i64> = std::iter::once(rows as i64).chain(self.sample_shape.iter().copied()).collect();
        let upload = |values: &[f32]| {
            let tensor = Tensor::f_from_slice(values).and_then(|v| v.f_view(&shape[..]));
            tensor.and_then(|v| v.f_to_device(device)).and_then(|v| v.f_to_kind(kind)).doing("uploading samples")
        };
        Ok(Pairs { x0: upload(&clean)?, noise: upload(&noise)? })
    }
}

impl Pairs {
    /// x_t = α_t x₀ + σ_t ε.
    pub fn x_t(&self, schedule: &dyn NoiseSchedule, t: Timestep) -> Result<Tensor> {
        let doing = "noising samples";
        let signal = self.x0.f_mul_scalar(schedule.alpha(t)).doing(doing)?;
        signal.f_add(&self.noise.f_mul_scalar(schedule.sigma(t)).doing(doing)?).doing(doing)
    }
}
