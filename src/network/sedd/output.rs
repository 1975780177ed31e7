//! From the logits y [B, L, V] of the transformer to what is said of jumps.
//!
//! - SEDD: log-ratios ln r_a = y_a − ln(e^σ − 1) − ln(V − 1), where it was trained `scale_by_sigma`, else y_a; 0 at the own symbol.
//!   Tangent: −σ̇ e^σ/(e^σ − 1).
//! - MDLM: log p(x₀ = a | x) = y_a − ln Σ_b e^{y_b} at a mask, with y of the mask lowered by 10⁶, so that x₀ is none; where x is
//!   no mask it is that symbol: 0 there and −10⁶ at others. Tangent: ẏ_a − Σ_b p_b ẏ_b at a mask, else 0.

use crate::dual::Dual;
use crate::error::{Doing, Result};
use tch::{TchError, Tensor};

/// What MDLM has for −∞.
const NEVER: f64 = -1e6;

/// y [B, L, V] less ln(e^σ − 1) + ln(V − 1), for σ `[B]`.
pub(super) fn scaled_by_sigma(y: &Dual, sigma: &Dual) -> Result<Dual> {
    let doing = "scaling by σ";
    let of = |sigma: &Tensor| {
        let others = (y.value.size3()?.2 - 1) as f64;
        sigma.f_expm1()?.f_log()?.f_add_scalar(others.ln())?.f_neg()?.f_to_kind(y.value.kind())?.f_view([-1, 1, 1])
    };
    let value = of(&sigma.value).doing(doing)?;
    // −σ̇ e^σ/(e^σ − 1) = σ̇/(e^−σ − 1)
    let rate = |rate: &Tensor| {
        let slope = rate.f_div(&sigma.value.f_neg()?.f_expm1()?)?;
        slope.f_to_kind(y.value.kind())?.f_view([-1, 1, 1])
    };
    y.add(&Dual { value, tangent: sigma.tangent.as_ref().map(rate).transpose().doing(doing)? })
}

/// ln r: y with 0 at the own symbols x [B, L].
pub(super) fn log_ratios(y: &Dual, x: &Tensor) -> Result<Dual> {
    y.linear(|y| y.f_scatter_value(2, &x.f_unsqueeze(2)?, 0.0))
}

/// log p(x₀ | x) of the symbols x [B, L], where `mask` is the last of them.
pub(super) fn log_x0(y: &Dual, x: &Tensor, mask: i64) -> Result<Dual> {
    let doing = "normalising log p(x0|x)";
    let law = law(&y.value, x, mask).doing(doing)?;
    let Some(tangent) = &y.tangent else { return Ok(Dual::constant(law)) };
    let rate = || {
        // Where x is a mask, e^law are probabilities.
        let mean = law.f_exp()?.f_mul(tangent)?.f_sum_dim_intlist([2].as_slice(), true, tangent.kind())?;
        tangent.f_sub(&mean)?.f_masked_fill(&x.f_ne(mask)?.f_unsqueeze(2)?, 0.0)
    };
    let rate = rate().doing(doing)?;
    Ok(Dual::new(law, rate))
}

fn law(y: &Tensor, x: &Tensor, mask: i64) -> std::result::Result<Tensor, TchError> {
    let lowered = y.f_narrow(2, 0, mask)?;
    let lowered = Tensor::f_cat(&[&lowered, &y.f_narrow(2, mask, 1)?.f_add_scalar(NEVER)?], 2)?;
    let law = lowered.f_sub(&lowered.f_logsumexp([2].as_slice(), true)?)?;
    let own = x.f_unsqueeze(2)?;
    let known = law.f_full_like(NEVER)?.f_scatter_value(2, &own, 0.0)?;
    law.f_where_self(&own.f_eq(mask)?, &known)
}
