//! Attention over pixels, with residual connection: x [B, C, H, W] → the same shape.
//!
//! q, k, v [B, h, d, H·W] are linear in RMS(x); memory, m keys and values that are parameters, is put before k and v.
//! Full: y = x + W softmax(q kᵀ/√d) v + b. Linear (`linear_attend`): y = x + RMS(W (v Kᵀ) Q + b).

use super::config::StageAttention;
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::nn::{Conv2d, Init, RmsNorm, Weights, attend, linear_attend};
use tch::Tensor;

/// One layer of attention.
#[derive(Debug)]
pub(super) struct PixelAttention {
    config: StageAttention,
    norm: RmsNorm,
    /// [2, h, m, d], or [2, h, d, m] in linear attention.
    memory: Option<Tensor>,
    to_qkv: Conv2d,
    to_out: Conv2d,
    /// Behind linear attention only.
    norm_out: Option<RmsNorm>,
}

impl PixelAttention {
    /// Takes `norm`, `mem_kv` where `memory` > 0, `to_qkv` and `to_out`, which linear attention has as `to_out.0` with a
    /// normalisation `to_out.1` behind it.
    pub fn new(weights: &Weights, config: StageAttention, channels: i64, memory: i64) -> Result<Self> {
        let StageAttention { full, heads, head_dim } = config;
        let inner = heads * head_dim;
        let shape = if full { [2, heads, memory, head_dim] } else { [2, heads, head_dim, memory] };
        let memory = if memory > 0 { Some(weights.tensor("mem_kv", &shape, Init::Normal(1.0))?) } else { None };
        let out = weights.at(if full { "to_out" } else { "to_out.0" });
        Ok(PixelAttention {
            config,
            norm: RmsNorm::new(&weights.at("norm"), channels)?,
            memory,
            to_qkv: Conv2d::without_bias(&weights.at("to_qkv"), channels, 3 * inner, 1)?,
            to_out: Conv2d::new(&out, inner, channels, 1)?,
            norm_out: if full { None } else { Some(RmsNorm::new(&weights.at("to_out.1"), channels)?) },
        })
    }

    /// x [B, C, H, W] → the same shape.
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let StageAttention { full, heads, head_dim } = self.config;
        let qkv = self.to_qkv.forward(&self.norm.forward(x)?)?;
        // [B, 3·h·d, H, W] → [B, h, d, N], and tokens first in full attention
        let part = |i: i64| {
            qkv.linear(|qkv| {
                let part = qkv.f_flatten(2, 3)?.f_unflatten(1, [3, heads, head_dim])?.f_select(1, i)?;
                if full { part.f_transpose(2, 3) } else { Ok(part) }
            })
        };
        let (q, k, v) = (part(0)?, self.remember(0, part(1)?)?, self.remember(1, part(2)?)?);
        let out = if full {
            let out = attend(&q, &k, &v).doing("applying attention")?;
            out.linear(|out| out.f_transpose(2, 3))?
        } else {
            linear_attend(&q, &k, &v)?
        };
        // [B, h, d, N] → [B, h·d, N, 1] → [B, C, N, 1] → [B, C, H, W]; sizes stay open in a trace.
        let out = self.to_out.forward(&out.linear(|out| out.f_flatten(1, 2)?.f_unsqueeze(-1))?)?;
        let out = match &self.norm_out {
            Some(norm) => norm.forward(&out)?,
            None => out,
        };
        out.linear(|out| out.f_reshape_as(&x.value))?.add(x)
    }

    /// Keys (`which` 0) or values (1) behind those in memory.
    fn remember(&self, which: i64, x: Dual) -> Result<Dual> {
        let Some(memory) = &self.memory else { return Ok(x) };
        let axis = if self.config.full { 2 } else { 3 };
        // One zero token of x has the batch size, which stays open in a trace.
        let zeros = x.value.f_narrow(axis, 0, 1).and_then(|token| token.f_zeros_like());
        let memory = zeros.and_then(|zeros| memory.f_select(0, which)?.f_unsqueeze(0)?.f_add(&zeros));
        let memory = Dual::constant(memory.doing("recalling keys and values")?);
        Dual::cat(&[&memory, &x], axis)
    }
}
