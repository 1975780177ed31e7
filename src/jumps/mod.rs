//! What is measured of a jump process: the total rate R of its reverse jumps, and the law p of the next one.
//!
//! With log-rates ℓ_y = ln Q(y, x) + ln r_y over the neighbours y that x can jump to, R = Σ_y e^ℓ_y and p_y = e^ℓ_y/R, so
//! that ∂ ln R/∂t = Σ_y p_y ∂ℓ_y/∂t and ∂p_y/∂t = p_y (∂ℓ_y/∂t − ∂ ln R/∂t). A state that cannot jump, as one without a
//! mask, has R = 0; its ln R and its law stand still.

mod network;
mod symbols;
#[cfg(test)]
mod tests;

pub use network::{NetworkJumps, Output};
pub use symbols::{as_symbols, check, law};

use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::of::Of;
use tch::{Kind, TchError, Tensor};

/// What can be measured under a jump process.
pub(crate) const OFFERS: &[Of] = &[Of::Rate, Of::Jumps];

/// Log-rates ℓ of all jumps of B states, [B, jumps]: −∞ where there is none, with a tangent of 0.
pub(crate) struct LogRates(Dual);

impl LogRates {
    /// From [B, …], with their tangents.
    pub fn new(rates: &Dual) -> Result<Self> {
        Ok(LogRates(rates.linear(|rates| rates.f_flatten(1, -1))?))
    }

    /// ln R, [B, 1] in float64; −∞ where R = 0.
    pub fn log_total(&self) -> Result<Tensor> {
        self.0.value.f_logsumexp([1].as_slice(), true).and_then(|total| total.f_to_kind(Kind::Double)).doing(DOING)
    }

    /// p, [B, jumps].
    pub fn law(&self) -> Result<Tensor> {
        softmax(&self.0.value).doing(DOING)
    }

    /// ∂ ln R, [B, 1] in float64.
    pub fn log_total_rate(&self) -> Result<Tensor> {
        let law = self.law()?;
        let Some(tangent) = &self.0.tangent else { return zero_column(&law).doing(DOING) };
        mean(&law, tangent).and_then(|rate| rate.f_to_kind(Kind::Double)).doing(DOING)
    }

    /// ∂p, [B, jumps].
    pub fn law_rate(&self) -> Result<Tensor> {
        let law = self.law()?;
        let Some(tangent) = &self.0.tangent else { return law.f_zeros_like().doing(DOING) };
        mean(&law, tangent).and_then(|mean| law.f_mul(&tangent.f_sub(&mean)?)).doing(DOING)
    }
}

const DOING: &str = "adding up the rates of jumps";

fn softmax(rates: &Tensor) -> std::result::Result<Tensor, TchError> {
    let top = rates.f_amax([1].as_slice(), true)?;
    // Where nothing can jump all are −∞.
    let top = top.f_where_self(&top.f_isfinite()?, &top.f_zeros_like()?)?;
    let weights = rates.f_sub(&top)?.f_exp()?;
    let total = weights.f_sum_dim_intlist([1].as_slice(), true, weights.kind())?;
    weights.f_div(&total.f_where_self(&total.f_gt(0.0)?, &total.f_ones_like()?)?)
}

/// Σ_y p_y v_y, [B, 1].
fn mean(law: &Tensor, values: &Tensor) -> std::result::Result<Tensor, TchError> {
    law.f_mul(values)?.f_sum_dim_intlist([1].as_slice(), true, law.kind())
}

fn zero_column(rows: &Tensor) -> std::result::Result<Tensor, TchError> {
    Tensor::f_zeros([rows.size()[0], 1], (Kind::Double, rows.device()))
}

/// ln R′ − ln R; 0 where both rates are 0.
pub(crate) fn change_of_log(before: &Tensor, after: &Tensor) -> Result<Tensor> {
    let change = || {
        let still = before.f_eq_tensor(after)?;
        before.f_zeros_like()?.f_where_self(&still, &after.f_sub(before)?)
    };
    change().doing(DOING)
}
