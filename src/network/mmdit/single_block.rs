//! FLUX's single-stream block over text and image as one sequence [B, S, C]: attention and dense layers side by side,
//!
//! h = norm(x) (1 + s) + b,  x ← x + g ∘ W [attention(h), gelu(V h)].

use super::attention::{AttentionShape, IMAGE, StreamAttention};
use super::block::EPSILON;
use super::rope::Rope;
use crate::dual::Dual;
use crate::error::Result;
use crate::nn::{Activation, LayerNorm, Linear, TimeSignal, Weights, chunks, modulate};

/// Hidden units of the dense layer for every channel.
const EXPANSION: i64 = 4;

/// The block.
#[derive(Debug)]
pub(super) struct SingleBlock {
    site: String,
    modulation: Linear,
    norm: LayerNorm,
    attention: StreamAttention,
    dense: Linear,
    out: Linear,
}

impl SingleBlock {
    /// Takes `norm`, `attn`, `proj_mlp` and `proj_out`.
    pub fn new(weights: &Weights, attention: &AttentionShape) -> Result<Self> {
        let width = attention.width();
        let hidden = EXPANSION * width;
        Ok(SingleBlock {
            site: weights.name().into(),
            modulation: Linear::new(&weights.at("norm.linear"), width, 3 * width)?,
            norm: LayerNorm::plain(width, EPSILON),
            attention: StreamAttention::new(&weights.at("attn"), &[IMAGE.without_out()], attention)?,
            dense: Linear::new(&weights.at("proj_mlp"), width, hidden)?,
            out: Linear::new(&weights.at("proj_out"), width + hidden, width)?,
        })
    }

    /// x [B, S, C] and c [B, C] → [B, S, C].
    pub fn forward(&self, x: &Dual, condition: &TimeSignal, rope: &Rope) -> Result<Dual> {
        let [shift, scale, gate] = chunks(&self.modulation.forward(condition.at(&self.site))?)?;
        let h = modulate(&self.norm.forward(x)?, &scale, &shift)?;
        let attended = self.attention.forward(&[&h], Some(rope))?;
        let dense = Activation::GeluTanh.forward(&self.dense.forward(&h)?)?;
        let both: Vec<&Dual> = attended.iter().chain([&dense]).collect();
        x.add(&self.out.forward(&Dual::cat(&both, 2)?)?.mul(&gate)?)
    }
}
