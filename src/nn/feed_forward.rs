//! The dense layers of a transformer block: x [.., C] → [.., C], through a wider hidden layer.
//!
//! y = W₂ a(W₁ x + b₁) + b₂, or with a gate (GEGLU, Shazeer, 2020): [h, g] = W₁ x + b₁, y = W₂ (h ∘ gelu(g)) + b₂.
//! The tangent goes through the same layers; that of h ∘ gelu(g) is ḣ ∘ gelu(g) + h ∘ gelu'(g) ∘ ġ.

use super::{Activation, Linear, Weights};
use crate::dual::Dual;
use crate::error::Result;

/// What stands between the two dense layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonlinearity {
    /// An activation of every hidden unit.
    Pointwise(Activation),
    /// Half of the first layer's outputs, gated by the GELU of the other half.
    Geglu,
}

/// Two dense layers with a nonlinearity between.
#[derive(Debug)]
pub struct FeedForward {
    first: Linear,
    last: Linear,
    nonlinearity: Nonlinearity,
}

impl FeedForward {
    /// Takes the two layers under `names`: [hidden, width], twice as many rows with a gate, and [width, hidden].
    pub fn new(
        weights: &Weights,
        names: [&str; 2],
        [width, hidden]: [i64; 2],
        nonlinearity: Nonlinearity,
    ) -> Result<Self> {
        let rows = if nonlinearity == Nonlinearity::Geglu { 2 * hidden } else { hidden };
        let first = Linear::new(&weights.at(names[0]), width, rows)?;
        Ok(FeedForward { first, last: Linear::new(&weights.at(names[1]), hidden, width)?, nonlinearity })
    }

    /// x [.., C] → the same shape.
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let h = self.first.forward(x)?;
        let h = match self.nonlinearity {
            Nonlinearity::Pointwise(activation) => activation.forward(&h)?,
            Nonlinearity::Geglu => geglu(&h)?,
        };
        self.last.forward(&h)
    }
}

/// h ∘ gelu(g) for x = [h, g] along the last axis.
fn geglu(x: &Dual) -> Result<Dual> {
    let half = x.value.size().last().copied().unwrap_or(0) / 2;
    let part = |start| x.linear(|x| x.f_narrow(-1, start, half));
    part(0)?.mul(&Activation::Gelu.forward(&part(half)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};
    use tch::{Device, Kind, Tensor};

    #[test]
    fn gated_tangent_is_the_derivative() {
        tch::manual_seed(0);
        let x = Tensor::randn([3, 8], (Kind::Double, Device::Cpu));
        let dx = x.randn_like();
        let at = |h: f64| geglu(&Dual::constant(&x + h * &dx)).unwrap().value;
        // h ∘ gelu(g), not gelu(h) ∘ g.
        let expected = x.narrow(1, 0, 4) * x.narrow(1, 4, 4).gelu("none");
        assert_close("value", &at(0.0), &expected, Tolerance::absolute(0.0, "the same kernels"));
        let h = 1e-5;
        let differences = (at(h) - at(-h)) / (2.0 * h);
        let tangent = geglu(&Dual::new(x.shallow_clone(), dx.shallow_clone())).unwrap().tangent.unwrap();
        let tolerance = Tolerance::absolute(
            1e-8,
            "central differences: h² times a third derivative of order 10, and rounding 1e-16/h",
        );
        assert_close("tangent", &tangent, &differences, tolerance);
    }
}
