//! Symbols that jump, each position by itself. States are whole numbers carried as floats: float32 tells 2²⁴ symbols apart.

use super::{Block, ForwardProcess, NoiseKind};
use crate::device::column;
use crate::error::{Doing, Result};
use crate::schedule::NoiseSchedule;
use crate::time::{Axis, Conditioning, Timestep};
use lipscope_core::process::jump::{Graph, Jump, Kernel};
use lipscope_core::process::not_gaussian;
use std::sync::Arc;
use tch::{Kind, Tensor};

impl ForwardProcess for Arc<Jump> {
    fn timesteps(&self) -> usize {
        self.timesteps
    }

    fn gaussian(&self) -> Option<&dyn NoiseSchedule> {
        None
    }

    fn jump(&self) -> Option<&Arc<Jump>> {
        Some(self)
    }

    fn coordinate(&self, axis: Axis, t: Timestep) -> Option<f64> {
        Jump::coordinate(self, axis, t)
    }

    fn coordinate_rate(&self, axis: Axis, t: Timestep) -> Option<f64> {
        Jump::coordinate_rate(self, axis, t)
    }

    /// Steps belong to the sampling.
    fn axis(&self) -> Axis {
        Axis::Sigma
    }

    /// As SEDD and MDLM are told.
    fn conditioning(&self) -> Conditioning {
        Conditioning::scaled(Axis::Sigma, 1.0)
    }

    fn state_shape(&self, sample: &[i64]) -> Vec<i64> {
        sample.to_vec()
    }

    fn blocks(&self, sample: &[i64]) -> Vec<Block> {
        vec![Block { name: None, elements: 0..sample.iter().product() }]
    }

    fn noise(&self) -> NoiseKind {
        NoiseKind::Uniform
    }

    fn start(&self, _noise: &Tensor, _t: Timestep) -> Result<Tensor> {
        Err(not_gaussian("sampling", &self.name))
    }

    /// Where u < P(jump): the mask, or with j = ⌊u/P · (V − 1)⌋ the j-th of the other symbols. In float64, which tells all
    /// symbols apart.
    fn state(&self, clean: &Tensor, noise: &Tensor, t: &[Timestep]) -> Result<Tensor> {
        let kernels: Vec<Kernel> = t.iter().map(|&t| self.graph.kernel(self.sigma(t))).collect();
        let chances: Vec<f64> = kernels.iter().map(|kernel| kernel.jumps).collect();
        let chance = column(&chances, clean.dim(), clean.device(), Kind::Double)?;
        jumped(self.graph, &chance, clean, noise).doing("letting symbols jump")
    }
}

fn jumped(graph: Graph, chance: &Tensor, clean: &Tensor, noise: &Tensor) -> std::result::Result<Tensor, tch::TchError> {
    let uniform = noise.f_to_kind(Kind::Double)?;
    let jumps = uniform.f_lt_tensor(chance)?;
    let target = match graph.mask() {
        Some(mask) => clean.f_full_like(mask as f64)?,
        None => {
            let others = (graph.symbols() - 1) as f64;
            let place = uniform.f_div(chance)?.f_mul_scalar(others)?.f_floor()?.f_clamp_max(others - 1.0)?;
            let behind = place.f_ge_tensor(clean)?.f_to_kind(Kind::Double)?;
            place.f_add(&behind)?.f_to_kind(clean.kind())?
        }
    };
    target.f_where_self(&jumps, clean)
}
