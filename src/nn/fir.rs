//! Halving and doubling of height and width with a separable low-pass filter k, as StyleGAN and NCSN++ do it (Zhang, 2019,
//! arXiv 1904.11486). With f = k kᵀ/(Σ k)²: halving takes every second pixel of f ∗ x, doubling puts zeros between the
//! pixels of x and applies 4 f. k = [1, 1] gives means of 2×2 pixels, and copies.
//!
//! All of it is linear in x, so the tangent takes the same path.

use super::{Conv2d, Downsample, Init, Weights, upsample_nearest};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use tch::{Device, Kind, TchError, Tensor};

/// f, applied to every channel by itself.
#[derive(Debug)]
pub struct Fir {
    /// [1, 1, k, k].
    filter: Tensor,
    /// Whether k is [1, 1].
    is_box: bool,
}

impl Fir {
    /// Takes the buffer `resample_filter` [1, 1, k, k], which a file has beside the `taps` that it was made of.
    ///
    /// # Errors
    /// For an odd number of taps: the size would not be halved.
    pub fn new(weights: &Weights, taps: &[f64]) -> Result<Self> {
        let length = taps.len() as i64;
        let filter = weights.tensor("resample_filter", &[1, 1, length, length], Init::Ones)?;
        Ok(Fir { filter, is_box: is_box(taps)? })
    }

    /// The same computed from the taps, in float32.
    pub fn of_taps(taps: &[f64], device: Device) -> Result<Self> {
        let doing = "making a resampling filter";
        let make = || -> std::result::Result<Tensor, TchError> {
            let taps = Tensor::f_from_slice(taps)?.f_to_kind(Kind::Float)?.f_to_device(device)?;
            let total = taps.f_sum(Kind::Float)?.f_square()?;
            taps.f_outer(&taps)?.f_div(&total)?.f_unsqueeze(0)?.f_unsqueeze(0)
        };
        Ok(Fir { filter: make().doing(doing)?, is_box: is_box(taps)? })
    }

    /// A second handle on the same filter.
    pub fn shallow_clone(&self) -> Self {
        Fir { filter: self.filter.shallow_clone(), is_box: self.is_box }
    }

    /// f, [1, 1, k, k].
    pub fn filter(&self) -> Tensor {
        self.filter.shallow_clone()
    }

    /// (k − 1)/2 rows and columns of zeros on every side.
    fn padding(&self) -> i64 {
        (self.filter.size().last().copied().unwrap_or(1) - 1) / 2
    }

    /// f for each of the channels of x, times `factor`.
    fn for_channels(&self, x: &Tensor, factor: f64) -> std::result::Result<(Tensor, i64), TchError> {
        let channels = x.size().get(1).copied().unwrap_or(1);
        let filter = self.filter.f_to_kind(x.kind())?.f_mul_scalar(factor)?;
        Ok((filter.f_tile([channels, 1, 1, 1])?, channels))
    }

    /// [B, C, H, W] → [B, C, H/2, W/2], for even H and W.
    pub fn halve(&self, x: &Dual) -> Result<Dual> {
        if self.is_box { Downsample::AveragePool.forward(x) } else { self.halve_padded(x, self.padding()) }
    }

    fn halve_padded(&self, x: &Dual, padding: i64) -> Result<Dual> {
        x.linear(|x| {
            let (filter, groups) = self.for_channels(x, 1.0)?;
            x.f_conv2d(&filter, None::<&Tensor>, [2, 2], [padding; 2], [1, 1], groups)
        })
    }

    /// [B, C, H, W] → [B, C, 2H, 2W].
    pub fn double(&self, x: &Dual) -> Result<Dual> {
        if self.is_box {
            return upsample_nearest(x);
        }
        let padding = [self.padding(); 2];
        x.linear(|x| {
            let (filter, groups) = self.for_channels(x, 4.0)?;
            x.f_conv_transpose2d(&filter, None::<&Tensor>, [2, 2], padding, [0, 0], groups, [1, 1])
        })
    }

    /// A 3×3 convolution `conv`, then [`Fir::halve`], without an edge between them: the convolution also gives the rows
    /// and columns that the filter reaches beyond the image, where x is 0 and the bias is not added.
    pub fn halve_after(&self, conv: &Conv2d, x: &Dual) -> Result<Dual> {
        conv.forward_with(x, 1 + self.padding(), |x| self.halve_padded(x, 0))
    }
}

fn is_box(taps: &[f64]) -> Result<bool> {
    if taps.is_empty() || !taps.len().is_multiple_of(2) {
        return Err(Error::unsupported(
            format!("a resampling filter of {} taps", taps.len()),
            "filters have an even number of taps, such as [1, 1] and [1, 3, 3, 1]",
            "Check resample_filter in the configuration.",
        ));
    }
    Ok(taps.len() == 2 && taps[0] == taps[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};

    fn image() -> Dual {
        tch::manual_seed(0);
        Dual::constant(Tensor::randn([2, 3, 6, 8], (Kind::Double, Device::Cpu)))
    }

    #[test]
    fn a_box_is_the_mean_and_the_copy() {
        let fir = Fir::of_taps(&[1.0, 1.0], Device::Cpu).unwrap();
        let long = Fir { is_box: false, filter: fir.filter.shallow_clone() };
        let tolerance = Tolerance::absolute(1e-15, "rounding of float64");
        assert_close("halved", &fir.halve(&image()).unwrap().value, &long.halve(&image()).unwrap().value, tolerance);
        assert_close("doubled", &fir.double(&image()).unwrap().value, &long.double(&image()).unwrap().value, tolerance);
    }

    /// Inside, [1, 3, 3, 1] along a row gives (x₋₁ + 3 x₀ + 3 x₁ + x₂)/8, and (3 x₀ + x₁)/4 halfway.
    #[test]
    fn four_taps_weigh_their_neighbours() {
        let fir = Fir::of_taps(&[1.0, 3.0, 3.0, 1.0], Device::Cpu).unwrap();
        let row = Tensor::from_slice(&[0.0f64, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 1.0]);
        // The same in every row, so that only the edges see that there are rows.
        let x = Dual::constant(row.repeat([8, 1]).reshape([1, 1, 8, 8]));
        let numbers = |x: Dual, row: i64| Vec::<f64>::try_from(x.value.get(0).get(0).get(row)).unwrap();
        let halved = numbers(fir.halve(&x).unwrap(), 1);
        assert!((halved[1] - (1.0 + 2.0) / 8.0).abs() < 1e-7, "{halved:?}");
        let doubled = numbers(fir.double(&x).unwrap(), 7);
        assert!((doubled[8] - 1.5).abs() < 1e-7 && (doubled[9] - 1.5).abs() < 1e-7, "{doubled:?}");
        assert!((doubled[7] - 0.5).abs() < 1e-7 && (doubled[10] - 0.5).abs() < 1e-7, "{doubled:?}");
    }

    #[test]
    fn odd_filters_are_refused() {
        assert!(Fir::of_taps(&[1.0, 2.0, 1.0], Device::Cpu).unwrap_err().to_string().contains("3 taps"));
    }
}
