//! Magnitude-preserving layers (Karras et al., 2024, arXiv 2312.02696): inputs with an expected magnitude of 1 give outputs
//! with the same.
//!
//! * normalisation over n entries: y = x/(ε + ‖x‖/√n), ε = 10⁻⁴. With m the divisor, ẏ = (ẋ − y ṁ)/m, ṁ = ⟨x, ẋ⟩/(√n ‖x‖);
//! * convolutions and linear layers (eq. 47): W of every output is normalised and divided by √n, and multiplied by a gain;
//! * SiLU (eq. 81): silu(x)/0.596;
//! * sums (eq. 88): ((1 − t) a + t b)/√((1 − t)² + t²);
//! * concatenation (eq. 103): √((Nₐ + N_b)/((1 − t)² + t²)) [(1 − t)/√Nₐ a, t/√N_b b].

use super::{Activation, Init, Weights};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use tch::{Kind, TchError, Tensor};

/// What keeps the divisor of a normalisation above 0.
const EPSILON: f64 = 1e-4;
/// E[silu(x)²]^½ for a normal x.
const SILU: f64 = 0.596;

/// Normalisation along `dim`, of any shape.
pub fn normalised(x: &Dual, dim: i64) -> Result<Dual> {
    let doing = "normalising magnitudes";
    let count = x.value.size().get(dim as usize).copied().unwrap_or(1) as f64;
    let divide = || -> std::result::Result<Dual, TchError> {
        let sum = |x: &Tensor| x.f_sum_dim_intlist([dim].as_slice(), true, x.kind());
        let norm = sum(&x.value.f_square()?)?.f_sqrt()?;
        let divisor = norm.f_div_scalar(count.sqrt())?.f_add_scalar(EPSILON)?;
        let value = x.value.f_div(&divisor)?;
        let tangent = match &x.tangent {
            Some(dx) => {
                // ṁ = ⟨x, ẋ⟩/(√n ‖x‖); where x is 0 it has no direction, and y no part of ṁ.
                let rate = sum(&x.value.f_mul(dx)?)?.f_div(&norm.f_clamp_min(1e-30)?)?.f_div_scalar(count.sqrt())?;
                Some(dx.f_sub(&value.f_mul(&rate)?)?.f_div(&divisor)?)
            }
            None => None,
        };
        Ok(Dual { value, tangent })
    };
    divide().doing(doing)
}

/// silu(x)/0.596.
pub fn mp_silu(x: &Dual) -> Result<Dual> {
    Activation::Silu.forward(x)?.linear(|y| y.f_div_scalar(SILU))
}

/// The sum of a and b of one shape, with the balance t towards b.
pub fn mp_sum(a: &Dual, b: &Dual, t: f64) -> Result<Dual> {
    let norm = ((1.0 - t).powi(2) + t * t).sqrt();
    a.linear(|a| a.f_mul_scalar((1.0 - t) / norm))?.add(&b.linear(|b| b.f_mul_scalar(t / norm))?)
}

/// [a, b] along the channels, with the balance t towards b.
pub fn mp_cat(a: &Dual, b: &Dual, t: f64) -> Result<Dual> {
    let channels = |x: &Dual| x.value.size().get(1).copied().unwrap_or(1) as f64;
    let (of_a, of_b) = (channels(a), channels(b));
    let whole = ((of_a + of_b) / ((1.0 - t).powi(2) + t * t)).sqrt();
    let scaled = |x: &Dual, factor: f64| x.linear(|x| x.f_mul_scalar(factor));
    Dual::cat(&[&scaled(a, whole / of_a.sqrt() * (1.0 - t))?, &scaled(b, whole / of_b.sqrt() * t)?], 1)
}

/// x kept within ± `limit`; its tangent is 0 beyond.
pub fn clipped(x: Dual, limit: f64) -> Result<Dual> {
    let doing = "clipping activations";
    let tangent = match &x.tangent {
        Some(dx) => {
            let beyond = x.value.f_abs().and_then(|x| x.f_gt(limit)).doing(doing)?;
            Some(dx.f_masked_fill(&beyond, 0.0).doing(doing)?)
        }
        None => None,
    };
    Ok(Dual { value: x.value.f_clamp(-limit, limit).doing(doing)?, tangent })
}

/// A convolution or a linear layer without bias.
#[derive(Debug)]
pub struct MpConv {
    /// W, normalised, over √n and times the gain: [out, in] or [out, in, k, k].
    weight: Tensor,
    padding: i64,
}

impl MpConv {
    /// A linear layer: takes `weight` [outputs, inputs]; `gain` is a parameter `[]`.
    pub fn linear(weights: &Weights, inputs: i64, outputs: i64, gain: Option<&Tensor>) -> Result<Self> {
        MpConv::of(weights, &[outputs, inputs], gain)
    }

    /// A convolution that keeps H and W: takes `weight` [outputs, inputs, kernel, kernel].
    pub fn conv(weights: &Weights, [inputs, outputs]: [i64; 2], kernel: i64, gain: Option<&Tensor>) -> Result<Self> {
        MpConv::of(weights, &[outputs, inputs, kernel, kernel], gain)
    }

    fn of(weights: &Weights, shape: &[i64], gain: Option<&Tensor>) -> Result<Self> {
        let weight = weights.tensor("weight", shape, Init::Normal(1.0))?;
        let weight = effective(&weight, gain).doing("normalising weights")?;
        Ok(MpConv { weight, padding: shape.last().copied().unwrap_or(1) / 2 })
    }

    /// The weight that it computes with.
    pub fn weight(&self) -> Tensor {
        self.weight.shallow_clone()
    }

    /// x [B, in] → [B, out], or [B, in, H, W] → [B, out, H, W].
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        if self.weight.dim() == 2 {
            return x.linear(|x| x.f_linear(&self.weight, None::<&Tensor>));
        }
        x.linear(|x| x.f_conv2d(&self.weight, None::<&Tensor>, [1, 1], [self.padding; 2], [1, 1], 1))
    }
}

/// gain/√n · W/(ε + ‖W‖/√n) for every output, in float32 at least.
fn effective(weight: &Tensor, gain: Option<&Tensor>) -> std::result::Result<Tensor, TchError> {
    let kind = weight.kind();
    let wide = if kind == Kind::Double { Kind::Double } else { Kind::Float };
    let w = weight.f_to_kind(wide)?;
    let outputs = w.size().first().copied().unwrap_or(1).max(1);
    let count = (w.numel() as f64 / outputs as f64).sqrt();
    let axes: Vec<i64> = (1..w.dim() as i64).collect();
    let norm = w.f_square()?.f_sum_dim_intlist(axes.as_slice(), true, wide)?.f_sqrt()?;
    let w = w.f_div(&norm.f_div_scalar(count)?.f_add_scalar(EPSILON)?)?;
    let w = match gain {
        Some(gain) => w.f_mul(&gain.f_to_kind(wide)?.f_div_scalar(count)?)?,
        None => w.f_div_scalar(count)?,
    };
    w.f_to_kind(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};
    use tch::Device;

    type Layer = fn(Dual) -> Dual;

    #[test]
    fn tangents_are_derivatives() {
        tch::manual_seed(0);
        let x: Tensor = 3.0 * Tensor::randn([2, 4, 3], (Kind::Double, Device::Cpu));
        let dx = x.randn_like();
        let of: [(&str, Layer); 4] = [
            ("normalised", |x| normalised(&x, 1).unwrap()),
            ("silu", |x| mp_silu(&x).unwrap()),
            ("clipped", |x| clipped(x, 2.0).unwrap()),
            ("cat of a sum", |x| mp_cat(&mp_sum(&x, &mp_silu(&x).unwrap(), 0.3).unwrap(), &x, 0.4).unwrap()),
        ];
        for (name, f) in of {
            let at = |h: f64| f(Dual::constant(&x + h * &dx)).value;
            let h = 1e-5;
            let differences = (at(h) - at(-h)) / (2.0 * h);
            let tangent = f(Dual::new(x.shallow_clone(), dx.shallow_clone())).tangent.unwrap();
            let tolerance = Tolerance::absolute(1e-8, "central differences: h² times a third derivative of order 10");
            assert_close(name, &tangent, &differences, tolerance);
        }
    }

    #[test]
    fn magnitudes_are_kept() {
        tch::manual_seed(0);
        let random = |channels| Dual::constant(Tensor::randn([64, channels, 8, 8], (Kind::Double, Device::Cpu)));
        let magnitude = |x: &Tensor| x.square().mean(Kind::Double).sqrt().double_value(&[]);
        let weights = Weights::fresh(0);
        let conv = MpConv::conv(&weights, [8, 16], 1, None).unwrap();
        let single = |x: Dual| x.linear(|x| x.f_to_kind(Kind::Float)).unwrap();
        for (name, y) in [
            ("sum", mp_sum(&random(8), &random(8), 0.3).unwrap()),
            ("cat", mp_cat(&random(8), &random(24), 0.3).unwrap()),
            ("silu", mp_silu(&random(8)).unwrap()),
            ("conv", conv.forward(&single(random(8))).unwrap()),
        ] {
            // 32,768 and more numbers: their root mean square is within 1 % of its expectation.
            let found = magnitude(&y.value.to_kind(Kind::Double));
            assert!((found - 1.0).abs() < 0.02, "{name}: {found}");
        }
    }

    #[test]
    fn nothing_has_a_finite_tangent_too() {
        let zero = Tensor::zeros([1, 3], (Kind::Double, Device::Cpu));
        let y = normalised(&Dual::new(zero.shallow_clone(), zero.ones_like()), 1).unwrap();
        let tolerance = Tolerance::of_largest(1e-12, "rounding of 1/ε");
        assert_close("tangent", &y.tangent.unwrap(), &(zero.ones_like() / EPSILON), tolerance);
    }
}
