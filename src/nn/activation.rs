//! Pointwise activations: y = a(x), tangent ẏ = a'(x) ẋ.
//!
//! A pointwise map has a diagonal, hence symmetric, Jacobian: libtorch's fused backward kernel, which computes
//! a'(x)·gradient for reverse mode, computes a'(x)·ẋ just as well. Some of these kernels have no derivative of their
//! own; where a loss of the tangent is to be differentiated, the formula of a' takes their place.

use crate::dual::Dual;
use crate::error::{Doing, Result};
use tch::{TchError, Tensor};

/// A pointwise nonlinearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x · sigmoid(x), also called swish.
    Silu,
    /// x · tanh(softplus(x)).
    Mish,
    /// x · Φ(x), with the exact normal distribution function.
    Gelu,
    /// x (1 + tanh(√(2/π) (x + 0.044715 x³)))/2, close to `Gelu`.
    GeluTanh,
    /// max(x, 0); its derivative at 0 is 0.
    Relu,
}

impl Activation {
    /// Names that [`Activation::from_name`] knows.
    pub const NAMES: &str = "silu, swish, mish, gelu, relu";

    /// The activation that diffusers calls `name`, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "silu" | "swish" => Some(Activation::Silu),
            "mish" => Some(Activation::Mish),
            "gelu" => Some(Activation::Gelu),
            "relu" => Some(Activation::Relu),
            _ => None,
        }
    }

    /// Any shape → the same shape.
    pub fn forward(self, x: &Dual) -> Result<Dual> {
        let doing = "applying an activation";
        let value = self.value(&x.value).doing(doing)?;
        let tangent = match &x.tangent {
            Some(tangent) => Some(self.tangent(&x.value, tangent).doing(doing)?),
            None => None,
        };
        Ok(Dual { value, tangent })
    }

    fn value(self, x: &Tensor) -> std::result::Result<Tensor, TchError> {
        match self {
            Activation::Silu => x.f_silu(),
            Activation::Mish => x.f_mish(),
            Activation::Gelu => x.f_gelu("none"),
            Activation::GeluTanh => x.f_gelu("tanh"),
            Activation::Relu => x.f_relu(),
        }
    }

    fn tangent(self, x: &Tensor, dx: &Tensor) -> std::result::Result<Tensor, TchError> {
        let differentiable = x.requires_grad() || dx.requires_grad();
        match self {
            Activation::Silu if differentiable => silu_slope(x)?.f_mul(dx),
            Activation::Silu => x.f_silu_backward(dx),
            Activation::Mish if differentiable => mish_slope(x)?.f_mul(dx),
            Activation::Mish => x.f_mish_backward(dx),
            Activation::Gelu => x.f_gelu_backward(dx, "none"),
            Activation::GeluTanh => x.f_gelu_backward(dx, "tanh"),
            Activation::Relu => x.f_threshold_backward(dx, 0),
        }
    }
}

/// silu'(x) = σ (1 + x (1 − σ)),  σ = sigmoid(x)
fn silu_slope(x: &Tensor) -> std::result::Result<Tensor, TchError> {
    let sigmoid = x.f_sigmoid()?;
    // x (1 − σ) = x − x σ
    sigmoid.f_mul(&x.f_sub(&x.f_mul(&sigmoid)?)?.f_add_scalar(1.0)?)
}

/// mish'(x) = w + x σ (1 − w²),  w = tanh(softplus(x)),  σ = sigmoid(x)
fn mish_slope(x: &Tensor) -> std::result::Result<Tensor, TchError> {
    let w = x.f_softplus()?.f_tanh()?;
    let x_sigmoid = x.f_silu()?;
    // x σ (1 − w²) = x σ − x σ w²
    w.f_add(&x_sigmoid.f_sub(&x_sigmoid.f_mul(&w.f_square()?)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};
    use tch::Kind;

    const ALL: [Activation; 5] =
        [Activation::Silu, Activation::Mish, Activation::Gelu, Activation::GeluTanh, Activation::Relu];

    fn slope(activation: Activation, x: &Tensor) -> Tensor {
        activation.forward(&Dual::new(x.shallow_clone(), x.ones_like())).unwrap().tangent.unwrap()
    }

    #[test]
    fn tangents_are_derivatives() {
        let x = Tensor::linspace(-4.0, 4.05, 50, (Kind::Double, tch::Device::Cpu));
        for activation in ALL {
            let at = |x: Tensor| activation.forward(&Dual::constant(x)).unwrap().value;
            let h = 1e-5;
            let differences = (at(&x + h) - at(&x - h)) / (2.0 * h);
            let reason = "central differences: h²/6 times a third derivative below 2, and rounding 1e-16/h";
            assert_close(
                format!("{activation:?}"),
                &slope(activation, &x),
                &differences,
                Tolerance::absolute(2e-10, reason),
            );
        }
    }

    #[test]
    fn differentiable_tangents_are_the_fused_ones() {
        let x = Tensor::linspace(-30.0, 30.0, 101, (Kind::Double, tch::Device::Cpu));
        for activation in ALL {
            let fused = slope(activation, &x);
            let traced = slope(activation, &x.copy().set_requires_grad(true));
            let tolerance = Tolerance::absolute(3e-14, "a few roundings of numbers up to 30");
            assert_close(format!("{activation:?}"), &fused, &traced, tolerance);
        }
    }

    #[test]
    fn names_are_those_of_diffusers() {
        assert_eq!(Activation::from_name("SiLU"), Activation::from_name("swish"));
        assert_eq!(Activation::from_name("tanh"), None);
        assert!(Activation::NAMES.split(", ").all(|name| Activation::from_name(name).is_some()));
    }
}
