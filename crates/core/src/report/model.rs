//! What a report says about a model.

use super::Basis;
use crate::clock::Clock;
use serde::{Deserialize, Serialize};

/// What a model is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelDescription {
    /// Path or name as given.
    pub source: String,
    /// SHA-256 of the weights file; `None` for closed forms.
    pub sha256: Option<String>,
    /// Recognised format, such as `torchscript` or `diffusers`.
    pub format: String,
    /// Architecture, such as `UNet2DModel`.
    pub architecture: String,
    /// Adaptations that were merged into the weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lora: Vec<LoraDescription>,
    /// Number of parameters.
    pub parameters: u64,
    /// Shape of one sample.
    pub sample_shape: Vec<i64>,
    /// Prediction type: `epsilon`, `v`, `x0` or `flow`.
    pub prediction: String,
    /// Schedule with its parameters, as `--schedule` takes it.
    pub schedule: String,
    /// Number of timesteps T; indices run from 0 to T−1.
    pub timesteps: usize,
    /// The number that the network gets for t: an axis name.
    pub conditioning: String,
    /// What a conditional network was asked for, in words; `None` for an unconditional one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// Its arguments of time and which of them move, where t is not the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// What the meaning of its input and output rests on; `None` for closed forms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// Boundaries t₀ < … < t_n of shared sub-intervals in steps; empty where nothing is shared.
    pub boundaries: Vec<f64>,
    /// dtype of the arithmetic.
    pub dtype: String,
    /// How ∂/∂t was computed; `None` where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derivative: Option<String>,
}

/// A low-rank adaptation that was merged into a model's weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraDescription {
    /// Path as given.
    pub source: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// What it was multiplied by, besides α/r.
    pub scale: f64,
    /// How many layers it changed.
    pub layers: usize,
}

/// Whether the secant from `t` to `next` holds the jump of the condition at `boundary`.
pub fn crosses(boundary: f64, t: f64, next: f64) -> bool {
    t < boundary && boundary <= next
}

/// The same for a secant over one step at most, of which the jump is all.
pub(crate) fn steps_over(boundary: f64, t: f64, next: f64) -> bool {
    crosses(boundary, t, next) && next - t <= 1.0
}
