//! Squared maximum mean discrepancy (Gretton et al. 2012, eq. 3) with the cubic kernel of the kernel inception distance
//! (Bińkowski et al., arXiv 1801.01401):
//!
//! MMD² = E k(X, X′) + E k(Y, Y′) − 2 E k(X, Y),   k(x, y) = (x·y/d + 1)³
//!
//! The unbiased estimate over *all* pairs: KID as it is usually computed is the mean of the same over subsets of 1,000, has
//! the same expectation and a larger variance. It may be below 0.

use super::{Member, Metric, enough};
use crate::error::{Doing, Result};
use tch::{Kind, Tensor};

pub(super) const MEMBER: Member = Member {
    name: "kernel",
    label: "MMD², cubic kernel",
    about: "unbiased squared MMD over all pairs, kernel (x·y/d + 1)³ (KID with Inception features)",
    lower_is_better: true,
    build: |reference, _| {
        let features = reference.features(MEMBER.name, 2)?.shallow_clone();
        Ok(Box::new(Kernel { within: within(&features, &cubic)?, features }))
    },
};

/// Elements of a block of the kernel's matrix.
const BLOCK_ELEMENTS: i64 = 1 << 22;

struct Kernel {
    features: Tensor,
    /// E k(Y, Y′) over pairs of different samples.
    within: f64,
}

impl Metric for Kernel {
    fn measure(&self, generated: &Tensor) -> Result<f64> {
        enough(generated, MEMBER.name, 2)?;
        Ok(within(generated, &cubic)? + self.within - 2.0 * between(generated, &self.features, &cubic)?)
    }
}

/// A kernel as a matrix: k(x_i, y_j) for x [n, d] and y [m, d].
pub(super) type KernelMatrix<'a> = dyn Fn(&Tensor, &Tensor) -> std::result::Result<Tensor, tch::TchError> + 'a;

fn cubic(x: &Tensor, y: &Tensor) -> std::result::Result<Tensor, tch::TchError> {
    let width = x.size()[1].max(1) as f64;
    let base = x.f_matmul(&y.tr())?.f_div_scalar(width)?.f_add_scalar(1.0)?;
    // A product: powers of general exponents are slow.
    base.f_square()?.f_mul(&base)
}

/// Mean of k(x_i, x_j) over i ≠ j.
pub(super) fn within(x: &Tensor, kernel: &KernelMatrix) -> Result<f64> {
    let count = x.size()[0] as f64;
    let mut diagonal = 0.0;
    for rows in blocks(x, x.size()[0])? {
        let (first, length) = rows;
        let here = x.narrow(0, first, length);
        diagonal += kernel(&here, &here).and_then(|k| k.f_trace()).doing("summing a kernel")?.double_value(&[]);
    }
    Ok((between(x, x, kernel)? * count * count - diagonal) / (count * (count - 1.0)))
}

/// Mean of k(x_i, y_j) over all i and j.
pub(super) fn between(x: &Tensor, y: &Tensor, kernel: &KernelMatrix) -> Result<f64> {
    let mut sum = 0.0;
    for (first, length) in blocks(x, y.size()[0])? {
        let block = kernel(&x.narrow(0, first, length), y).and_then(|k| k.f_sum(Kind::Double));
        sum += block.doing("summing a kernel")?.double_value(&[]);
    }
    Ok(sum / (x.size()[0] as f64 * y.size()[0] as f64))
}

/// First row and length of blocks of rows of `x`, for matrices of so many columns.
pub(super) fn blocks(x: &Tensor, columns: i64) -> Result<Vec<(i64, i64)>> {
    let (count, _) = x.size2().doing("reading the shape of features")?;
    let rows = (BLOCK_ELEMENTS / columns.max(1)).max(1);
    Ok((0..count).step_by(rows as usize).map(|first| (first, rows.min(count - first))).collect())
}
