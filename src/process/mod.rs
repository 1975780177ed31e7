//! Forward processes: how clean samples x₀ become states x_t, the law q(x_t | x₀).
//!
//! Estimators need the times, the axes and the blocks of a process only; α, σ, λ, prediction types and samplers exist
//! where it is Gaussian. A new process is one file that implements [`ForwardProcess`] and one line in [`of_spec`].

mod gaussian;
mod jump;
pub(crate) mod linear_gaussian;
#[cfg(test)]
mod tests;
mod unnoised;

pub use gaussian::Gaussian;
pub use lipscope_core::process::{Jump, LinearGaussian, ProcessSpec};

use crate::error::{Error, Result};
use crate::schedule::NoiseSchedule;
use crate::time::{Axis, Conditioning, Timestep};
use std::ops::Range;
use std::sync::Arc;
use tch::Tensor;

/// q(x_t | x₀).
pub trait ForwardProcess {
    /// Number of grid steps T.
    fn timesteps(&self) -> usize;

    /// Its schedule where x_t = α_t x₀ + σ_t ε; without one there are no α, σ and λ, prediction types and samplers.
    fn gaussian(&self) -> Option<&dyn NoiseSchedule>;

    /// Its jumps, where it moves between symbols.
    fn jump(&self) -> Option<&Arc<Jump>> {
        None
    }

    /// Itself where it is linear and Gaussian, with auxiliary variables.
    fn linear_gaussian(&self) -> Option<&Arc<LinearGaussian>> {
        None
    }

    /// a(t); `None` where the process has no such axis.
    fn coordinate(&self, axis: Axis, t: Timestep) -> Option<f64>;

    /// da/dt per step; `None` where the process has no such axis.
    fn coordinate_rate(&self, axis: Axis, t: Timestep) -> Option<f64>;

    /// The axis that curves are measured on where none is asked for.
    fn axis(&self) -> Axis {
        Axis::Step
    }

    /// The number that a network is told for t where neither its file nor the command line says one.
    fn conditioning(&self) -> Conditioning {
        Conditioning::default()
    }

    /// Shape of one state, for clean samples of shape `sample`.
    fn state_shape(&self, sample: &[i64]) -> Vec<i64>;

    /// The parts of a state that have a norm each, in the order of their elements.
    fn blocks(&self, sample: &[i64]) -> Vec<Block>;

    /// What [`ForwardProcess::state`] takes as noise.
    fn noise(&self) -> NoiseKind;

    /// The state at `t` that sampling starts from, [B, …], made of noise alone.
    fn start(&self, noise: &Tensor, t: Timestep) -> Result<Tensor>;

    /// x_t, [B, …], of clean samples and noise [B, …], with one timestep per row.
    fn state(&self, clean: &Tensor, noise: &Tensor, t: &[Timestep]) -> Result<Tensor>;
}

/// A part of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Name in tables; `None` where there is one block only.
    pub name: Option<String>,
    /// Its elements among those of the flattened state.
    pub elements: Range<i64>,
}

/// The distribution of a process's noise, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseKind {
    /// N(0, 1).
    Normal,
    /// Uniform on [0, 1), by which jumps are decided.
    Uniform,
}

/// The process that a specification names.
pub fn of_spec(spec: &ProcessSpec) -> Box<dyn ForwardProcess> {
    match spec {
        ProcessSpec::Gaussian(named) => Box::new(Gaussian::from(Arc::clone(&named.schedule))),
        ProcessSpec::Jump(jump) => Box::new(Arc::clone(jump)),
        ProcessSpec::LinearGaussian(linear) => Box::new(Arc::clone(linear)),
        ProcessSpec::Unnoised(unnoised) => Box::new(Arc::clone(unnoised)),
    }
}

/// The number that a network is told for t.
///
/// # Errors
/// The process has no such number.
pub fn told(process: &dyn ForwardProcess, conditioning: Conditioning, t: Timestep) -> Result<f64> {
    let number = conditioning.of_axes(|axis| process.coordinate(axis, t), process.gaussian(), t);
    number.ok_or_else(|| no_such_number(conditioning))
}

/// Its derivative along t, per step.
///
/// # Errors
/// As [`told`].
pub fn told_rate(process: &dyn ForwardProcess, conditioning: Conditioning, t: Timestep) -> Result<f64> {
    let rate = match conditioning {
        Conditioning::Axis { axis, factor, .. } => process.coordinate_rate(axis, t).map(|rate| factor * rate),
        Conditioning::LogUnit => process
            .coordinate_rate(Axis::Unit, t)
            .zip(process.coordinate(Axis::Unit, t))
            .map(|(rate, unit)| rate / unit),
        Conditioning::Noise(c_noise) => process.gaussian().map(|schedule| c_noise.at(schedule, t).rate),
    };
    rate.ok_or_else(|| no_such_number(conditioning))
}

fn no_such_number(conditioning: Conditioning) -> Error {
    let allowed = "the forward process of this model has no such number";
    Error::argument("--time-input", conditioning, allowed, "Use --time-input step, which every process has.")
}
