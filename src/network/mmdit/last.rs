//! The last layers of both networks: y = linear(norm(x) (1 + s) + b), [B, N, C] → [B, N, out].

use super::block::EPSILON;
use crate::dual::Dual;
use crate::error::Result;
use crate::nn::{LayerNorm, Linear, TimeSignal, Weights, chunks, modulate};

/// Its name as a site of the time embedding.
const SITE: &str = "norm_out";

/// The last layers.
#[derive(Debug)]
pub(super) struct Last {
    /// To s and b.
    modulation: Linear,
    norm: LayerNorm,
    linear: Linear,
}

impl Last {
    /// Takes `norm_out` and `proj_out`.
    pub fn new(weights: &Weights, width: i64, outputs: i64) -> Result<Self> {
        Ok(Last {
            modulation: Linear::new(&weights.at("norm_out.linear"), width, 2 * width)?,
            norm: LayerNorm::plain(width, EPSILON),
            linear: Linear::new(&weights.at("proj_out"), width, outputs)?,
        })
    }

    /// x [B, N, C] and c [B, C] → [B, N, out].
    pub fn forward(&self, x: &Dual, condition: &TimeSignal) -> Result<Dual> {
        let [scale, shift] = chunks(&self.modulation.forward(condition.at(SITE))?)?;
        self.linear.forward(&modulate(&self.norm.forward(x)?, &scale, &shift)?)
    }
}
