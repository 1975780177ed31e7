//! Estimators: one number per sample and block for how fast a response changes in time.
//!
//! A new estimator is one file that implements [`Estimator`] and one line in [`estimator()`].

mod derivative;
mod path;
mod secant;
mod size;
mod spatial;
#[cfg(test)]
mod tests;

pub use derivative::Derivative;
pub use path::Path;
pub use secant::Secant;
pub use size::Size;
pub use spatial::Spatial;

use crate::denoiser::Denoiser;
use crate::device::{scale_rows, widest};
use crate::error::{Doing, Error, Result};
use crate::process::{Block, ForwardProcess};
use crate::response::Response;
use crate::state::State;
use crate::time::{Axis, Timestep};
use tch::Tensor;

pub use lipscope_core::quantity::{Method, Norm, Quantities, Quantity};

/// Norm of every row of [B, …], `[B]` on the device, in float64 where it has that.
pub fn row_norms(norm: Norm, rows: &Tensor) -> Result<Tensor> {
    let doing = "taking norms";
    let flat = rows.f_flatten(1, -1).doing(doing)?;
    let kind = widest(rows);
    let of_order = |p: f64| flat.f_norm_scalaropt_dim_dtype(p, [1].as_slice(), false, kind).doing(doing);
    match norm {
        Norm::L2 => of_order(2.0),
        Norm::Rms => of_order(2.0)?.f_div_scalar((flat.size()[1].max(1) as f64).sqrt()).doing(doing),
        Norm::TotalVariation => of_order(1.0)?.f_mul_scalar(0.5).doing(doing),
    }
}

/// Norm of every block of every row of [B, …], [B, blocks] likewise.
fn block_norms(norm: Norm, rows: &Tensor, blocks: &[Block]) -> Result<Tensor> {
    let doing = "taking norms";
    let flat = rows.f_flatten(1, -1).doing(doing)?;
    let of = |block: &Block| {
        let elements = &block.elements;
        row_norms(norm, &flat.f_narrow(1, elements.start, elements.end - elements.start).doing(doing)?)
    };
    match blocks {
        [_] => row_norms(norm, &flat)?.f_unsqueeze(1).doing(doing),
        blocks => Tensor::f_stack(&blocks.iter().map(of).collect::<Result<Vec<_>>>()?, 1).doing(doing),
    }
}

/// a(t), where the process has this axis.
fn coordinate(process: &dyn ForwardProcess, axis: Axis, t: Timestep) -> Result<f64> {
    process.coordinate(axis, t).ok_or_else(|| no_axis(axis))
}

/// |da/dt| per step, for every timestep.
pub(crate) fn speeds(process: &dyn ForwardProcess, axis: Axis, t: &[Timestep]) -> Result<Vec<f64>> {
    let speed = |&t: &Timestep| process.coordinate_rate(axis, t).map(f64::abs).ok_or_else(|| no_axis(axis));
    t.iter().map(speed).collect()
}

/// The refusal of an axis that a process does not have.
pub(crate) fn no_axis(axis: Axis) -> Error {
    let allowed = "the forward process of this model has no such axis";
    Error::argument("--axis", axis, allowed, "Use --axis step, which every process has.")
}

/// The response as a denoiser, which `what` needs.
fn denoiser<'a>(response: &'a dyn Response, what: &str) -> Result<&'a dyn Denoiser> {
    response.as_denoiser().ok_or_else(|| {
        Error::unsupported(what, "it is there for predictions of ε only", "Use --quantity secant or derivative.")
    })
}

/// The estimator of a quantity; `dt` is the secant's distance in steps.
pub fn estimator(quantity: Quantity, dt: f64, axis: Axis, norm: Norm) -> Box<dyn Estimator> {
    match quantity {
        Quantity::Secant => Box::new(Secant { dt, axis, norm }),
        Quantity::Derivative => Box::new(Derivative { axis, norm }),
        Quantity::Path => Box::new(Path { axis, norm }),
        Quantity::Spatial => Box::new(Spatial),
        Quantity::Size => Box::new(Size { norm }),
    }
}

/// The estimators of all curves of a model.
pub fn estimators(quantities: Quantities, dt: f64, axis: Axis, norm: Norm) -> Vec<Box<dyn Estimator>> {
    quantities.all().iter().map(|&quantity| estimator(quantity, dt, axis, norm)).collect()
}

/// One number per sample and block.
pub struct Norms {
    /// [B, blocks], on the response's device, in float64 where it has that; per unit of the axis.
    pub values: Tensor,
    /// Network evaluations that it took, over all rows.
    pub evaluations: u64,
    /// For which an iteration did not settle, [B, blocks], where there is one.
    pub unconverged: Option<Tensor>,
}

/// How fast a response changes in time, sample by sample.
pub trait Estimator {
    /// What it estimates.
    fn quantity(&self) -> Quantity;

    /// How.
    fn method(&self) -> Method;

    /// Time axis of the denominator.
    fn axis(&self) -> Axis;

    /// Norm of the numerator.
    fn norm(&self) -> Norm;

    /// t′ for t; `None` where no second time is involved.
    fn t_next(&self, t: Timestep) -> Option<Timestep>;

    /// Whether the quantity does not exist at t for this model: a derivative where its timestep map jumps.
    fn undefined_at(&self, _response: &dyn Response, _t: Timestep) -> bool {
        false
    }

    /// Names of the blocks that [`Estimator::norms`] gives a column each; `None` for all of the output.
    fn blocks(&self, response: &dyn Response) -> Vec<Option<String>> {
        response.blocks().into_iter().map(|block| block.name).collect()
    }

    /// The numbers at B states, with one timestep each.
    fn norms(&self, response: &dyn Response, state: &State, t: &[Timestep]) -> Result<Norms>;
}

/// Every norm over its own divisor.
fn divided(norms: &Tensor, divisors: &[f64]) -> Result<Tensor> {
    scale_rows(norms, &divisors.iter().map(|divisor| 1.0 / divisor).collect::<Vec<f64>>())
}
