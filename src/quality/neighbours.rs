//! Distances between sets of features, and balls that reach to a sample's k-th neighbour.

use super::kernel::blocks;
use crate::error::{Doing, Result};
use tch::{Kind, Tensor};

type Torch<T> = std::result::Result<T, tch::TchError>;

/// ‖x_i − y_j‖² = ‖x_i‖² + ‖y_j‖² − 2 x_i·y_j, [n, m], not below 0.
pub(super) fn squared_distances(x: &Tensor, y: &Tensor) -> Torch<Tensor> {
    let square = |v: &Tensor| v.f_square()?.f_sum_dim_intlist(1, false, Kind::Double);
    let product = x.f_matmul(&y.tr())?.f_mul_scalar(-2.0)?;
    product.f_add(&square(x)?.f_unsqueeze(1)?)?.f_add(&square(y)?.f_unsqueeze(0)?)?.f_clamp_min(0.0)
}

/// Samples with a ball each, up to the k-th nearest other sample of the same set.
pub(super) struct Balls {
    /// Centres, less `origin`, [N, d].
    centres: Tensor,
    /// Squared radii, [N].
    radii: Tensor,
    /// Mean of the centres: distances lose fewer digits around it.
    origin: Tensor,
}

impl Balls {
    /// Of features [N, d], N > k.
    pub fn new(features: &Tensor, k: i64) -> Result<Self> {
        let doing = "finding neighbours";
        let origin = features.f_mean_dim(0, true, Kind::Double).doing(doing)?;
        let centres = features.f_sub(&origin).doing(doing)?;
        let mut radii = Vec::new();
        for (first, length) in blocks(&centres, centres.size()[0])? {
            let distances = squared_distances(&centres.narrow(0, first, length), &centres).doing(doing)?;
            // A sample is not its own neighbour.
            let mut own = distances.f_diagonal(first, 0, 1).doing(doing)?;
            let _ = own.f_fill_(f64::INFINITY).doing(doing)?;
            radii.push(distances.f_kthvalue(k, 1, false).doing(doing)?.0);
        }
        Ok(Balls { radii: Tensor::f_cat(&radii, 0).doing(doing)?, centres, origin })
    }

    /// Number of balls.
    pub fn count(&self) -> i64 {
        self.radii.size()[0]
    }

    /// In how many balls every point of x [M, d] lies, [M]; and whether a ball holds any, [N].
    pub fn hold(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let doing = "counting neighbours";
        let x = x.f_sub(&self.origin).doing(doing)?;
        let (mut counts, mut occupied) = (Vec::new(), None::<Tensor>);
        for (first, length) in blocks(&x, self.count())? {
            let inside = squared_distances(&x.narrow(0, first, length), &self.centres)
                .and_then(|distances| distances.f_le_tensor(&self.radii))
                .doing(doing)?;
            counts.push(inside.f_sum_dim_intlist(1, false, Kind::Int64).doing(doing)?);
            let any = inside.f_any_dim(0, false).doing(doing)?;
            occupied = Some(match occupied {
                Some(before) => before.f_logical_or(&any).doing(doing)?,
                None => any,
            });
        }
        let nothing = || Tensor::f_zeros([self.count()], (Kind::Bool, x.device())).doing(doing);
        Ok((Tensor::f_cat(&counts, 0).doing(doing)?, occupied.map_or_else(nothing, Ok)?))
    }
}

/// The fraction of elements above 0.
pub(super) fn fraction(counts: &Tensor) -> Result<f64> {
    let doing = "counting neighbours";
    let mean = counts.f_gt(0).and_then(|v| v.f_to_kind(Kind::Double)?.f_mean(Kind::Double)).doing(doing)?;
    Ok(mean.double_value(&[]))
}
