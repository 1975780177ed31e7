//! Ideal denoisers: ε*(x, t) = −σ_t ∇ₓ log q_t(x) in closed form, with its exact ∂/∂t, in float64.
//!
//! They are the ground truth for every estimator, and the curve that a learned one is drawn against. A timestep map
//! laid over one asks for the ideal noise of f(t) at an x_t of t, as a perfectly trained network would answer.

mod finite;
mod gaussian;
mod jump;
mod linear_gaussian;
mod mixture;
#[cfg(test)]
mod tests;

pub use finite::Finite;
pub use gaussian::Gaussian;
pub use jump::IdealJumps;
pub use linear_gaussian::IdealNoise;
pub use mixture::Mixture;

use crate::denoiser::Denoiser;
use crate::device;
use crate::dual::Dual;
use crate::error::{Error, Result};
use crate::of::{self, Of};
use crate::process::{self, ForwardProcess};
use crate::response::Response;
use crate::schedule::{Level, NoiseSchedule};
use crate::state::State;
use crate::time::Timestep;
use crate::timestep_map::TimestepMap;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// A distribution of clean samples whose noised score is known.
pub trait Distribution {
    /// Number of elements D of one sample.
    fn dim(&self) -> i64;

    /// ε* and, if asked for, ∂ε*/∂t per step, for x [B, D] in float64 with one level per row.
    fn epsilon(&self, x: &Tensor, levels: &[Level], with_rate: bool) -> Result<Dual>;

    /// The same as a finite data set, where it is one.
    fn as_finite(&self) -> Option<&Finite> {
        None
    }
}

/// The ideal denoiser of a distribution under a schedule.
pub struct IdealDenoiser {
    /// The clean samples' distribution.
    pub distribution: Box<dyn Distribution>,
    /// How they are noised.
    pub process: process::Gaussian,
    /// The map laid over it.
    pub map: Arc<dyn TimestepMap>,
    /// Shape of one sample; its elements number [`Distribution::dim`].
    pub sample_shape: Vec<i64>,
    /// Where the arithmetic runs.
    pub device: Device,
}

impl IdealDenoiser {
    fn levels(&self, t: &[Timestep]) -> Vec<Level> {
        t.iter().map(|&t| self.process.schedule.level(self.map.condition(t))).collect()
    }
}

impl Response for IdealDenoiser {
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

    fn value(&self, State { x, .. }: &State, t: &[Timestep]) -> Result<Tensor> {
        let flat = x.reshape([-1, self.distribution.dim()]);
        Ok(self.distribution.epsilon(&flat, &self.levels(t), false)?.value.reshape(x.size()))
    }

    fn rate(&self, State { x, .. }: &State, t: &[Timestep]) -> Result<Tensor> {
        let flat = x.reshape([-1, self.distribution.dim()]);
        let epsilon = self.distribution.epsilon(&flat, &self.levels(t), true)?;
        let Some(rate) = epsilon.tangent else { return Ok(x.zeros_like()) };
        let map_rate: Vec<f64> = t.iter().map(|&t| self.map.rate(t)).collect();
        Ok((rate * column(&map_rate, self.device)?).reshape(x.size()))
    }

    fn offers(&self) -> &'static [Of] {
        of::GAUSSIAN
    }

    fn asked_for(self: Box<Self>, of: Of, scales: &[f64]) -> Box<dyn Response> {
        of::response(of, scales, self)
    }

    fn as_denoiser(&self) -> Option<&dyn Denoiser> {
        Some(self)
    }
}

impl Denoiser for IdealDenoiser {
    fn schedule(&self) -> &dyn NoiseSchedule {
        &*self.process.schedule
    }

    /// ε* is the gradient of a function of x, so that ∂ε*/∂x is symmetric: J v is Jᵀ v, in reverse mode.
    fn along(&self, state: &State, v: &Tensor, with_time: bool, t: &[Timestep]) -> Result<Tensor> {
        let along = self.transposed(state, v, t)?;
        if with_time { Ok(along + self.rate(state, t)?) } else { Ok(along) }
    }

    fn is_of_rows(&self) -> bool {
        self.distribution.as_finite().is_some()
    }

    /// Of the posterior at t itself, whatever timestep a map asks for.
    fn own_weights(&self, State { x, .. }: &State, origins: &[usize], t: &[Timestep]) -> Result<(Tensor, Tensor)> {
        let finite = self.distribution.as_finite().ok_or_else(|| {
            Error::unsupported("weighing points", "only a finite data set has points", "Measure theory --data FILE.")
        })?;
        let levels: Vec<Level> = t.iter().map(|&t| self.process.schedule.level(t)).collect();
        let (own, rate) = finite.own_weights(&x.reshape([-1, finite.dim()]), origins, &levels)?;
        Ok((own, rate.reshape(x.size())))
    }

    fn x0(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        let levels: Vec<Level> = t.iter().map(|&t| self.process.schedule.level(t)).collect();
        if levels.iter().any(|level| level.alpha == 0.0) {
            return Err(Error::mismatch(
                "x0 cannot be computed from ε at a timestep where α = 0",
                "Leave out the last timestep of this schedule.",
            ));
        }
        let rows = Rows::new(&levels, self.device)?;
        let flat = |tensor: &Tensor| tensor.reshape([-1, self.distribution.dim()]);
        let epsilon = flat(&self.value(state, t)?);
        Ok(((flat(&state.x) - rows.sigma * epsilon) / rows.alpha).reshape(state.x.size()))
    }
}

/// α, σ and their rates as columns [B, 1], to broadcast over [B, D].
struct Rows {
    alpha: Tensor,
    sigma: Tensor,
    d_alpha: Tensor,
    d_sigma: Tensor,
}

impl Rows {
    fn new(levels: &[Level], device: Device) -> Result<Self> {
        let pick = |f: fn(&Level) -> f64| column(&levels.iter().map(f).collect::<Vec<f64>>(), device);
        Ok(Rows {
            alpha: pick(|level| level.alpha)?,
            sigma: pick(|level| level.sigma)?,
            d_alpha: pick(|level| level.d_alpha)?,
            d_sigma: pick(|level| level.d_sigma)?,
        })
    }
}

/// One number per row, [B, 1] in float64.
fn column(values: &[f64], device: Device) -> Result<Tensor> {
    device::column(values, 2, device, Kind::Double)
}
