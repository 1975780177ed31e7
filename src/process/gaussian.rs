//! x_t = α_t x₀ + σ_t ε with ε ~ N(0, I).

use super::{Block, ForwardProcess, NoiseKind};
use crate::device::scale_rows;
use crate::error::{Doing, Result};
use crate::schedule::NoiseSchedule;
use crate::time::{Axis, Timestep};
use std::sync::Arc;
use tch::Tensor;

/// Gaussian noise by a schedule.
#[derive(Debug, Clone)]
pub struct Gaussian {
    /// α and σ over time.
    pub schedule: Arc<dyn NoiseSchedule>,
}

impl From<Arc<dyn NoiseSchedule>> for Gaussian {
    fn from(schedule: Arc<dyn NoiseSchedule>) -> Self {
        Gaussian { schedule }
    }
}

impl ForwardProcess for Gaussian {
    fn timesteps(&self) -> usize {
        self.schedule.timesteps()
    }

    fn gaussian(&self) -> Option<&dyn NoiseSchedule> {
        Some(&*self.schedule)
    }

    fn coordinate(&self, axis: Axis, t: Timestep) -> Option<f64> {
        (axis != Axis::Argument).then(|| axis.coordinate(&*self.schedule, t))
    }

    fn coordinate_rate(&self, axis: Axis, t: Timestep) -> Option<f64> {
        (axis != Axis::Argument).then(|| axis.rate(&*self.schedule, t))
    }

    fn axis(&self) -> Axis {
        if self.schedule.has_steps() { Axis::Step } else { Axis::LogSnr }
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

    fn start(&self, noise: &Tensor, t: Timestep) -> Result<Tensor> {
        match self.schedule.start_std(t) {
            1.0 => Ok(noise.shallow_clone()),
            std => noise.f_mul_scalar(std).doing("starting from noise"),
        }
    }

    fn state(&self, clean: &Tensor, noise: &Tensor, t: &[Timestep]) -> Result<Tensor> {
        // x_t = α_t x₀ + σ_t ε
        let alpha: Vec<f64> = t.iter().map(|&t| self.schedule.alpha(t)).collect();
        let sigma: Vec<f64> = t.iter().map(|&t| self.schedule.sigma(t)).collect();
        scale_rows(clean, &alpha)?.f_add(&scale_rows(noise, &sigma)?).doing("noising samples")
    }
}
