//! No noise: x_t = x₀ at every t, and the function takes a scalar s(t) beside it.

use super::{Block, ForwardProcess, NoiseKind};
use crate::error::Result;
use crate::schedule::NoiseSchedule;
use crate::time::{Axis, Conditioning, Timestep};
use lipscope_core::process::{Unnoised, not_gaussian};
use std::sync::Arc;
use tch::Tensor;

impl ForwardProcess for Arc<Unnoised> {
    fn timesteps(&self) -> usize {
        self.timesteps
    }

    fn gaussian(&self) -> Option<&dyn NoiseSchedule> {
        None
    }

    fn coordinate(&self, axis: Axis, t: Timestep) -> Option<f64> {
        match axis {
            Axis::Step => Some(t),
            Axis::Argument => Some(self.argument(t)),
            Axis::Unit | Axis::Sigma | Axis::LogSnr => None,
        }
    }

    fn coordinate_rate(&self, axis: Axis, _t: Timestep) -> Option<f64> {
        match axis {
            Axis::Step => Some(1.0),
            Axis::Argument => Some(self.rate()),
            Axis::Unit | Axis::Sigma | Axis::LogSnr => None,
        }
    }

    fn axis(&self) -> Axis {
        Axis::Argument
    }

    fn conditioning(&self) -> Conditioning {
        Conditioning::scaled(Axis::Argument, 1.0)
    }

    fn state_shape(&self, sample: &[i64]) -> Vec<i64> {
        sample.to_vec()
    }

    fn blocks(&self, sample: &[i64]) -> Vec<Block> {
        vec![Block { name: None, elements: 0..sample.iter().product() }]
    }

    fn noise(&self) -> NoiseKind {
        NoiseKind::Normal
    }

    fn start(&self, _noise: &Tensor, _t: Timestep) -> Result<Tensor> {
        Err(not_gaussian("sampling", &self.name))
    }

    fn state(&self, clean: &Tensor, _noise: &Tensor, _t: &[Timestep]) -> Result<Tensor> {
        Ok(clean.shallow_clone())
    }
}
