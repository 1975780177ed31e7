//! The joint block of both networks: tokens of the image [B, N, C] and of the text [B, L, C], modulated and gated by the
//! condition c [B, C] behind its activation.
//!
//! x ← x + g₁ ∘ attention(norm(x) (1 + s₁) + b₁) [+ g₃ ∘ attention₂(norm(x) (1 + s₃) + b₃)],
//! x ← x + g₂ ∘ mlp(norm(x) (1 + s₂) + b₂), and the same for the text, with which the first attention is shared.

use super::attention::{AttentionShape, IMAGE, StreamAttention, TEXT};
use super::rope::Rope;
use crate::dual::Dual;
use crate::error::{Error, Result};
use crate::nn::{Activation, FeedForward, LayerNorm, Linear, Nonlinearity, TimeSignal, Weights, chunks, modulate};

/// ε of the normalisations of tokens.
pub(super) const EPSILON: f64 = 1e-6;
/// Hidden units of the dense layers for every channel.
const EXPANSION: i64 = 4;
const NONLINEARITY: Nonlinearity = Nonlinearity::Pointwise(Activation::GeluTanh);

/// What a block is built to.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockPlan {
    pub attention: AttentionShape,
    /// Whether the text ends here: its tokens are attended to and go no further.
    pub ends_text: bool,
    /// Whether the image also has an attention of its own (Stable Diffusion 3.5).
    pub second_attention: bool,
}

/// The block.
#[derive(Debug)]
pub(super) struct JointBlock {
    site: String,
    attention: StreamAttention,
    second: Option<StreamAttention>,
    modulation: Linear,
    mlp: FeedForward,
    text: Text,
    norm: LayerNorm,
}

/// What happens to the text's tokens.
#[derive(Debug)]
enum Text {
    GoesOn { modulation: Linear, mlp: FeedForward },
    Ends { modulation: Linear },
}

impl JointBlock {
    /// Takes `norm1`, `norm1_context`, `attn`, `attn2`, `ff` and `ff_context`.
    pub fn new(weights: &Weights, plan: &BlockPlan) -> Result<Self> {
        let width = plan.attention.width();
        let modulation = |name: &str, parts| Linear::new(&weights.at(name).at("linear"), width, parts * width);
        let mlp = |name: &str| {
            let (first, last) = (format!("{name}.net.0.proj"), format!("{name}.net.2"));
            FeedForward::new(weights, [&first, &last], [width, EXPANSION * width], NONLINEARITY)
        };
        let text = match plan.ends_text {
            true => Text::Ends { modulation: modulation("norm1_context", 2)? },
            false => Text::GoesOn { modulation: modulation("norm1_context", 6)?, mlp: mlp("ff_context")? },
        };
        let text_names = if plan.ends_text { TEXT.without_out() } else { TEXT };
        let second = match plan.second_attention {
            true => Some(StreamAttention::new(&weights.at("attn2"), &[IMAGE], &plan.attention)?),
            false => None,
        };
        Ok(JointBlock {
            site: weights.name().into(),
            attention: StreamAttention::new(&weights.at("attn"), &[text_names, IMAGE], &plan.attention)?,
            modulation: modulation("norm1", if second.is_some() { 9 } else { 6 })?,
            second,
            mlp: mlp("ff")?,
            text,
            norm: LayerNorm::plain(width, EPSILON),
        })
    }

    /// Tokens of the text and of the image, through the block; the text's are left as they are where it ends.
    pub fn forward(&self, [text, image]: [Dual; 2], condition: &TimeSignal, rope: Option<&Rope>) -> Result<[Dual; 2]> {
        let normed = self.norm.forward(&image)?;
        let modulation = self.modulation.forward(condition.at(&self.site))?;
        let ([shift, scale, gate, mlp_shift, mlp_scale, mlp_gate], more) = match &self.second {
            None => (chunks(&modulation)?, None),
            Some(second) => {
                let [a, b, c, d, e, f, shift, scale, gate] = chunks(&modulation)?;
                ([a, b, c, d, e, f], Some((second, modulate(&normed, &scale, &shift)?, gate)))
            }
        };
        let (text_in, gates) = self.text_in(&text, condition)?;
        let [of_text, of_image] =
            two(self.attention.forward(&[&text_in, &modulate(&normed, &scale, &shift)?], rope)?)?;
        let mut image = image.add(&of_image.mul(&gate)?)?;
        if let Some((second, tokens, gate)) = more {
            let own = second.forward(&[&tokens], rope)?;
            image = own.iter().try_fold(image, |image, own| image.add(&own.mul(&gate)?))?;
        }
        let image = self.dense(&self.mlp, image, [&mlp_shift, &mlp_scale, &mlp_gate])?;
        let text = match (&self.text, gates) {
            (Text::GoesOn { mlp, .. }, Some([gate, mlp_shift, mlp_scale, mlp_gate])) => {
                self.dense(mlp, text.add(&of_text.mul(&gate)?)?, [&mlp_shift, &mlp_scale, &mlp_gate])?
            }
            _ => text,
        };
        Ok([text, image])
    }

    /// The text's tokens as attention sees them, and what modulates and gates them behind it.
    fn text_in(&self, text: &Dual, condition: &TimeSignal) -> Result<(Dual, Option<[Dual; 4]>)> {
        let normed = self.norm.forward(text)?;
        match &self.text {
            Text::Ends { modulation } => {
                let [scale, shift] = chunks(&modulation.forward(condition.at(&self.site))?)?;
                Ok((modulate(&normed, &scale, &shift)?, None))
            }
            Text::GoesOn { modulation, .. } => {
                let [shift, scale, gate, mlp_shift, mlp_scale, mlp_gate] =
                    chunks(&modulation.forward(condition.at(&self.site))?)?;
                Ok((modulate(&normed, &scale, &shift)?, Some([gate, mlp_shift, mlp_scale, mlp_gate])))
            }
        }
    }

    /// x + g ∘ mlp(norm(x) (1 + s) + b)
    fn dense(&self, mlp: &FeedForward, x: Dual, [shift, scale, gate]: [&Dual; 3]) -> Result<Dual> {
        let h = modulate(&self.norm.forward(&x)?, scale, shift)?;
        x.add(&mlp.forward(&h)?.mul(gate)?)
    }
}

fn two(parts: Vec<Dual>) -> Result<[Dual; 2]> {
    parts.try_into().map_err(|_| Error::mismatch("an attention has lost a stream", "Report this."))
}
