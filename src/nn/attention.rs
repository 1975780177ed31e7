//! Self-attention over pixels: x [B, C, H, W] → the same shape.
//!
//! With the N = H·W pixels of GroupNorm(x) as tokens: y = (attention(tokens) + x) / rescale.

use super::{GroupNorm, QkvOrder, TokenAttention, TokenAttentionConfig, Weights, to_tokens};
use crate::dual::Dual;
use crate::error::{Error, Result};

/// What an attention layer is built to.
#[derive(Debug, Clone, Copy)]
pub struct AttentionConfig {
    /// Channels C of x.
    pub channels: i64,
    /// Channels d of one head; there are C / d heads, rounded down.
    pub head_dim: i64,
    /// Groups of the normalisation of x; `None` for no normalisation.
    pub norm_groups: Option<i64>,
    /// ε of that normalisation.
    pub norm_epsilon: f64,
    /// What the output is divided by.
    pub rescale: f64,
}

/// Self-attention over pixels with residual connection.
#[derive(Debug)]
pub struct Attention {
    group_norm: Option<GroupNorm>,
    tokens: TokenAttention,
    rescale: f64,
}

impl Attention {
    /// Takes `group_norm`, `to_q`, `to_k`, `to_v`, `to_out.0`, or the last four under the names that older
    /// releases of diffusers wrote: `query`, `key`, `value`, `proj_attn`.
    pub fn new(weights: &Weights, config: &AttentionConfig) -> Result<Self> {
        let &AttentionConfig { channels, head_dim, norm_groups, norm_epsilon, rescale } = config;
        if head_dim < 1 || head_dim > channels {
            return Err(Error::mismatch(
                format!("heads of {head_dim} channels do not fit the {channels} channels of `{}`", weights.name()),
                "Correct attention_head_dim in the configuration: it is the number of channels of one head.",
            ));
        }
        let group_norm = match norm_groups {
            Some(groups) => Some(GroupNorm::new(&weights.at("group_norm"), channels, groups, norm_epsilon)?),
            None => None,
        };
        let legacy = weights.has("query.weight");
        let names = if legacy { ["query", "key", "value", "proj_attn"] } else { ["to_q", "to_k", "to_v", "to_out.0"] };
        let heads = channels / head_dim;
        let tokens = TokenAttentionConfig { width: channels, context_width: channels, heads, head_dim, bias: true };
        Ok(Attention { group_norm, tokens: TokenAttention::new(weights, names, &tokens)?, rescale })
    }

    /// Takes `norm`, `qkv` and `proj_out`, as OpenAI's `AttentionBlock` has them; `heads` must divide the channels.
    pub fn joint(weights: &Weights, channels: i64, heads: i64, order: QkvOrder, norm_groups: i64) -> Result<Self> {
        let group_norm = Some(GroupNorm::new(&weights.at("norm"), channels, norm_groups, 1e-5)?);
        let tokens = TokenAttention::convolutional(weights, channels, heads, order)?;
        Ok(Attention { group_norm, tokens, rescale: 1.0 })
    }

    /// x [B, C, H, W] → the same shape.
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let tokens = match &self.group_norm {
            Some(norm) => to_tokens(&norm.forward(x)?)?,
            None => to_tokens(x)?,
        };
        let out = self.tokens.forward(&tokens, None)?;
        let out = out.linear(|out| out.f_transpose(1, 2)?.f_reshape_as(&x.value))?.add(x)?;
        if self.rescale == 1.0 { Ok(out) } else { out.linear(|x| x.f_div_scalar(self.rescale)) }
    }
}
