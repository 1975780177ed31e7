//! Attention that is linear in the number of tokens (Shen et al., 2018, arXiv 1812.01243): q [B, h, d, N], k and v
//! [B, h, d, L] → [B, h, d, N].
//!
//! Q = softmax of q over d, /√d;  K = softmax of k over L;  O = (v Kᵀ) Q
//!
//! Tangents: ∂softmax(s) = p ∘ ṡ − p Σ p ∘ ṡ along its axis, and products by the product rule.

use crate::dual::Dual;
use crate::error::{Doing, Result};
use tch::{TchError, Tensor};

/// (v Kᵀ) Q.
pub(crate) fn linear_attend(q: &Dual, k: &Dual, v: &Dual) -> Result<Dual> {
    let width = q.value.size().get(2).copied().unwrap_or(1).max(1);
    let q = softmax(q, -2)?.linear(|q| q.f_div_scalar((width as f64).sqrt()))?;
    let k = softmax(k, -1)?.linear(|k| k.f_transpose(-2, -1))?;
    matmul(&matmul(v, &k)?, &q)
}

/// p = softmax(s) along `dim`.
fn softmax(s: &Dual, dim: i64) -> Result<Dual> {
    let doing = "applying linear attention";
    let p = s.value.f_softmax(dim, None).doing(doing)?;
    let change = |ds: &Tensor| -> std::result::Result<Tensor, TchError> {
        // ṗ = m − p Σ m,  m = p ∘ ṡ
        let m = p.f_mul(ds)?;
        m.f_sub(&p.f_mul(&m.f_sum_dim_intlist([dim].as_slice(), true, m.kind())?)?)
    };
    let tangent = match &s.tangent {
        Some(ds) => Some(change(ds).doing(doing)?),
        None => None,
    };
    Ok(Dual { value: p, tangent })
}

/// a b, ∂ = ȧ b + a ḃ
fn matmul(a: &Dual, b: &Dual) -> Result<Dual> {
    let doing = "applying linear attention";
    let value = a.value.f_matmul(&b.value).doing(doing)?;
    let product = |a: &Tensor, b: &Tensor| a.f_matmul(b).doing(doing);
    let tangent = match (&a.tangent, &b.tangent) {
        (Some(da), Some(db)) => Some(product(da, &b.value)?.f_add(&product(&a.value, db)?).doing(doing)?),
        (Some(da), None) => Some(product(da, &b.value)?),
        (None, Some(db)) => Some(product(&a.value, db)?),
        (None, None) => None,
    };
    Ok(Dual { value, tangent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};
    use tch::{Device, Kind};

    fn random(size: [i64; 4]) -> Tensor {
        Tensor::randn(size, (Kind::Double, Device::Cpu))
    }

    #[test]
    fn constant_values_come_out_divided_by_the_root() {
        tch::manual_seed(0);
        // The weights of both softmaxes sum to 1, over d and over L, so v = 1 gives 1/√d everywhere.
        let constant = |x: Tensor| Dual::constant(x);
        let (q, k) = (constant(random([2, 3, 4, 5])), constant(random([2, 3, 4, 7])));
        let out = linear_attend(&q, &k, &constant(k.value.ones_like())).unwrap().value;
        let tolerance = Tolerance::absolute(1e-15, "rounding of float64");
        assert_close("out", &out, &out.full_like(0.5), tolerance);
    }

    #[test]
    fn tangent_is_the_derivative_whichever_parts_have_one() {
        tch::manual_seed(0);
        let sizes = [[2, 3, 4, 5], [2, 3, 4, 7], [2, 3, 4, 7]];
        let (values, tangents) = (sizes.map(random), sizes.map(random));
        for moving in 1..8 {
            let moves = |i: usize| moving >> i & 1 == 1;
            let at = |h: f64| {
                let [q, k, v] = [0, 1, 2].map(|i| {
                    let step = if moves(i) { h } else { 0.0 };
                    Dual::constant(&values[i] + step * &tangents[i])
                });
                linear_attend(&q, &k, &v).unwrap().value
            };
            let [q, k, v] = [0, 1, 2].map(|i| Dual {
                value: values[i].shallow_clone(),
                tangent: moves(i).then(|| tangents[i].shallow_clone()),
            });
            let tangent = linear_attend(&q, &k, &v).unwrap().tangent.unwrap();
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
