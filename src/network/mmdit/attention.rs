//! One attention over several streams of tokens, each with layers of its own to q, k, v and from the heads:
//! [B, N₁, C], [B, N₂, C], … → the same shapes.
//!
//! q, k and v of all streams are laid one behind the other; queries and keys are normalised before, where the network does so.

use super::rope::Rope;
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::nn::{Linear, TokenRmsNorm, Weights, attend};

/// ε of the normalisation of queries and keys.
const EPSILON: f64 = 1e-6;

/// Names of the layers of one stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    projections: [&'static str; 3],
    norms: [&'static str; 2],
    out: Option<&'static str>,
}

/// The image's tokens.
pub(super) const IMAGE: Names =
    Names { projections: ["to_q", "to_k", "to_v"], norms: ["norm_q", "norm_k"], out: Some("to_out.0") };
/// The text's.
pub(super) const TEXT: Names = Names {
    projections: ["add_q_proj", "add_k_proj", "add_v_proj"],
    norms: ["norm_added_q", "norm_added_k"],
    out: Some("to_add_out"),
};

impl Names {
    /// The same without a layer from the heads.
    pub const fn without_out(self) -> Self {
        Names { out: None, ..self }
    }
}

/// What it is built to.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttentionShape {
    /// Heads, whose channels make up the width.
    pub heads: i64,
    /// Channels of a head.
    pub head_dim: i64,
    /// Whether queries and keys are normalised.
    pub qk_norm: bool,
}

impl AttentionShape {
    /// Channels of a token.
    pub fn width(&self) -> i64 {
        self.heads * self.head_dim
    }
}

/// The layers of one stream.
#[derive(Debug)]
struct Stream {
    projections: [Linear; 3],
    norms: Option<[TokenRmsNorm; 2]>,
    out: Option<Linear>,
}

/// The attention.
#[derive(Debug)]
pub(super) struct StreamAttention {
    streams: Vec<Stream>,
    shape: AttentionShape,
}

impl StreamAttention {
    /// Takes the layers of every stream.
    pub fn new(weights: &Weights, streams: &[Names], shape: &AttentionShape) -> Result<Self> {
        let width = shape.width();
        let linear = |name: &str| Linear::new(&weights.at(name), width, width);
        let norm = |name: &str| TokenRmsNorm::new(&weights.at(name), shape.head_dim, EPSILON);
        let stream = |names: &Names| {
            let [query, key, value] = names.projections;
            let [of_queries, of_keys] = names.norms;
            Ok(Stream {
                projections: [linear(query)?, linear(key)?, linear(value)?],
                norms: if shape.qk_norm { Some([norm(of_queries)?, norm(of_keys)?]) } else { None },
                out: names.out.map(linear).transpose()?,
            })
        };
        Ok(StreamAttention { streams: streams.iter().map(stream).collect::<Result<_>>()?, shape: *shape })
    }

    /// Tokens of every stream → the same shapes; what the heads of a stream without a layer behind them give is left as it is.
    pub fn forward(&self, tokens: &[&Dual], rope: Option<&Rope>) -> Result<Vec<Dual>> {
        let parts = self.streams.iter().zip(tokens).map(|(stream, tokens)| self.project(stream, tokens));
        let parts = parts.collect::<Result<Vec<[Dual; 3]>>>()?;
        let all = |i: usize| Dual::cat(&parts.iter().map(|part| &part[i]).collect::<Vec<_>>(), 2);
        let (mut query, mut key, value) = (all(0)?, all(1)?, all(2)?);
        if let Some(rope) = rope {
            (query, key) = (rope.rotate(&query)?, rope.rotate(&key)?);
        }
        let heads = attend(&query, &key, &value).doing("applying attention")?;
        // [B, h, N, d] → [B, N, h·d]
        let joined = heads.linear(|x| x.f_transpose(1, 2)?.f_flatten(2, 3))?;
        let mut first = 0;
        let mut outs = Vec::with_capacity(tokens.len());
        for (stream, tokens) in self.streams.iter().zip(tokens) {
            let count = tokens.value.size().get(1).copied().unwrap_or(0);
            let part = joined.linear(|x| x.f_narrow(1, first, count))?;
            first += count;
            outs.push(match &stream.out {
                Some(out) => out.forward(&part)?,
                None => part,
            });
        }
        Ok(outs)
    }

    /// q, k and v [B, h, N, d] of one stream.
    fn project(&self, stream: &Stream, tokens: &Dual) -> Result<[Dual; 3]> {
        let sizes = [self.shape.heads, self.shape.head_dim];
        let split = |x: Dual| x.linear(|x| x.f_unflatten(2, sizes)?.f_transpose(1, 2));
        let [query, key, value] = &stream.projections;
        let [query, key, value] =
            [split(query.forward(tokens)?)?, split(key.forward(tokens)?)?, split(value.forward(tokens)?)?];
        match &stream.norms {
            Some([of_queries, of_keys]) => Ok([of_queries.forward(&query)?, of_keys.forward(&key)?, value]),
            None => Ok([query, key, value]),
        }
    }
}
