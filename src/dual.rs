//! A tensor with an optional tangent: f and ∂f along one direction, carried through one forward pass.
//!
//! The direction is chosen by whoever seeds the tangent: ones on the timestep give ∂/∂t, a vector v on x gives J·v.
//! `tangent: None` is an exact zero and costs nothing, so inference, training and exact derivatives share one code.

use crate::error::{Doing, Result};
use tch::Tensor;

/// A value and, where it depends on the seeded input, its tangent of the same shape and dtype.
#[derive(Debug)]
pub struct Dual {
    /// f(·).
    pub value: Tensor,
    /// ∂f along the seeded direction; `None` is an exact zero.
    pub tangent: Option<Tensor>,
}

impl Dual {
    /// A value that does not depend on the seeded input.
    pub fn constant(value: Tensor) -> Self {
        Dual { value, tangent: None }
    }

    /// A value with its tangent, of the same shape.
    pub fn new(value: Tensor, tangent: Tensor) -> Self {
        Dual { value, tangent: Some(tangent) }
    }

    /// A second handle on the same tensors; nothing is copied.
    pub fn shallow_clone(&self) -> Self {
        Dual { value: self.value.shallow_clone(), tangent: self.tangent.as_ref().map(Tensor::shallow_clone) }
    }

    /// f(x) for a linear f: the tangent goes through the same map, ∂f(x) = f(ẋ).
    pub fn linear(&self, f: impl Fn(&Tensor) -> std::result::Result<Tensor, tch::TchError>) -> Result<Self> {
        let doing = "applying a linear layer";
        let tangent = match &self.tangent {
            Some(tangent) => Some(f(tangent).doing(doing)?),
            None => None,
        };
        Ok(Dual { value: f(&self.value).doing(doing)?, tangent })
    }

    /// a + b, broadcasting; ∂ = ȧ + ḃ.
    pub fn add(&self, other: &Dual) -> Result<Self> {
        let doing = "adding";
        let value = self.value.f_add(&other.value).doing(doing)?;
        let expand = |tangent: &Tensor| tangent.f_expand_as(&value).doing(doing);
        let tangent = match (&self.tangent, &other.tangent) {
            (Some(a), Some(b)) => Some(a.f_add(b).doing(doing)?),
            (Some(only), None) | (None, Some(only)) => Some(expand(only)?),
            (None, None) => None,
        };
        Ok(Dual { value, tangent })
    }

    /// a · b, broadcasting; ∂ = ȧ·b + a·ḃ.
    pub fn mul(&self, other: &Dual) -> Result<Self> {
        let doing = "multiplying";
        let value = self.value.f_mul(&other.value).doing(doing)?;
        let tangent = match (&self.tangent, &other.tangent) {
            (Some(a), Some(b)) => {
                let left = a.f_mul(&other.value).doing(doing)?;
                Some(left.f_add(&self.value.f_mul(b).doing(doing)?).doing(doing)?)
            }
            (Some(a), None) => Some(a.f_mul(&other.value).doing(doing)?),
            (None, Some(b)) => Some(self.value.f_mul(b).doing(doing)?),
            (None, None) => None,
        };
        Ok(Dual { value, tangent })
    }

    /// Concatenation along `dim`; a missing tangent is filled with zeros only where another part has one.
    pub fn cat(parts: &[&Dual], dim: i64) -> Result<Self> {
        let doing = "concatenating";
        let values: Vec<&Tensor> = parts.iter().map(|part| &part.value).collect();
        let value = Tensor::f_cat(&values, dim).doing(doing)?;
        if parts.iter().all(|part| part.tangent.is_none()) {
            return Ok(Dual::constant(value));
        }
        let mut tangents = Vec::with_capacity(parts.len());
        for part in parts {
            tangents.push(match &part.tangent {
                Some(tangent) => tangent.shallow_clone(),
                None => part.value.f_zeros_like().doing(doing)?,
            });
        }
        Ok(Dual::new(value, Tensor::f_cat(&tangents, dim).doing(doing)?))
    }
}
