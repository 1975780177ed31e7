//! The ideal noise of any known law under a process with auxiliary variables, from the ideal denoiser of plain noise.
//!
//! In white coordinates z = L⁻¹u ([`Whitened`]) x₀ shows along one direction n alone, as y = x₀ + τ N(0, I) with y = τ w and
//! w = nᵀz, element by element. With g = ε*(y, τ), the ideal denoiser of the data under α = 1, σ = τ:
//!
//! ε* = z + n (g − w). At fixed u, ∂ε*/∂t = ż + ṅ (g − w) + n (ġ − ẇ) with ż = (L⁻¹)˙ u, ẇ = ṅᵀz + nᵀż,
//! ġ = ∂g/∂τ τ̇ + (∂g/∂y) ẏ and ẏ = τ̇ w + τ ẇ. ∂g/∂y is symmetric, g being a gradient: one pass in reverse mode.

#[cfg(test)]
mod tests;

use super::{Distribution, column};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::of::Of;
use crate::process::ForwardProcess;
use crate::process::linear_gaussian::{combine, variables};
use crate::response::{Response, transposed};
use crate::schedule::Level;
use crate::state::State;
use crate::time::Timestep;
use crate::timestep_map::TimestepMap;
use lipscope_core::process::LinearGaussian;
use lipscope_core::process::linear_gaussian::Whitened;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// ε*(u, t) of all variables, in float64.
pub struct IdealNoise {
    /// The clean samples' distribution.
    pub distribution: Box<dyn Distribution>,
    /// How they are noised.
    pub process: Arc<LinearGaussian>,
    /// The map laid over it.
    pub map: Arc<dyn TimestepMap>,
    /// Shape of one sample; its elements number [`Distribution::dim`].
    pub sample_shape: Vec<i64>,
    /// Where the arithmetic runs.
    pub device: Device,
}

/// u at mapped times in white coordinates: z, w, and y [B, D].
struct White {
    rows: Vec<Whitened>,
    z: Vec<Tensor>,
    w: Tensor,
    y: Tensor,
}

impl IdealNoise {
    /// Σ_i v_i x_i for every row's own v.
    fn along(&self, x: &[Tensor], v: impl Fn(usize, usize) -> f64) -> Result<Tensor> {
        let rows = x.first().map_or(0, |first| first.size()[0]) as usize;
        let mut one = combine(1, rows, x, |row, _, j| v(row, j))?;
        Ok(one.swap_remove(0))
    }

    fn white(&self, u: &Tensor, t: &[Timestep]) -> Result<White> {
        let doing = "whitening a state";
        let k = self.process.variables();
        let mapped: Vec<Timestep> = t.iter().map(|&t| self.map.condition(t)).collect();
        let rows: Vec<Whitened> = self.process.kernels(&mapped).iter().map(|kernel| kernel.whitened()).collect();
        let u = self.flat(u)?;
        let z = combine(k, t.len(), &u, |row, i, j| rows[row].inverse[[i, j]])?;
        let w = self.along(&z, |row, i| rows[row].direction[i])?;
        let tau: Vec<f64> = rows.iter().map(|row| row.tau).collect();
        let y = w.f_mul(&column(&tau, self.device)?).doing(doing)?;
        Ok(White { rows, z, w, y })
    }

    /// The variables of states, [B, D] each.
    fn flat(&self, u: &Tensor) -> Result<Vec<Tensor>> {
        let flat = u.f_flatten(1, -1).doing("whitening a state")?;
        variables(&flat, self.process.variables())
    }

    /// Variables [B, D] each in the shape of u.
    fn together(&self, parts: &[Tensor], shape: &[i64]) -> Result<Tensor> {
        Tensor::f_cat(parts, 1).and_then(|all| all.f_view(shape)).doing("laying variables side by side")
    }

    /// ε*(y, τ), with its rate at fixed y.
    fn g(&self, y: &Tensor, rows: &[Whitened], with_rate: bool) -> Result<Dual> {
        let level = |row: &Whitened| Level { alpha: 1.0, sigma: row.tau, d_alpha: 0.0, d_sigma: row.d_tau };
        self.distribution.epsilon(y, &rows.iter().map(level).collect::<Vec<_>>(), with_rate)
    }
}

impl Response for IdealNoise {
    fn process(&self) -> &dyn ForwardProcess {
        &self.process
    }

    fn timestep_map(&self) -> &dyn TimestepMap {
        &*self.map
    }

    fn sample_shape(&self) -> &[i64] {
        &self.sample_shape
    }

    fn device(&self) -> Device {
        self.device
    }

    fn kind(&self) -> Kind {
        Kind::Double
    }

    fn value(&self, State { x: u, .. }: &State, t: &[Timestep]) -> Result<Tensor> {
        let White { rows, z, w, y } = self.white(u, t)?;
        let gap = [self.g(&y, &rows, false)?.value.f_sub(&w).doing("predicting noise")?];
        let known = combine(z.len(), t.len(), &gap, |row, i, _| rows[row].direction[i])?;
        let sums = z.iter().zip(&known).map(|(z, known)| z.f_add(known).doing("predicting noise"));
        self.together(&sums.collect::<Result<Vec<_>>>()?, &u.size())
    }

    fn rate(&self, State { x: u, .. }: &State, t: &[Timestep]) -> Result<Tensor> {
        let doing = "differentiating the ideal noise";
        let White { rows, z, w, y } = self.white(u, t)?;
        let (k, count) = (z.len(), t.len());
        let d_z = combine(k, count, &self.flat(u)?, |row, i, j| rows[row].d_inverse[[i, j]])?;
        // ẇ = ṅᵀz + nᵀż
        let turned = self.along(&z, |row, i| rows[row].d_direction[i])?;
        let d_w = turned.f_add(&self.along(&d_z, |row, i| rows[row].direction[i])?).doing(doing)?;
        let of = |pick: fn(&Whitened) -> f64| column(&rows.iter().map(pick).collect::<Vec<f64>>(), self.device);
        let d_y = &w * of(|row| row.d_tau)? + &d_w * of(|row| row.tau)?;
        let g = self.g(&y, &rows, true)?;
        let moved = transposed(&y, &d_y, |y| Ok(self.g(y, &rows, false)?.value))?;
        let d_g = g.tangent.map_or_else(|| Ok(moved.shallow_clone()), |rate| rate.f_add(&moved)).doing(doing)?;
        // ż + ṅ (g − w) + n (ġ − ẇ)
        let gaps = [&g.value - &w, d_g - d_w];
        let known = combine(k, count, &gaps, |row, i, j| match j {
            0 => rows[row].d_direction[i],
            _ => rows[row].direction[i],
        })?;
        let map_rate = column(&t.iter().map(|&t| self.map.rate(t)).collect::<Vec<f64>>(), self.device)?;
        let sums = d_z.iter().zip(&known).map(|(d_z, known)| (d_z + known) * &map_rate);
        self.together(&sums.collect::<Vec<_>>(), &u.size())
    }

    fn offers(&self) -> &'static [Of] {
        &[Of::Epsilon]
    }

    fn asked_for(self: Box<Self>, _of: Of, _scales: &[f64]) -> Box<dyn Response> {
        self
    }
}
