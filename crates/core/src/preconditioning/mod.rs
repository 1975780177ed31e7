//! Preconditionings: the scalings of a network's input and output, and the number that it gets for the noise level
//! (Karras et al., arXiv 2206.00364, eq. 7 and table 1).
//!
//! The paper writes y = x₀ + s ε and x̂₀ = c_skip y + c_out F(c_in y, c_noise). With x = α x₀ + σ ε that is y = x/α,
//! s = σ/α, so that every row holds under every schedule:
//!
//! | | c_skip | c_out | c_in | c_noise | [`Prediction`](crate::prediction::Prediction) | [`Conditioning`](crate::time::Conditioning) |
//! |---|---|---|---|---|---|---|
//! | VP | 1 | −s | 1/√(1 + s²) | (M − 1) u(s) | `vp`: F = ε | `c-noise-vp`; under `vp` itself `unit*999` |
//! | VE | 1 | s | 1 | ln(s/2) | `ve`: F = −ε | `c-noise-ve` |
//! | iDDPM | 1 | −s | 1/√(1 + s²) | the nearest step of its grid | `vp` | `step`, under `cosine` |
//! | EDM | σ_d²/(s² + σ_d²) | s σ_d/√(s² + σ_d²) | 1/√(s² + σ_d²) | ln(s)/4 | [`Edm`] | `c-noise` |
//!
//! [`Consistency`] models have EDM's scalings but for a boundary. c_in of the table multiplies y; networks here get it as a factor of x, which is c_in/α.

mod c_noise;
mod consistency;
mod edm;

pub use c_noise::CNoise;
pub use consistency::Consistency;
pub use edm::Edm;

use crate::schedule::Level;

/// A factor and its rate per step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factor {
    /// c(t).
    pub value: f64,
    /// dc/dt.
    pub rate: f64,
}

impl Factor {
    /// 1/√(α² + σ²): x with unit variance where the data has it.
    pub fn unit_variance(level: &Level) -> Self {
        Edm { sigma_data: 1.0 }.input(level)
    }

    /// 1/α: y = x₀ + s ε.
    pub fn unit_signal(level: &Level) -> Self {
        let value = 1.0 / level.alpha;
        Factor { value, rate: -level.d_alpha * value * value }
    }
}
