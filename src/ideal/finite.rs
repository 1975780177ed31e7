//! x₀ uniform over a finite data set {x⁽ⁱ⁾}: w_i ∝ exp(−‖x − α x⁽ⁱ⁾‖²/2σ²), x̂₀ = Σ w_i x⁽ⁱ⁾, ε* = (x − α x̂₀)/σ.
//!
//! Matrix products over chunks of the data, with a running softmax (one pass, constant memory): per chunk
//! G = x Xᵀ, logits ℓ = (2αG − α²‖X‖² − ‖x‖²)/2σ², and sums of e^ℓ and e^ℓ X kept relative to the largest ℓ so far.
//! Rates: ℓ̇_i = (α̇ G − αα̇ ‖X‖²)/σ² − 2(σ̇/σ) ℓ_i, d x̂₀/dt = Σ w_i ℓ̇_i x⁽ⁱ⁾ − (Σ w_i ℓ̇_i) x̂₀,
//! ∂ε*/∂t = −(α̇ x̂₀ + α dx̂₀/dt + σ̇ ε*)/σ.

use super::{Distribution, Rows};
use crate::device::upload_integers;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::schedule::Level;
use tch::{Device, Kind, Tensor};

/// Elements of a float64 chunk of data: 16 MiB, which the allocator hands back and forth without asking the system.
const CHUNK_ELEMENTS: i64 = 2 << 20;

/// The uniform distribution over the rows of a data set.
#[derive(Debug)]
pub struct Finite {
    /// [N, D] as it was given; chunks are widened to float64 on the way.
    data: Tensor,
    chunk_rows: i64,
}

/// The running softmax: everything is relative to `top`.
struct Sums {
    /// Largest logit so far, [B, 1].
    top: Tensor,
    /// Σ e^{ℓ−top}, [B, 1].
    weight: Tensor,
    /// Σ e^{ℓ−top} X, [B, D].
    mean: Tensor,
    /// Σ e^{ℓ−top} ℓ̇ and Σ e^{ℓ−top} ℓ̇ X.
    rate: Option<(Tensor, Tensor)>,
}

impl Finite {
    /// From data [N, D] in any float dtype.
    pub fn new(data: &Tensor, device: Device) -> Result<Self> {
        let chunk_rows = (CHUNK_ELEMENTS / data.size2().doing("reading the data's shape")?.1.max(1)).max(1);
        Ok(Finite { data: data.f_to_device(device).doing("moving the data")?, chunk_rows })
    }

    /// The posterior weight of the point that each row of x [B, D] came from, `[B]`, and ∂ε*/∂t [B, D]; `origins` are the
    /// places of these points in the data. Of equal points each has its own part.
    pub(super) fn own_weights(&self, x: &Tensor, origins: &[usize], levels: &[Level]) -> Result<(Tensor, Tensor)> {
        let doing = "weighing the points of the data";
        let count = self.data.size()[0];
        if origins.len() as i64 != x.size()[0] || origins.iter().any(|origin| *origin as i64 >= count) {
            let problem = format!("{} rows of {count} points do not name the points of {:?}", origins.len(), x.size());
            return Err(Error::mismatch(problem, "Draw x from the data whose ideal denoiser this is."));
        }
        let rows = Rows::new(levels, x.device())?;
        let sums = self.sums(x, &rows, true)?;
        let index: Vec<i64> = origins.iter().map(|origin| *origin as i64).collect();
        let index = upload_integers(&index, x.device())?;
        let own = self.data.f_index_select(0, &index).and_then(|own| own.f_to_kind(Kind::Double)).doing(doing)?;
        let sum = |rows: Tensor| rows.f_sum_dim_intlist(1, true, Kind::Double).doing(doing);
        // ℓ = (2α x·X − α²‖X‖² − ‖x‖²)/2σ², as in the sums, so that rounding is the same.
        let (dot, norm, x_norm) = (sum(x * &own)?, sum(&own * &own)?, sum(x * x)?);
        let Rows { alpha, sigma, .. } = &rows;
        let logit = (alpha * &dot * 2.0 - alpha * alpha * &norm - x_norm) / (sigma * sigma * 2.0);
        let weight = ((&logit - &sums.top).exp() / &sums.weight).clamp(0.0, 1.0).squeeze_dim(1);
        let rate = sums.epsilon(x, &rows).tangent;
        Ok((weight, rate.unwrap_or_else(|| x.zeros_like())))
    }

    /// For tests: with chunks of so many rows.
    #[cfg(test)]
    pub(crate) fn with_chunk_rows(mut self, rows: i64) -> Self {
        self.chunk_rows = rows;
        self
    }

    fn sums(&self, x: &Tensor, rows: &Rows, with_rate: bool) -> Result<Sums> {
        let (batch, dim) = x.size2().doing("reading the batch's shape")?;
        let zeros = |width: i64| Tensor::f_zeros([batch, width], (Kind::Double, x.device())).doing("allocating sums");
        let mut sums = Sums {
            top: Tensor::f_full([batch, 1], f64::NEG_INFINITY, (Kind::Double, x.device())).doing("allocating sums")?,
            weight: zeros(1)?,
            mean: zeros(dim)?,
            rate: if with_rate { Some((zeros(1)?, zeros(dim)?)) } else { None },
        };
        let x_norm = (x * x).sum_dim_intlist(1, true, Kind::Double);
        let count = self.data.size()[0];
        for first in (0..count).step_by(self.chunk_rows as usize) {
            let rows_here = self.chunk_rows.min(count - first);
            let chunk = self.data.narrow(0, first, rows_here).f_to_kind(Kind::Double).doing("widening data")?;
            sums.add(x, &x_norm, &chunk, rows)?;
        }
        Ok(sums)
    }
}

impl Sums {
    fn add(&mut self, x: &Tensor, x_norm: &Tensor, chunk: &Tensor, rows: &Rows) -> Result<()> {
        let Rows { alpha, sigma, d_alpha, d_sigma } = rows;
        let doing = "weighing the data";
        let dot = x.f_matmul(&chunk.tr()).doing(doing)?;
        let norm = (chunk * chunk).sum_dim_intlist(1, false, Kind::Double).unsqueeze(0);
        let logit = (alpha * &dot * 2.0 - alpha * alpha * &norm - x_norm) / (sigma * sigma * 2.0);
        let top = self.top.maximum(&logit.amax(1, true));
        let weight = (&logit - &top).exp();
        let kept = (&self.top - &top).exp();
        self.weight = &self.weight * &kept + weight.sum_dim_intlist(1, true, Kind::Double);
        self.mean = &self.mean * &kept + weight.f_matmul(chunk).doing(doing)?;
        if let Some((rate, rate_mean)) = self.rate.take() {
            let logit_rate =
                (d_alpha * &dot - alpha * d_alpha * &norm) / (sigma * sigma) - &logit * (d_sigma / sigma) * 2.0;
            let moving = &weight * logit_rate;
            self.rate = Some((
                rate * &kept + moving.sum_dim_intlist(1, true, Kind::Double),
                rate_mean * &kept + moving.f_matmul(chunk).doing(doing)?,
            ));
        }
        self.top = top;
        Ok(())
    }

    /// ε* and its rate, where that was summed.
    fn epsilon(&self, x: &Tensor, rows: &Rows) -> Dual {
        let Rows { alpha, sigma, d_alpha, d_sigma } = rows;
        let x0 = &self.mean / &self.weight;
        let epsilon = (x - alpha * &x0) / sigma;
        let tangent = self.rate.as_ref().map(|(rate, rate_mean)| {
            let d_x0 = rate_mean / &self.weight - rate / &self.weight * &x0;
            -(d_alpha * &x0 + alpha * d_x0 + d_sigma * &epsilon) / sigma
        });
        Dual { value: epsilon, tangent }
    }
}

impl Distribution for Finite {
    fn dim(&self) -> i64 {
        self.data.size()[1]
    }

    fn epsilon(&self, x: &Tensor, levels: &[Level], with_rate: bool) -> Result<Dual> {
        let rows = Rows::new(levels, x.device())?;
        Ok(self.sums(x, &rows, with_rate)?.epsilon(x, &rows))
    }

    fn as_finite(&self) -> Option<&Finite> {
        Some(self)
    }
}
