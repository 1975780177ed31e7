//! Multi-head attention (Vaswani et al., 2017) over tokens: x [B, N, C] → the same shape.
//!
//! With h heads of d channels, q [B, h, N, d] is linear in x, and k, v [B, h, L, d] are linear in x or in a context
//! [B, L, D]: y = Linear(softmax(q kᵀ/√d) v). A context without a tangent costs none either.

use super::attend::attend;
use super::{Linear, Weights};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};

/// What attention over tokens is built to.
#[derive(Debug, Clone, Copy)]
pub struct TokenAttentionConfig {
    /// Channels C of x.
    pub width: i64,
    /// Channels D of the context; C without one.
    pub context_width: i64,
    /// Heads h.
    pub heads: i64,
    /// Channels d of one head.
    pub head_dim: i64,
    /// Whether the layers to q, k and v have biases.
    pub bias: bool,
}

/// Attention over tokens, without normalisation or residual connection.
#[derive(Debug)]
pub struct TokenAttention {
    projections: Projections,
    out: Linear,
    heads: i64,
    head_dim: i64,
}

/// The layers to q, k and v.
#[derive(Debug)]
enum Projections {
    /// q, k and v as the outputs of one layer.
    Fused(Linear, QkvOrder),
    Separate {
        query: Linear,
        key: Linear,
        value: Linear,
    },
}

/// How the 3·h·d outputs of one layer for q, k and v are ordered; no shape tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkvOrder {
    /// [3, h, d]: q of all heads, then k, then v.
    ProjectionsFirst,
    /// [h, 3, d]: for each head its q, k and v.
    HeadsFirst,
    /// [h, d, 3]: for each channel of each head its q, k and v.
    ChannelsFirst,
}

impl TokenAttention {
    /// Takes the layers to q, k, v and from the heads under `names`, such as `to_q`, `to_k`, `to_v`, `to_out.0`.
    pub fn new(weights: &Weights, names: [&str; 4], config: &TokenAttentionConfig) -> Result<Self> {
        let &TokenAttentionConfig { width, context_width, heads, head_dim, bias } = config;
        let inner = heads * head_dim;
        let linear = |name: &str, inputs| match bias {
            true => Linear::new(&weights.at(name), inputs, inner),
            false => Linear::without_bias(&weights.at(name), inputs, inner),
        };
        let projections = Projections::Separate {
            query: linear(names[0], width)?,
            key: linear(names[1], context_width)?,
            value: linear(names[2], context_width)?,
        };
        Ok(TokenAttention { projections, out: Linear::new(&weights.at(names[3]), inner, width)?, heads, head_dim })
    }

    /// Takes `qkv` [3 C, C] and `proj` [C, C], as timm's vision transformers name them; `heads` must divide C.
    pub fn fused(weights: &Weights, width: i64, heads: i64) -> Result<Self> {
        let head_dim = divided(weights, width, heads)?;
        let qkv = Linear::new(&weights.at("qkv"), width, 3 * width)?;
        let projections = Projections::Fused(qkv, QkvOrder::ProjectionsFirst);
        Ok(TokenAttention { projections, out: Linear::new(&weights.at("proj"), width, width)?, heads, head_dim })
    }

    /// Takes `qkv` [3 C, C, 1] and `proj_out` [C, C, 1], the convolutions of OpenAI's releases; `heads` must divide C.
    pub fn convolutional(weights: &Weights, width: i64, heads: i64, order: QkvOrder) -> Result<Self> {
        let head_dim = divided(weights, width, heads)?;
        let projections = Projections::Fused(Linear::pointwise(&weights.at("qkv"), width, 3 * width)?, order);
        let out = Linear::pointwise(&weights.at("proj_out"), width, width)?;
        Ok(TokenAttention { projections, out, heads, head_dim })
    }

    /// Takes `qkv` [3 C, C, 1, 1] and `proj` [C, C, 1, 1], the convolutions of EDM's networks; `heads` must divide C.
    pub fn pixelwise(weights: &Weights, width: i64, heads: i64) -> Result<Self> {
        let head_dim = divided(weights, width, heads)?;
        let qkv = Linear::pixelwise(&weights.at("qkv"), width, 3 * width)?;
        let projections = Projections::Fused(qkv, QkvOrder::ChannelsFirst);
        let out = Linear::pixelwise(&weights.at("proj"), width, width)?;
        Ok(TokenAttention { projections, out, heads, head_dim })
    }

    /// Takes `NIN_0`, `NIN_1`, `NIN_2` to q, k, v and `NIN_3` from the one head, as score_sde names them.
    pub fn nin(weights: &Weights, width: i64) -> Result<Self> {
        let linear = |name| Linear::nin(&weights.at(name), width, width);
        let projections =
            Projections::Separate { query: linear("NIN_0")?, key: linear("NIN_1")?, value: linear("NIN_2")? };
        Ok(TokenAttention { projections, out: linear("NIN_3")?, heads: 1, head_dim: width })
    }

    /// x [B, N, C] and, where it attends to one, the context [B, L, D] → [B, N, C].
    pub fn forward(&self, x: &Dual, context: Option<&Dual>) -> Result<Dual> {
        let &TokenAttention { heads, head_dim, .. } = self;
        let [q, k, v] = match &self.projections {
            Projections::Fused(layer, order) => {
                let (axis, sizes) = match order {
                    QkvOrder::ProjectionsFirst => (2, [3, heads, head_dim]),
                    QkvOrder::HeadsFirst => (3, [heads, 3, head_dim]),
                    QkvOrder::ChannelsFirst => (4, [heads, head_dim, 3]),
                };
                let all = layer.forward(x)?;
                let part = |i| all.linear(|x| x.f_unflatten(2, sizes)?.f_select(axis, i)?.f_transpose(1, 2));
                [part(0)?, part(1)?, part(2)?]
            }
            Projections::Separate { query, key, value } => {
                let source = context.unwrap_or(x);
                // [B, N, h·d] → [B, h, N, d]
                let split = |x: Dual| x.linear(|x| x.f_unflatten(2, [heads, head_dim])?.f_transpose(1, 2));
                [split(query.forward(x)?)?, split(key.forward(source)?)?, split(value.forward(source)?)?]
            }
        };
        let out = attend(&q, &k, &v).doing("applying attention")?;
        // [B, h, N, d] → [B, N, h·d]
        self.out.forward(&out.linear(|x| x.f_transpose(1, 2)?.f_flatten(2, 3))?)
    }
}

/// Pixels as tokens, row by row: [B, C, H, W] → [B, H·W, C].
pub(crate) fn to_tokens(x: &Dual) -> Result<Dual> {
    x.linear(|x| x.f_flatten(2, 3)?.f_transpose(1, 2))
}

/// Channels of one head.
fn divided(weights: &Weights, width: i64, heads: i64) -> Result<i64> {
    if heads < 1 || width % heads != 0 {
        return Err(Error::mismatch(
            format!("{heads} heads do not divide the {width} channels of `{}`", weights.name()),
            "Correct the number of heads.",
        ));
    }
    Ok(width / heads)
}
