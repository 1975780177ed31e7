//! Fréchet distance of Gaussians fitted to the features (Dowson and Landau 1982; Heusel et al., arXiv 1706.08500, as FID):
//!
//! d² = ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁^½ Σ₂ Σ₁^½)^½
//!
//! With Σ = FᵀF the last trace is a sum of singular values: F = U Σ^½ with orthonormal U, so that
//! tr (Σ₁^½ Σ₂ Σ₁^½)^½ = ‖Σ₁^½ Σ₂^½‖_* = ‖F₁ F₂ᵀ‖_*. This needs no inverse and no matrix square root, holds for covariances
//! of any rank, and the product is as small as the samples are few.

use super::{Member, Metric, Moments, enough};
use crate::error::{Doing, Result};
use tch::{Kind, Tensor};

pub(super) const MEMBER: Member = Member {
    name: "frechet",
    label: "Fréchet distance d²",
    about: "Fréchet distance of fitted Gaussians (FID with Inception features)",
    lower_is_better: true,
    build: |reference, _| Ok(Box::new(Frechet { reference: reference.moments()? })),
};

struct Frechet {
    reference: Moments,
}

impl Metric for Frechet {
    fn measure(&self, generated: &Tensor) -> Result<f64> {
        enough(generated, MEMBER.name, 2)?;
        distance(&Moments::of(generated)?, &self.reference)
    }
}

/// d², not below 0.
pub(super) fn distance(one: &Moments, other: &Moments) -> Result<f64> {
    let doing = "computing the Fréchet distance";
    let shift = one.mean.f_sub(&other.mean).and_then(|v| v.f_square()?.f_sum(Kind::Double)).doing(doing)?;
    // ‖F₁ F₂ᵀ‖_*
    let product = one.factor.f_matmul(&other.factor.tr()).doing(doing)?;
    let overlap = product.f_linalg_norm_ord_str("nuc", None::<i64>, false, None).doing(doing)?;
    let squared =
        shift.double_value(&[]) + one.total_variance() + other.total_variance() - 2.0 * overlap.double_value(&[]);
    Ok(squared.max(0.0))
}
