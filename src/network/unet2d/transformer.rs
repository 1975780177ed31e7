//! diffusers' `Transformer2DModel` over pixels, as Stable Diffusion has it: x [B, C, H, W], context [B, L, D] → [B, C,
//! H, W].
//!
//! tokens = project(norm(x)); in every block tokens ← tokens + self-attention(norm(tokens)), then + attention over the
//! context, then + GEGLU dense layers, each behind a layer normalisation of its own; y = project(tokens) + x.

use super::config::TransformerConfig;
use crate::dual::Dual;
use crate::error::{Error, Result};
use crate::nn::{
    Conv2d, FeedForward, GroupNorm, LayerNorm, Linear, Nonlinearity, TokenAttention, TokenAttentionConfig, Weights,
    to_tokens,
};

/// ε of the normalisation in front, whatever the other normalisations have.
const GROUP_NORM_EPS: f64 = 1e-6;
/// ε of the normalisations of tokens.
const LAYER_NORM_EPS: f64 = 1e-5;
/// Hidden units of the dense layers for every channel.
const EXPANSION: i64 = 4;

/// A stack of transformer blocks over pixels with residual connection.
#[derive(Debug)]
pub(super) struct Transformer2d {
    norm: GroupNorm,
    proj_in: Projection,
    blocks: Vec<Block>,
    proj_out: Projection,
}

/// Between pixels and tokens.
#[derive(Debug)]
enum Projection {
    Linear(Linear),
    Conv(Conv2d),
}

impl Transformer2d {
    /// Takes `norm`, `proj_in`, `transformer_blocks` and `proj_out`.
    pub fn new(weights: &Weights, config: &TransformerConfig) -> Result<Self> {
        let &TransformerConfig { channels, heads, layers, norm_groups, linear_projection, .. } = config;
        if heads < 1 || heads > channels {
            return Err(Error::mismatch(
                format!("{heads} heads do not fit the {channels} channels of `{}`", weights.name()),
                "Correct attention_head_dim in the configuration: for this class it is the number of heads.",
            ));
        }
        let inner = heads * (channels / heads);
        let projection = |name, inputs, outputs| {
            let weights = weights.at(name);
            Ok(match linear_projection {
                true => Projection::Linear(Linear::new(&weights, inputs, outputs)?),
                false => Projection::Conv(Conv2d::new(&weights, inputs, outputs, 1)?),
            })
        };
        let block = |i| Block::new(&weights.at("transformer_blocks").at(i), config, inner);
        Ok(Transformer2d {
            norm: GroupNorm::new(&weights.at("norm"), channels, norm_groups, GROUP_NORM_EPS)?,
            proj_in: projection("proj_in", channels, inner)?,
            blocks: (0..layers).map(block).collect::<Result<_>>()?,
            proj_out: projection("proj_out", inner, channels)?,
        })
    }

    /// x [B, C, H, W] → the same shape.
    pub fn forward(&self, x: &Dual, context: Option<&Dual>) -> Result<Dual> {
        let pixels = self.norm.forward(x)?;
        let mut tokens = match &self.proj_in {
            Projection::Linear(linear) => linear.forward(&to_tokens(&pixels)?)?,
            Projection::Conv(conv) => to_tokens(&conv.forward(&pixels)?)?,
        };
        for block in &self.blocks {
            tokens = block.forward(&tokens, context)?;
        }
        // [B, N, C] → [B, C, H, W]
        let width = x.value.size().last().copied().unwrap_or(1);
        let to_pixels = |x: &Dual| x.linear(|x| x.f_transpose(1, 2)?.f_unflatten(2, [-1, width]));
        let out = match &self.proj_out {
            Projection::Linear(linear) => to_pixels(&linear.forward(&tokens)?)?,
            Projection::Conv(conv) => conv.forward(&to_pixels(&tokens)?)?,
        };
        out.add(x)
    }
}

/// diffusers' `BasicTransformerBlock`.
#[derive(Debug)]
struct Block {
    norms: [LayerNorm; 3],
    first: TokenAttention,
    /// Whether `first`, too, is over the context.
    only_cross_attention: bool,
    second: TokenAttention,
    feed_forward: FeedForward,
}

impl Block {
    /// Takes `norm1`, `attn1`, `norm2`, `attn2`, `norm3` and `ff`.
    fn new(weights: &Weights, config: &TransformerConfig, width: i64) -> Result<Self> {
        let norm = |name| LayerNorm::new(&weights.at(name), width, LAYER_NORM_EPS);
        let attention = |name, context_width| {
            let (heads, head_dim) = (config.heads, width / config.heads);
            let config = TokenAttentionConfig { width, context_width, heads, head_dim, bias: false };
            TokenAttention::new(&weights.at(name), ["to_q", "to_k", "to_v", "to_out.0"], &config)
        };
        let names = ["ff.net.0.proj", "ff.net.2"];
        Ok(Block {
            norms: [norm("norm1")?, norm("norm2")?, norm("norm3")?],
            first: attention("attn1", if config.only_cross_attention { config.context_width } else { width })?,
            only_cross_attention: config.only_cross_attention,
            second: attention("attn2", config.context_width)?,
            feed_forward: FeedForward::new(weights, names, [width, EXPANSION * width], Nonlinearity::Geglu)?,
        })
    }

    fn forward(&self, x: &Dual, context: Option<&Dual>) -> Result<Dual> {
        let first_context = context.filter(|_| self.only_cross_attention);
        let x = x.add(&self.first.forward(&self.norms[0].forward(x)?, first_context)?)?;
        let x = x.add(&self.second.forward(&self.norms[1].forward(&x)?, context)?)?;
        x.add(&self.feed_forward.forward(&self.norms[2].forward(&x)?)?)
    }
}
