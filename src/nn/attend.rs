//! Softmax attention over tokens: q [B, h, N, d], k, v [B, h, L, d] → [B, h, N, d].
//!
//! S = q kᵀ/√d,  P = softmax(S),  O = P v
//!
//! Tangent: Ṡ = (q̇ kᵀ + q k̇ᵀ)/√d and, with M = P ∘ Ṡ, softmax' gives Ṗ = M − diag(M 1) P, so that
//! Ȯ = M v − (M 1) ∘ O + P v̇ without a further N × L matrix. Terms of a q, k or v without a tangent are left out, as
//! those of k and v are where a constant context is attended to.
//!
//! Without a tangent libtorch's fused kernel is used, which never stores P.

use crate::dual::Dual;
use tch::{Device, TchError, Tensor};

type Result<T> = std::result::Result<T, TchError>;

/// Elements of an N × L matrix per head that a CPU works on at a time: with tangents several such matrices are gone
/// over again and again, and 2 MB of each stay in its caches.
const CACHED: i64 = 1 << 19;

/// softmax(q kᵀ/√d) v.
pub(crate) fn attend(q: &Dual, k: &Dual, v: &Dual) -> Result<Dual> {
    if [q, k, v].iter().all(|x| x.tangent.is_none()) {
        let mask = None::<&Tensor>;
        let out = Tensor::f_scaled_dot_product_attention(&q.value, &k.value, &v.value, mask, 0.0, false, None, false)?;
        return Ok(Dual::constant(out));
    }
    let (batch, heads, tokens, _) = q.value.size4()?;
    let rows = (CACHED / (heads * tokens * k.value.size4()?.2).max(1)).max(1);
    if q.value.device() != Device::Cpu || rows >= batch {
        return attend_with_tangents(q, k, v);
    }
    let (mut outs, mut tangents) = (Vec::new(), Vec::new());
    for first in (0..batch).step_by(rows as usize) {
        let part = |x: &Dual| map(x, |x| x.f_narrow(0, first, rows.min(batch - first)));
        let out = attend_with_tangents(&part(q)?, &part(k)?, &part(v)?)?;
        outs.push(out.value);
        tangents.extend(out.tangent);
    }
    Ok(Dual::new(Tensor::f_cat(&outs, 0)?, Tensor::f_cat(&tangents, 0)?))
}

fn map(x: &Dual, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Dual> {
    Ok(Dual { value: f(&x.value)?, tangent: x.tangent.as_ref().map(f).transpose()? })
}

/// The same where at least one of the three has a tangent.
fn attend_with_tangents(q: &Dual, k: &Dual, v: &Dual) -> Result<Dual> {
    let scale = 1.0 / (q.value.size4()?.3 as f64).sqrt();
    let q = map(q, |q| q.f_mul_scalar(scale))?;
    // S = q kᵀ/√d,  P = softmax(S)
    let p = q.value.f_matmul(&k.value.f_transpose(2, 3)?)?.f_softmax(-1, None)?;
    let (out, p_dv) = weighted(&p, v)?;
    // Ȯ = M v − (M 1) ∘ O + P v̇
    let tangent = match (d_scores(&q, k)?, p_dv) {
        (Some(ds), Some(p_dv)) => through_scores(ds, &p, &v.value, &out)?.f_add(&p_dv)?,
        (Some(ds), None) => through_scores(ds, &p, &v.value, &out)?,
        (None, Some(p_dv)) => p_dv,
        (None, None) => out.f_zeros_like()?,
    };
    Ok(Dual::new(out, tangent))
}

/// [O, P v̇] = P [v, v̇] as one product.
fn weighted(p: &Tensor, v: &Dual) -> Result<(Tensor, Option<Tensor>)> {
    let Some(dv) = &v.tangent else { return Ok((p.f_matmul(&v.value)?, None)) };
    let width = v.value.size4()?.3;
    let both = p.f_matmul(&Tensor::f_cat(&[&v.value, dv], 3)?)?;
    Ok((both.f_narrow(3, 0, width)?, Some(both.f_narrow(3, width, width)?)))
}

/// Ṡ = q̇ kᵀ + q k̇ᵀ for a q that is scaled already, as one product of [q̇, q] with [k, k̇] where both terms are there.
fn d_scores(q: &Dual, k: &Dual) -> Result<Option<Tensor>> {
    let ds = match (&q.tangent, &k.tangent) {
        (Some(dq), Some(dk)) => {
            Tensor::f_cat(&[dq, &q.value], 3)?.f_matmul(&Tensor::f_cat(&[&k.value, dk], 3)?.f_transpose(2, 3)?)?
        }
        (Some(dq), None) => dq.f_matmul(&k.value.f_transpose(2, 3)?)?,
        (None, Some(dk)) => q.value.f_matmul(&dk.f_transpose(2, 3)?)?,
        (None, None) => return Ok(None),
    };
    Ok(Some(ds))
}

/// M v − (M 1) ∘ O,  M = P ∘ Ṡ,  [M v, M 1] = M [v, 1]
fn through_scores(mut ds: Tensor, p: &Tensor, v: &Tensor, out: &Tensor) -> Result<Tensor> {
    let m = if ds.requires_grad() { ds.f_mul(p)? } else { ds.f_mul_(p)? };
    let width = v.size4()?.3;
    let ones = v.f_narrow(3, 0, 1)?.f_ones_like()?;
    let both = m.f_matmul(&Tensor::f_cat(&[v, &ones], 3)?)?;
    let (m_v, m_one) = (both.f_narrow(3, 0, width)?, both.f_narrow(3, width, 1)?);
    m_v.f_sub(&m_one.f_mul(out)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};
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
        let tolerance = Tolerance::absolute(1e-14, "rounding of float64");
        assert_close("fused", &fused.value, &explicit.value, tolerance);
        let tangent = explicit.tangent.unwrap();
        assert_close("tangent", &tangent, &tangent.zeros_like(), Tolerance::absolute(0.0, "nothing moves"));
    }

    #[test]
    fn samples_one_by_one_are_the_whole() {
        tch::manual_seed(0);
        // 2 · 600² elements are more than are worked on at a time.
        let random = || Tensor::randn([3, 2, 600, 4], (Kind::Double, Device::Cpu));
        let pairs = [(random(), random()), (random(), random()), (random(), random())];
        let [q, k, v] = pairs.each_ref().map(|(x, dx)| Dual::new(x.shallow_clone(), dx.shallow_clone()));
        let (parts, whole) = (attend(&q, &k, &v).unwrap(), attend_with_tangents(&q, &k, &v).unwrap());
        for (parts, whole) in [(parts.value, whole.value), (parts.tangent.unwrap(), whole.tangent.unwrap())] {
            let tolerance = Tolerance::absolute(1e-13, "rounding of float64");
            assert_close("parts", &parts, &whole, tolerance);
        }
    }

    #[test]
    fn tangent_is_the_derivative_whichever_parts_have_one() {
        tch::manual_seed(0);
        let random = |tokens| Tensor::randn([2, 3, tokens, 4], (Kind::Double, Device::Cpu));
        // More queries than keys, as with a context.
        let (x, dx): (Vec<Tensor>, Vec<Tensor>) = [7, 5, 5].map(|n| (random(n), random(n))).into_iter().unzip();
        for moving in 1..8 {
            let moves = |i: usize| moving >> i & 1 == 1;
            let at = |h: f64| {
                let [q, k, v] =
                    [0, 1, 2].map(|i| Dual::constant(if moves(i) { &x[i] + h * &dx[i] } else { x[i].shallow_clone() }));
                attend(&q, &k, &v).unwrap().value
            };
            let [q, k, v] =
                [0, 1, 2].map(|i| Dual { value: x[i].copy(), tangent: moves(i).then(|| dx[i].shallow_clone()) });
            let tangent = attend(&q, &k, &v).unwrap().tangent.unwrap();
            let h = 1e-5;
            let differences = (at(h) - at(-h)) / (2.0 * h);
            let tolerance = Tolerance::absolute(
                1e-8,
                "central differences: h² times a third derivative of order 10, and rounding 1e-16/h",
            );
            assert_close("tangent", &tangent, &differences, tolerance);
        }
    }
}
