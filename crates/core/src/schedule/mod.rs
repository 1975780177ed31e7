//! Noise schedules: x_t = α_t x₀ + σ_t ε, in float64 and free of tch.
//!
//! Every schedule is defined on the grid t = 0 … T−1 as DDPM code has it (index t is the state after t + 1 steps of
//! noise, so σ₀ > 0) and, between the indices, on the continuous interval [−1, T−1] with closed-form derivatives;
//! t = −1 is the clean sample, save for schedules whose σ starts at a σ_min above 0. Schedules that are given by a table
//! interpolate as [`table`] documents.
//!
//! A new schedule is one file with a [`Member`] and one line in [`MEMBERS`].

mod bounded_variance;
mod cosine;
mod custom;
mod flat_start;
mod flow;
mod linear;
mod named;
mod scaled_linear;
mod shifted_cosine;
mod sigmas;
mod sigmoid;
mod spec;
pub mod table;
#[cfg(test)]
mod tests;
mod trigflow;
mod variance_exploding;

pub use flat_start::FlatStart;
pub use named::NamedSchedule;
pub use spec::{MOST_TIMESTEPS, Parameters, parse};
pub(crate) use spec::{is_known, unknown};
pub use table::Table;

use crate::error::Result;

/// A time in steps. Grid indices are 0 … T−1; fractions lie between them, and −1 is the clean sample.
pub type Timestep = f64;

/// α and σ over time, with their derivatives.
pub trait NoiseSchedule: std::fmt::Debug + Send + Sync {
    /// Number of grid steps T.
    fn timesteps(&self) -> usize;

    /// α_t for t in [−1, T−1].
    fn alpha(&self, t: Timestep) -> f64;

    /// σ_t for t in [−1, T−1].
    fn sigma(&self, t: Timestep) -> f64;

    /// dα/dt per step.
    fn d_alpha_dt(&self, t: Timestep) -> f64;

    /// dσ/dt per step; infinite at t = −1 where the schedule is singular.
    fn d_sigma_dt(&self, t: Timestep) -> f64;

    /// α, σ and their rates at one time.
    fn level(&self, t: Timestep) -> Level {
        Level { alpha: self.alpha(t), sigma: self.sigma(t), d_alpha: self.d_alpha_dt(t), d_sigma: self.d_sigma_dt(t) }
    }

    /// ᾱ_t = α²/(α² + σ²); α² for a variance-preserving schedule.
    fn alpha_bar(&self, t: Timestep) -> f64 {
        let (alpha, sigma) = (self.alpha(t), self.sigma(t));
        alpha * alpha / (alpha * alpha + sigma * sigma)
    }

    /// dᾱ/dt = 2ασ(α̇σ − ασ̇)/(α² + σ²)², from the closed-form rates of α and σ.
    fn d_alpha_bar_dt(&self, t: Timestep) -> f64 {
        let (alpha, sigma) = (self.alpha(t), self.sigma(t));
        let norm = alpha * alpha + sigma * sigma;
        2.0 * alpha * sigma * (self.d_alpha_dt(t) * sigma - alpha * self.d_sigma_dt(t)) / (norm * norm)
    }

    /// Standard deviation of the noise that sampling starts from at t: 1 where x is all but N(0, I) there, as with every
    /// schedule whose α falls to 0.
    fn start_std(&self, _t: Timestep) -> f64 {
        1.0
    }

    /// Whether steps mean something to a model. Where they belong to the sampling alone, curves are measured over the log-SNR
    /// unless another axis is asked for.
    fn has_steps(&self) -> bool {
        true
    }

    /// λ_t = ln(α²/σ²).
    fn log_snr(&self, t: Timestep) -> f64 {
        2.0 * (self.alpha(t) / self.sigma(t)).ln()
    }

    /// dλ/dt = 2(α̇/α − σ̇/σ).
    fn d_log_snr_dt(&self, t: Timestep) -> f64 {
        2.0 * (self.d_alpha_dt(t) / self.alpha(t) - self.d_sigma_dt(t) / self.sigma(t))
    }
}

/// α and σ at one time, with their rates per step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// α.
    pub alpha: f64,
    /// σ.
    pub sigma: f64,
    /// dα/dt.
    pub d_alpha: f64,
    /// dσ/dt.
    pub d_sigma: f64,
}

/// One schedule of the family: its name, what it takes, and how it is built.
pub struct Member {
    /// Name as it is typed.
    pub name: &'static str,
    /// Parameters with their defaults, besides `timesteps=1000`.
    pub parameters: &'static [(&'static str, &'static str)],
    /// One line with the formula and its source.
    pub about: &'static str,
    /// Builds it from checked parameters.
    pub build: fn(&Parameters) -> Result<Built>,
}

/// What a member builds.
#[derive(Debug)]
pub enum Built {
    /// Values on the grid, to be interpolated; may be rescaled to zero terminal SNR.
    Table(Table),
    /// A closed form in continuous time.
    Continuous(Box<dyn NoiseSchedule>),
}

/// The family.
pub const MEMBERS: &[Member] = &[
    linear::MEMBER,
    scaled_linear::QUADRATIC,
    scaled_linear::MEMBER,
    cosine::MEMBER,
    shifted_cosine::MEMBER,
    sigmoid::MEMBER,
    sigmoid::BETAS,
    trigflow::MEMBER,
    flow::MEMBER,
    bounded_variance::VP,
    bounded_variance::SUB_VP,
    variance_exploding::GEOMETRIC,
    variance_exploding::EDM,
    custom::BETAS,
    custom::ALPHA_BAR,
    sigmas::MEMBER,
];
