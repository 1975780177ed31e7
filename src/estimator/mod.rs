//! Estimators: one number per sample for how fast ε changes in time.
//!
//! A new estimator is one file that implements [`Estimator`] and one line in [`estimator()`].

mod derivative;
mod path;
mod secant;
mod spatial;
#[cfg(test)]
mod tests;

pub use derivative::Derivative;
pub use path::Path;
pub use secant::Secant;
pub use spatial::Spatial;

use crate::denoiser::Denoiser;
use crate::device::scale_rows;
use crate::error::{Doing, Result};
use crate::time::{Axis, Timestep};
use tch::{Kind, Tensor};

pub use lipscope_core::quantity::{Method, Norm, Quantities, Quantity};

/// Norm of every row of [B, …], float64 `[B]` on the device.
pub fn row_norms(norm: Norm, rows: &Tensor) -> Result<Tensor> {
    let doing = "taking norms";
    let flat = rows.f_flatten(1, -1).doing(doing)?;
    let norms = flat.f_norm_scalaropt_dim_dtype(2.0, [1].as_slice(), false, Kind::Double).doing(doing)?;
    match norm {
        Norm::L2 => Ok(norms),
        Norm::Rms => norms.f_div_scalar((flat.size()[1].max(1) as f64).sqrt()).doing(doing),
    }
}

/// The estimator of a quantity; `dt` is the secant's distance in steps.
pub fn estimator(quantity: Quantity, dt: f64, axis: Axis, norm: Norm) -> Box<dyn Estimator> {
    match quantity {
        Quantity::Secant => Box::new(Secant { dt, axis, norm }),
        Quantity::Derivative => Box::new(Derivative { axis, norm }),
        Quantity::Path => Box::new(Path { axis, norm }),
        Quantity::Spatial => Box::new(Spatial),
    }
}

/// The estimators of all curves of a model.
pub fn estimators(quantities: Quantities, dt: f64, axis: Axis, norm: Norm) -> Vec<Box<dyn Estimator>> {
    quantities.all().iter().map(|&quantity| estimator(quantity, dt, axis, norm)).collect()
}

/// One number per sample.
pub struct Norms {
    /// float64, `[B]`, on the denoiser's device; per unit of the axis.
    pub values: Tensor,
    /// Network evaluations that it took, over all rows.
    pub evaluations: u64,
    /// Which rows an iteration did not settle for, `[B]`, where there is one.
    pub unconverged: Option<Tensor>,
}

/// How fast ε changes in time, sample by sample.
pub trait Estimator {
    /// What it estimates.
    fn quantity(&self) -> Quantity;

    /// How.
    fn method(&self) -> Method;

    /// Time axis of the denominator.
    fn axis(&self) -> Axis;

    /// Norm of the numerator.
    fn norm(&self) -> Norm;

    /// Unit of its numbers.
    fn unit(&self) -> &'static str {
        self.quantity().unit(self.axis())
    }

    /// t′ for t; `None` where no second time is involved.
    fn t_next(&self, t: Timestep) -> Option<Timestep>;

    /// Whether the quantity does not exist at t for this model: a derivative where its timestep map jumps.
    fn undefined_at(&self, _denoiser: &dyn Denoiser, _t: Timestep) -> bool {
        false
    }

    /// The numbers at x [B, …], with one timestep per row.
    fn norms(&self, denoiser: &dyn Denoiser, x: &Tensor, t: &[Timestep]) -> Result<Norms>;
}

/// Every norm over its own divisor.
fn divided(norms: &Tensor, divisors: &[f64]) -> Result<Tensor> {
    scale_rows(norms, &divisors.iter().map(|divisor| 1.0 / divisor).collect::<Vec<f64>>())
}
