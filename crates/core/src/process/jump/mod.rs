//! Jump processes over symbols: every position of x jumps independently of the others, at rates per unit of the total
//! noise σ (Lou et al., arXiv 2310.16834, whose σ is ∫ dt of the noise's rate; Campbell et al., arXiv 2205.14987).
//!
//! | process | symbols of x₀ | jumps | q(x_t = x₀ ∣ x₀) |
//! |---|---|---|---|
//! | `flip` | 0 and 1 | to the other, at rate 1 | (1 + e^−2σ)/2 |
//! | `uniform:symbols=V` | 0 … V−1 | to each other symbol, at rate 1/V | e^−σ + (1 − e^−σ)/V |
//! | `absorb:symbols=V` | 0 … V−1 | to the mask V, at rate 1, and never back | e^−σ |
//!
//! `flip` is `uniform:symbols=2` at twice its σ. With r_y = q_t(y)/q_t(x) the reverse process leaves x at the total rate
//! R(x) = Σ_y Q(y, x) r_y per unit of σ, and jumps to y with probability p_y = Q(y, x) r_y/R(x). A schedule σ(t) makes it
//! R dσ/dt per unit of t; ∫ R dσ is the same for all schedules.
//!
//! A new graph is one file, one variant of [`Graph`] and one line in [`super::OTHERS`].

mod absorb;
mod exact;
mod flip;
mod noise;
#[cfg(test)]
mod sampler_test;
mod steps;
#[cfg(test)]
mod tests;
mod uniform;

pub use absorb::ABSORB;
pub use exact::{AtSigma, Exact, Expectation, MOST_STATES};
pub use flip::FLIP;
pub use noise::Noise;
pub use steps::integral;
pub use uniform::UNIFORM;

use super::ProcessSpec;
use crate::control_variates::Covariates;
use crate::error::{Error, Result};
use crate::schedule::Parameters;
use crate::time::{Axis, Timestep};
use std::sync::Arc;

/// Parameters of every jump process: `noise=log-linear` with `eps`, or `noise=geometric` with `min` and `max`.
const OF_EVERY: [(&str, &str); 5] =
    [("timesteps", "1000"), ("noise", "log-linear"), ("eps", ""), ("min", ""), ("max", "")];

/// Parameters of graphs with any number of symbols.
const SYMBOLS: [(&str, &str); 1] = [("symbols", "")];

/// Symbols that float32 numbers tell apart.
const MOST_SYMBOLS: usize = 1 << 24;

/// The rates of one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graph {
    /// Each bit to the other, at rate 1.
    Flip,
    /// To every other symbol, at rate 1/V.
    Uniform {
        /// V.
        symbols: usize,
    },
    /// To the mask, at rate 1.
    Absorb {
        /// V, without the mask.
        symbols: usize,
    },
}

/// q(x_t | x₀) of one position at a σ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kernel {
    /// The symbol is still that of x₀.
    pub stays: f64,
    /// It is another, whichever: 1 − `stays`, computed without cancellation.
    pub jumps: f64,
}

impl Graph {
    /// V: symbols of clean samples.
    pub fn symbols(self) -> usize {
        match self {
            Graph::Flip => 2,
            Graph::Uniform { symbols } | Graph::Absorb { symbols } => symbols,
        }
    }

    /// Symbols of states, with the mask where there is one.
    pub fn states(self) -> usize {
        self.mask().map_or(self.symbols(), |mask| mask + 1)
    }

    /// The mask.
    pub fn mask(self) -> Option<usize> {
        match self {
            Graph::Absorb { symbols } => Some(symbols),
            _ => None,
        }
    }

    /// Q(y, x) of neighbours y from which x is reached by one jump, per unit of σ.
    pub fn rate(self) -> f64 {
        match self {
            Graph::Flip | Graph::Absorb { .. } => 1.0,
            Graph::Uniform { symbols } => 1.0 / symbols as f64,
        }
    }

    /// q(x_t | x₀) of one position.
    pub fn kernel(self, sigma: f64) -> Kernel {
        // With the memory of x₀ m = e^−ρσ a position stays for 1 − (1 − m)·c, with c the part of forgetting that moves it.
        let (speed, part) = match self {
            Graph::Flip => (2.0, 0.5),
            Graph::Uniform { symbols } => (1.0, 1.0 - 1.0 / symbols as f64),
            Graph::Absorb { .. } => (1.0, 1.0),
        };
        let jumps = -(-speed * sigma).exp_m1() * part;
        Kernel { stays: 1.0 - jumps, jumps }
    }

    /// E R over q_t for `positions` positions, per unit of σ. Σ_x q(x) Σ_y Q(y, x) q(y)/q(x) is the mean rate at which the
    /// *forward* process jumps: it says nothing about the data.
    pub fn mean_rate(self, positions: usize, sigma: f64) -> f64 {
        let each = match self {
            Graph::Flip => 1.0,
            Graph::Uniform { symbols } => 1.0 - 1.0 / symbols as f64,
            Graph::Absorb { .. } => (-sigma).exp(),
        };
        positions as f64 * each
    }

    /// What x_t is at a position with the symbol `clean`, by a uniform number: it jumps where that is below the chance of
    /// a jump, whose fraction then says where to.
    pub fn jump(self, clean: usize, kernel: &Kernel, uniform: f64) -> usize {
        if uniform >= kernel.jumps {
            return clean;
        }
        if let Some(mask) = self.mask() {
            return mask;
        }
        let others = self.symbols() - 1;
        let other = ((uniform / kernel.jumps * others as f64) as usize).min(others - 1);
        if other < clean { other } else { other + 1 }
    }
}

/// A jump process with its noise over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Jump {
    /// As `--schedule` takes it.
    pub name: String,
    /// The rates of one position.
    pub graph: Graph,
    /// σ over time.
    pub noise: Noise,
    /// T.
    pub timesteps: usize,
}

impl Jump {
    /// u = (t + 1)/T: 0 is the clean sample, 1 the last step.
    fn unit(&self, t: Timestep) -> f64 {
        (t + 1.0) / self.timesteps as f64
    }

    /// Total noise σ(t).
    pub fn sigma(&self, t: Timestep) -> f64 {
        self.noise.sigma(self.unit(t))
    }

    /// a(t); there is no log-SNR.
    pub fn coordinate(&self, axis: Axis, t: Timestep) -> Option<f64> {
        match axis {
            Axis::Step => Some(t),
            Axis::Unit => Some(self.unit(t)),
            Axis::Sigma => Some(self.sigma(t)),
            Axis::LogSnr | Axis::Argument => None,
        }
    }

    /// da/dt per step.
    pub fn coordinate_rate(&self, axis: Axis, t: Timestep) -> Option<f64> {
        let per_step = 1.0 / self.timesteps as f64;
        match axis {
            Axis::Step => Some(1.0),
            Axis::Unit => Some(per_step),
            Axis::Sigma => Some(self.noise.rate(self.unit(t)) * per_step),
            Axis::LogSnr | Axis::Argument => None,
        }
    }

    /// What is known of a sample's uniform numbers at t: by how much the number of positions that jump is above its
    /// expectation, in parts of all, and the same of its square. Both are 0 on average.
    pub fn covariates(&self, uniform: &[f32], t: Timestep) -> Covariates {
        let Kernel { stays, jumps } = self.graph.kernel(self.sigma(t));
        let count = uniform.len().max(1) as f64;
        let jumped = uniform.iter().filter(|number| f64::from(**number) < jumps).count() as f64;
        let off = jumped / count - jumps;
        [off, off * off - stays * jumps / count, 0.0]
    }
}

impl Jump {
    /// Reads the parameters of the graph `name`, which takes `own` besides those of every jump process.
    fn read(
        (name, own): (&str, &[(&str, &str)]),
        pairs: &str,
        whole: &str,
        graph: impl FnOnce(&Parameters) -> Result<Graph>,
    ) -> Result<ProcessSpec> {
        let parameters = Parameters::read((name, &[own, &OF_EVERY].concat()), pairs, whole)?;
        Ok(ProcessSpec::Jump(Arc::new(Jump {
            name: whole.into(),
            graph: graph(&parameters)?,
            noise: Noise::new(&parameters)?,
            timesteps: parameters.timesteps()?,
        })))
    }
}

/// V, which must be given.
fn symbols(parameters: &Parameters) -> Result<usize> {
    let text = parameters.text("symbols")?;
    text.parse().ok().filter(|symbols| (2..MOST_SYMBOLS).contains(symbols)).ok_or_else(|| {
        let allowed = format!("it is a whole number from 2 to {}, without the mask", MOST_SYMBOLS - 1);
        Error::argument(
            "the schedule's symbols",
            text,
            allowed,
            "Give the size of the vocabulary, such as symbols=50257.",
        )
    })
}
