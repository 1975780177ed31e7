//! Estimators: one number per sample for how fast ε changes in time.
//!
//! A new estimator is one file that implements [`Estimator`] and one line in [`Quantity::estimators`].

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
use crate::error::{Doing, Error, Result};
use crate::time::{Axis, Timestep};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tch::{Kind, Tensor};

/// How a tensor becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// The Euclidean norm over all elements of a sample.
    #[default]
    L2,
    /// L2 divided by √D, which compares across resolutions.
    Rms,
}

impl Norm {
    /// Name as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Norm::L2 => "l2",
            Norm::Rms => "rms",
        }
    }

    /// Norm of every row of [B, …], float64 `[B]` on the device.
    pub fn of(self, rows: &Tensor) -> Result<Tensor> {
        let doing = "taking norms";
        let flat = rows.f_flatten(1, -1).doing(doing)?;
        let norms = flat.f_norm_scalaropt_dim_dtype(2.0, [1].as_slice(), false, Kind::Double).doing(doing)?;
        match self {
            Norm::L2 => Ok(norms),
            Norm::Rms => norms.f_div_scalar((flat.size()[1].max(1) as f64).sqrt()).doing(doing),
        }
    }
}

impl FromStr for Norm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "l2" => Ok(Norm::L2),
            "rms" => Ok(Norm::Rms),
            _ => Err(Error::argument("--norm", text, "it is l2 or rms", "Choose one of them.")),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// K(t, t′) = E‖ε(x, t) − ε(x, t′)‖/|t − t′|.
    #[default]
    Secant,
    /// D(t) = E‖∂ε/∂t‖.
    Derivative,
    /// One curve of each.
    Both,
    /// E‖d ε(x(t), t)/dt‖ along the probability-flow ODE.
    Path,
    /// E‖∂ε/∂x‖₂.
    Spatial,
}

impl Quantity {
    /// The estimators that it takes.
    pub fn estimators(self, dt: f64, axis: Axis, norm: Norm) -> Vec<Box<dyn Estimator>> {
        let secant = || Box::new(Secant { dt, axis, norm }) as Box<dyn Estimator>;
        let derivative = || Box::new(Derivative { axis, norm }) as Box<dyn Estimator>;
        match self {
            Quantity::Secant => vec![secant()],
            Quantity::Derivative => vec![derivative()],
            Quantity::Both => vec![secant(), derivative()],
            Quantity::Path => vec![Box::new(Path { axis, norm })],
            Quantity::Spatial => vec![Box::new(Spatial)],
        }
    }

    /// Whether a curve of secants is part of it.
    pub fn has_secant(self) -> bool {
        matches!(self, Quantity::Secant | Quantity::Both)
    }

    /// Whether a curve of derivatives is part of it.
    pub fn has_derivative(self) -> bool {
        matches!(self, Quantity::Derivative | Quantity::Both)
    }

    /// Whether it needs derivatives in x.
    pub fn has_jacobian(self) -> bool {
        matches!(self, Quantity::Path | Quantity::Spatial)
    }
}

impl FromStr for Quantity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "secant" => Ok(Quantity::Secant),
            "derivative" => Ok(Quantity::Derivative),
            "both" => Ok(Quantity::Both),
            "path" => Ok(Quantity::Path),
            "spatial" => Ok(Quantity::Spatial),
            _ => {
                let allowed = "it is secant, derivative, both, path or spatial";
                Err(Error::argument("--quantity", text, allowed, "Choose one of them."))
            }
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Quantity::Secant => "secant",
            Quantity::Derivative => "derivative",
            Quantity::Both => "both",
            Quantity::Path => "path",
            Quantity::Spatial => "spatial",
        })
    }
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
    /// `secant`, `derivative`, `path` or `spatial`.
    fn quantity(&self) -> &'static str;

    /// How it is estimated.
    fn name(&self) -> &'static str;

    /// Time axis of the denominator.
    fn axis(&self) -> Axis;

    /// Norm of the numerator.
    fn norm(&self) -> Norm;

    /// Unit of its numbers.
    fn unit(&self) -> &'static str {
        self.axis().unit()
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
