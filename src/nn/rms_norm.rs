//! RMS normalisation (Zhang & Sennrich, 2019) over the channels of each pixel: y = √C g x/n with n = ‖x‖₂, for
//! x [B, C, H, W] and g [1, C, 1, 1].
//!
//! Tangent: with x̂ = x/n, ẏ = √C g (ẋ − x̂ Σ x̂ ẋ)/n, the sum over channels. n is never below 1e-12.

use super::{Init, Weights};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use tch::{TchError, Tensor};

/// What n is never below.
const SMALLEST: f64 = 1e-12;

/// RMS normalisation of pixels with scale g.
#[derive(Debug)]
pub struct RmsNorm {
    gain: Tensor,
    root: f64,
}

impl RmsNorm {
    /// Takes `g` [1, channels, 1, 1].
    pub fn new(weights: &Weights, channels: i64) -> Result<Self> {
        let gain = weights.tensor("g", &[1, channels, 1, 1], Init::Ones)?;
        Ok(RmsNorm { gain, root: (channels as f64).sqrt() })
    }

    /// x [B, C, H, W] → the same shape.
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let doing = "normalising pixels";
        let norm = x.value.f_norm_scalaropt_dim(2, [1i64].as_slice(), true).doing(doing)?;
        let norm = norm.f_clamp_min(SMALLEST).doing(doing)?;
        let unit = x.value.f_div(&norm).doing(doing)?;
        let tangent = match &x.tangent {
            Some(tangent) => Some(self.scale(&change(&unit, &norm, tangent).doing(doing)?).doing(doing)?),
            None => None,
        };
        Ok(Dual { value: self.scale(&unit).doing(doing)?, tangent })
    }

    /// √C g x
    fn scale(&self, x: &Tensor) -> std::result::Result<Tensor, TchError> {
        x.f_mul(&self.gain)?.f_mul_scalar(self.root)
    }
}

/// (ẋ − x̂ Σ x̂ ẋ)/n
fn change(unit: &Tensor, norm: &Tensor, dx: &Tensor) -> std::result::Result<Tensor, TchError> {
    let along = unit.f_mul(dx)?.f_sum_dim_intlist([1i64].as_slice(), true, dx.kind())?;
    dx.f_sub(&unit.f_mul(&along)?)?.f_div(norm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};
    use std::path::Path;
    use tch::{Device, Kind};

    fn layer() -> RmsNorm {
        let gain = Tensor::linspace(0.5, 2.0, 5, (Kind::Double, Device::Cpu)).reshape([1, 5, 1, 1]);
        RmsNorm::new(&Weights::new([("g".to_string(), gain)].into(), Path::new("test")), 5).unwrap()
    }

    #[test]
    fn pixels_come_out_with_a_mean_square_of_one() {
        tch::manual_seed(0);
        let x = Tensor::randn([2, 5, 3, 4], (Kind::Double, Device::Cpu)) * 7.0;
        let norm = layer();
        let y = norm.forward(&Dual::constant(x)).unwrap().value / &norm.gain;
        let mean_square = y.square().mean_dim([1i64].as_slice(), false, Kind::Double);
        let tolerance = Tolerance::absolute(1e-14, "rounding of float64");
        assert_close("mean square", &mean_square, &mean_square.ones_like(), tolerance);
    }

    #[test]
    fn tangent_is_the_derivative() {
        tch::manual_seed(0);
        let norm = layer();
        let x = Tensor::randn([2, 5, 3, 4], (Kind::Double, Device::Cpu));
        let dx = x.randn_like();
        let at = |h: f64| norm.forward(&Dual::constant(&x + h * &dx)).unwrap().value;
        let h = 1e-5;
        let differences = (at(h) - at(-h)) / (2.0 * h);
        let tangent = norm.forward(&Dual::new(x.shallow_clone(), dx.shallow_clone())).unwrap().tangent.unwrap();
        let tolerance = Tolerance::absolute(
            1e-8,
            "central differences: h² times a third derivative of order 10, and rounding 1e-16/h",
        );
        assert_close("tangent", &tangent, &differences, tolerance);
    }
}
