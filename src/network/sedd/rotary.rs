//! Rotary positions (Su et al., 2021, arXiv 2104.09864) along a sequence: channel k of the first half of a query or key and
//! channel k of its second half are turned by the angle p ω_k, ω_k = 10000^(−2k/d), where p is the place of the token.
//!
//! The rotation is linear, and the tangent goes through it. Values are not turned.

use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::nn::Weights;
use tch::{Kind, TchError, Tensor};

const THETA: f64 = 10000.0;

/// The frequencies.
#[derive(Debug)]
pub(super) struct Rotary {
    /// ω [d/2], in float32 at least.
    omega: Tensor,
    /// Whether they are computed, and no buffer of the file.
    computed: bool,
}

/// Cosines and sines [L, d] of every token and channel.
pub(super) struct Turns {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// Takes `inv_freq` [d/2], which trainers keep among the weights; computes it in float32, as they do, where it is left out.
    pub fn new(weights: &Weights, head_dim: i64) -> Result<Self> {
        if let Some(omega) = weights.optional("inv_freq", &[head_dim / 2])? {
            return Ok(Rotary { omega, computed: false });
        }
        let exponent = Tensor::f_arange_start_step(0, head_dim, 2, (Kind::Float, weights.device()));
        let omega =
            exponent.and_then(|x| Tensor::f_pow_scalar(THETA, &x.f_div_scalar(head_dim as f64)?)?.f_reciprocal());
        Ok(Rotary { omega: omega.doing(DOING)?, computed: true })
    }

    /// The frequencies, where they are no parameter.
    pub fn constant(&self) -> Option<Tensor> {
        self.computed.then(|| self.omega.shallow_clone())
    }

    /// For sequences of `length` tokens in the dtype `kind`.
    pub fn turns(&self, length: i64, kind: Kind) -> Result<Turns> {
        self.waves(length, kind).doing(DOING)
    }

    fn waves(&self, length: i64, kind: Kind) -> std::result::Result<Turns, TchError> {
        // Half precision tells few places apart.
        let wide = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        let places = Tensor::f_arange(length, (wide, self.omega.device()))?;
        let angles = places.f_outer(&self.omega.f_to_kind(wide)?)?;
        let both = |x: Tensor| Tensor::f_cat(&[&x, &x], 1)?.f_to_kind(kind);
        Ok(Turns { cos: both(angles.f_cos()?)?, sin: both(angles.f_sin()?)? })
    }
}

impl Turns {
    /// x [B, h, L, d] → the same shape: (x₁, x₂) → (x₁ cos φ − x₂ sin φ, x₂ cos φ + x₁ sin φ) of the halves x₁, x₂.
    pub fn rotate(&self, x: &Dual) -> Result<Dual> {
        x.linear(|x| {
            let half = x.size4()?.3 / 2;
            let turned = Tensor::f_cat(&[x.f_narrow(3, half, half)?.f_neg()?, x.f_narrow(3, 0, half)?], 3)?;
            x.f_mul(&self.cos)?.f_add(&turned.f_mul(&self.sin)?)
        })
    }
}

const DOING: &str = "computing rotary positions";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};
    use std::path::Path;
    use tch::Device;

    fn turns(length: i64) -> Turns {
        let nothing = Weights::new(Default::default(), Path::new("test"));
        Rotary::new(&nothing, 6).unwrap().turns(length, Kind::Double).unwrap()
    }

    #[test]
    fn products_of_queries_and_keys_depend_on_distances_alone() {
        tch::manual_seed(0);
        let turns = turns(9);
        let same = || Tensor::randn([1, 1, 1, 6], (Kind::Double, Device::Cpu)).expand([1, 1, 9, 6], false);
        let turned = || turns.rotate(&Dual::constant(same())).unwrap().value;
        let products = turned().matmul(&turned().transpose(2, 3)).squeeze();
        let tolerance = Tolerance::absolute(1e-13, "rounding of float64");
        assert_close(
            "products",
            &products.slice(0, 0, 8, 1).slice(1, 0, 8, 1),
            &products.slice(0, 1, 9, 1).slice(1, 1, 9, 1),
            tolerance,
        );
        assert!((products.double_value(&[0, 1]) - products.double_value(&[0, 2])).abs() > 1e-3);
    }

    #[test]
    fn halves_are_turned_against_each_other() {
        let x = Tensor::from_slice(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0, 0.0]).view([1, 1, 2, 6]);
        let turned = turns(2).rotate(&Dual::constant(x)).unwrap().value.get(0).get(0).get(1);
        // ω = 1, 10000^(−1/3), …: (1, 0) by one radian, and (0, 2) by ω₁.
        let angle = 1e4f64.powf(-1.0 / 3.0);
        let expected = [1f64.cos(), -2.0 * angle.sin(), 0.0, 1f64.sin(), 2.0 * angle.cos(), 0.0];
        let tolerance = Tolerance::absolute(1e-7, "frequencies are rounded to float32");
        assert_close("turned", &turned, &Tensor::from_slice(&expected), tolerance);
    }
}
