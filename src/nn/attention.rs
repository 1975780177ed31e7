//! Self-attention over pixels: x [B, C, H, W] → the same shape.
//!
//! With N = H·W pixels as tokens, h heads of d channels and q, k, v [B, h, N, d] linear in GroupNorm(x):
//!
//! S = q kᵀ/√d,  P = softmax(S),  O = P v,  y = (Linear(O) + x) / rescale
//!
//! Tangent: Ṡ = (q̇ kᵀ + q k̇ᵀ)/√d and, with M = P ∘ Ṡ, softmax' gives Ṗ = M − diag(M 1) P, so that
//! Ȯ = M v − (M 1) ∘ O + P v̇ without a further N × N matrix.
//!
//! Without a tangent libtorch's fused kernel is used, which never stores P.

use super::{GroupNorm, Linear, Weights};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use tch::{Device, TchError, Tensor};

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
    projections: Projections,
    out: Linear,
    heads: i64,
    head_dim: i64,
    rescale: f64,
}

/// Where q, k and v come from.
#[derive(Debug)]
enum Projections {
    /// A layer for each.
    Separate([Linear; 3]),
    /// One layer for all, in OpenAI's releases.
    Joint(Linear, QkvOrder),
}

/// How the 3·h·d outputs of one layer for queries, keys and values are ordered; no shape tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkvOrder {
    /// [h, 3, d]: for each head its queries, keys and values.
    HeadsFirst,
    /// [3, h, d]: the queries of all heads, then keys, then values.
    ProjectionsFirst,
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
        let heads = channels / head_dim;
        let group_norm = match norm_groups {
            Some(groups) => Some(GroupNorm::new(&weights.at("group_norm"), channels, groups, norm_epsilon)?),
            None => None,
        };
        let legacy = weights.has("query.weight");
        let linear = |name, legacy_name, inputs, outputs| {
            Linear::new(&weights.at(if legacy { legacy_name } else { name }), inputs, outputs)
        };
        let inner = heads * head_dim;
        Ok(Attention {
            group_norm,
            projections: Projections::Separate([
                linear("to_q", "query", channels, inner)?,
                linear("to_k", "key", channels, inner)?,
                linear("to_v", "value", channels, inner)?,
            ]),
            out: linear("to_out.0", "proj_attn", inner, channels)?,
            heads,
            head_dim,
            rescale,
        })
    }

    /// Takes `norm`, `qkv` and `proj_out`, the last two of them 1-D convolutions, as OpenAI's `AttentionBlock` has them.
    /// The head's channels must divide those of x.
    pub fn joint(weights: &Weights, config: &AttentionConfig, order: QkvOrder) -> Result<Self> {
        let &AttentionConfig { channels, head_dim, norm_groups, norm_epsilon, rescale } = config;
        if head_dim < 1 || channels % head_dim != 0 {
            return Err(Error::mismatch(
                format!("heads of {head_dim} channels do not divide the {channels} channels of `{}`", weights.name()),
                "Correct num_heads or num_head_channels.",
            ));
        }
        let group_norm = match norm_groups {
            Some(groups) => Some(GroupNorm::new(&weights.at("norm"), channels, groups, norm_epsilon)?),
            None => None,
        };
        let qkv = Linear::pointwise(&weights.at("qkv"), channels, 3 * channels)?;
        Ok(Attention {
            group_norm,
            projections: Projections::Joint(qkv, order),
            out: Linear::pointwise(&weights.at("proj_out"), channels, channels)?,
            heads: channels / head_dim,
            head_dim,
            rescale,
        })
    }

    /// x [B, C, H, W] → the same shape.
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let tokens = match &self.group_norm {
            Some(norm) => norm.forward(x)?,
            None => x.shallow_clone(),
        };
        // [B, C, H, W] → [B, N, C]
        let tokens = tokens.linear(|x| x.f_flatten(2, 3)?.f_transpose(1, 2))?;
        let [q, k, v] = self.project(&tokens)?;
        let out = attend(&q, &k, &v).doing("applying attention")?;
        // [B, h, N, d] → [B, N, h·d] → [B, C, H, W]
        let out = self.out.forward(&out.linear(|x| x.f_transpose(1, 2)?.f_flatten(2, 3))?)?;
        let out = out.linear(|out| out.f_transpose(1, 2)?.f_reshape_as(&x.value))?.add(x)?;
        if self.rescale == 1.0 { Ok(out) } else { out.linear(|x| x.f_div_scalar(self.rescale)) }
    }

    /// q, k, v [B, h, N, d] of tokens [B, N, C].
    fn project(&self, tokens: &Dual) -> Result<[Dual; 3]> {
        let &Attention { heads, head_dim, .. } = self;
        match &self.projections {
            Projections::Separate([query, key, value]) => {
                let split = |layer: &Linear| {
                    layer.forward(tokens)?.linear(|x| x.f_unflatten(2, [heads, head_dim])?.f_transpose(1, 2))
                };
                Ok([split(query)?, split(key)?, split(value)?])
            }
            Projections::Joint(layer, order) => {
                let (axis, sizes) = match order {
                    QkvOrder::HeadsFirst => (3, [heads, 3, head_dim]),
                    QkvOrder::ProjectionsFirst => (2, [3, heads, head_dim]),
                };
                let all = layer.forward(tokens)?;
                let part = |i| all.linear(|x| x.f_unflatten(2, sizes)?.f_select(axis, i)?.f_transpose(1, 2));
                Ok([part(0)?, part(1)?, part(2)?])
            }
        }
    }
}

/// Elements of an N × N matrix per head that a CPU works on at a time: with tangents several such matrices are gone over
/// again and again, and 2 MB of each stay in its caches.
const CACHED: i64 = 1 << 19;

/// softmax(q kᵀ/√d) v for q, k, v [B, h, N, d], of which all or none have a tangent.
pub(crate) fn attend(q: &Dual, k: &Dual, v: &Dual) -> std::result::Result<Dual, TchError> {
    let (Some(dq), Some(dk), Some(dv)) = (&q.tangent, &k.tangent, &v.tangent) else {
        let mask = None::<&Tensor>;
        let out = Tensor::f_scaled_dot_product_attention(&q.value, &k.value, &v.value, mask, 0.0, false, None, false)?;
        return Ok(Dual::constant(out));
    };
    let (batch, heads, tokens, _) = q.value.size4()?;
    let rows = (CACHED / (heads * tokens * tokens).max(1)).max(1);
    if q.value.device() != Device::Cpu || rows >= batch {
        return attend_with_tangents([(&q.value, dq), (&k.value, dk), (&v.value, dv)]);
    }
    let (mut outs, mut tangents) = (Vec::new(), Vec::new());
    for first in (0..batch).step_by(rows as usize) {
        let part = |x: &Tensor| x.f_narrow(0, first, rows.min(batch - first));
        let (q, k, v) = ((part(&q.value)?, part(dq)?), (part(&k.value)?, part(dk)?), (part(&v.value)?, part(dv)?));
        let out = attend_with_tangents([(&q.0, &q.1), (&k.0, &k.1), (&v.0, &v.1)])?;
        outs.push(out.value);
        tangents.extend(out.tangent);
    }
    Ok(Dual::new(Tensor::f_cat(&outs, 0)?, Tensor::f_cat(&tangents, 0)?))
}

/// The same for values with their tangents.
fn attend_with_tangents([(q, dq), (k, dk), (v, dv)]: [(&Tensor, &Tensor); 3]) -> std::result::Result<Dual, TchError> {
    let width = v.size4()?.3;
    let scale = 1.0 / (q.size4()?.3 as f64).sqrt();
    let q_scaled = q.f_mul_scalar(scale)?;
    // S = q kᵀ/√d,  P = softmax(S),  [O, P v̇] = P [v, v̇]
    let p = q_scaled.f_matmul(&k.f_transpose(2, 3)?)?.f_softmax(-1, None)?;
    let both = p.f_matmul(&Tensor::f_cat(&[v, dv], 3)?)?;
    let (out, p_dv) = (both.f_narrow(3, 0, width)?, both.f_narrow(3, width, width)?);
    // Ṡ = q̇ kᵀ/√d + q k̇ᵀ/√d as one product of [q̇, q] with [k, k̇]
    let mut ds = Tensor::f_cat(&[&dq.f_mul_scalar(scale)?, &q_scaled], 3)?
        .f_matmul(&Tensor::f_cat(&[k, dk], 3)?.f_transpose(2, 3)?)?;
    // Ȯ = M v − (M 1) ∘ O + P v̇,  M = P ∘ Ṡ,  [M v, M 1] = M [v, 1]
    let m = if ds.requires_grad() { ds.f_mul(&p)? } else { ds.f_mul_(&p)? };
    let ones = v.f_narrow(3, 0, 1)?.f_ones_like()?;
    let both = m.f_matmul(&Tensor::f_cat(&[v, &ones], 3)?)?;
    let (m_v, m_one) = (both.f_narrow(3, 0, width)?, both.f_narrow(3, width, 1)?);
    let dout = m_v.f_sub(&m_one.f_mul(&out)?)?.f_add(&p_dv)?;
    Ok(Dual::new(out, dout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn explicit_and_fused_attention_agree() {
        tch::manual_seed(0);
        let random = || Tensor::randn([2, 3, 7, 4], (Kind::Double, Device::Cpu));
        let (q, k, v) = (random(), random(), random());
        let constant = |x: &Tensor| Dual::constant(x.shallow_clone());
        let seeded = |x: &Tensor| Dual::new(x.shallow_clone(), x.zeros_like());
        let fused = attend(&constant(&q), &constant(&k), &constant(&v)).unwrap();
        let explicit = attend(&seeded(&q), &seeded(&k), &seeded(&v)).unwrap();
        assert!(fused.tangent.is_none());
        // Rounding of float64.
        assert!((fused.value - explicit.value).abs().max().double_value(&[]) < 1e-14);
        assert_eq!(explicit.tangent.unwrap().abs().max().double_value(&[]), 0.0);
    }

    #[test]
    fn samples_one_by_one_are_the_whole() {
        tch::manual_seed(0);
        // 2 · 600² elements are more than are worked on at a time.
        let random = || Tensor::randn([3, 2, 600, 4], (Kind::Double, Device::Cpu));
        let pairs = [(random(), random()), (random(), random()), (random(), random())];
        let [q, k, v] = pairs.each_ref().map(|(x, dx)| Dual::new(x.shallow_clone(), dx.shallow_clone()));
        let (parts, whole) =
            (attend(&q, &k, &v).unwrap(), attend_with_tangents(pairs.each_ref().map(|(x, dx)| (x, dx))).unwrap());
        for (parts, whole) in [(parts.value, whole.value), (parts.tangent.unwrap(), whole.tangent.unwrap())] {
            // Rounding of float64.
            assert!((parts - whole).abs().max().double_value(&[]) < 1e-13);
        }
    }

    #[test]
    fn tangent_is_the_derivative() {
        tch::manual_seed(0);
        let random = || Tensor::randn([2, 3, 7, 4], (Kind::Double, Device::Cpu));
        let (x, dx): (Vec<Tensor>, Vec<Tensor>) = (0..3).map(|_| (random(), random())).unzip();
        let at = |h: f64| {
            let moved: Vec<Dual> = x.iter().zip(&dx).map(|(x, dx)| Dual::constant(x + h * dx)).collect();
            attend(&moved[0], &moved[1], &moved[2]).unwrap().value
        };
        let seeded: Vec<Dual> = x.iter().zip(&dx).map(|(x, dx)| Dual::new(x.copy(), dx.copy())).collect();
        let tangent = attend(&seeded[0], &seeded[1], &seeded[2]).unwrap().tangent.unwrap();
        let h = 1e-5;
        let differences = (at(h) - at(-h)) / (2.0 * h);
        // Central differences: h² times a third derivative of order 10, and rounding 1e-16/h.
        assert!((tangent - differences).abs().max().double_value(&[]) < 1e-8);
    }
}
