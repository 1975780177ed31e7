//! Rotary positions (Su et al., 2021, arXiv 2104.09864) over several axes, as FLUX has them: each pair of neighbouring
//! channels of a query or key is turned by the angle p ω_k, ω_k = 10000^(−2k/d_a), where p is the token's place on the axis a
//! that the pair belongs to.
//!
//! An image's token is at (0, row, column), a text's at (0, 0, 0), so that it is not turned. Angles are computed in float64,
//! their cosines and sines rounded to float32. The rotation is linear, and the tangent goes through it.

use crate::dual::Dual;
use crate::error::{Doing, Result};
use tch::{Device, Kind, TchError, Tensor};

const THETA: f64 = 10000.0;

/// Cosines and sines [S, d] of every token and channel.
#[derive(Debug)]
pub(super) struct Rope {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    /// For `text` tokens followed by those of a grid of [rows, columns], with so many channels for each axis.
    pub fn new(text: i64, grid: [i64; 2], axes: [i64; 3], device: Device) -> Result<Self> {
        let angles = angles(text, grid, axes, device).doing("computing rotary positions")?;
        let per_channel = |x: Tensor| x.f_repeat_interleave_self_int(2, 1, None)?.f_to_kind(Kind::Float);
        let wave =
            |x: std::result::Result<Tensor, TchError>| x.and_then(per_channel).doing("computing rotary positions");
        Ok(Rope { cos: wave(angles.f_cos())?, sin: wave(angles.f_sin())? })
    }

    /// x [B, h, S, d] → the same shape: (x₀, x₁) → (x₀ cos φ − x₁ sin φ, x₁ cos φ + x₀ sin φ) for every pair.
    pub fn rotate(&self, x: &Dual) -> Result<Dual> {
        x.linear(|x| {
            let pairs = x.f_unflatten(-1, [-1, 2])?;
            let (first, second) = (pairs.f_select(-1, 0)?, pairs.f_select(-1, 1)?);
            let turned = Tensor::f_stack(&[second.f_neg()?, first], -1)?.f_flatten(-2, -1)?;
            x.f_mul(&self.cos)?.f_add(&turned.f_mul(&self.sin)?)?.f_to_kind(x.kind())
        })
    }
}

/// Angles [S, d/2] in float64.
fn angles(
    text: i64,
    [rows, columns]: [i64; 2],
    axes: [i64; 3],
    device: Device,
) -> std::result::Result<Tensor, TchError> {
    let options = (Kind::Double, device);
    let along = |count: i64| Tensor::f_arange(count, options);
    let places = [
        Tensor::f_zeros([rows, columns], options)?,
        along(rows)?.f_unsqueeze(1)?.f_expand([rows, columns], false)?,
        along(columns)?.f_unsqueeze(0)?.f_expand([rows, columns], false)?,
    ];
    let mut parts = Vec::with_capacity(axes.len());
    for (places, channels) in places.iter().zip(axes) {
        let exponent = Tensor::f_arange_start_step(0, channels, 2, options)?.f_div_scalar(channels as f64)?;
        let omega = Tensor::f_pow_scalar(THETA, &exponent)?.f_reciprocal()?;
        parts.push(places.f_reshape([-1])?.f_outer(&omega)?);
    }
    let image = Tensor::f_cat(&parts, 1)?;
    let unturned = Tensor::f_zeros([text, image.size2()?.1], options)?;
    Tensor::f_cat(&[unturned, image], 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};

    #[test]
    fn products_of_queries_and_keys_depend_on_distances() {
        tch::manual_seed(0);
        let rope = Rope::new(2, [3, 4], [2, 4, 4], Device::Cpu).unwrap();
        let same = |x: Tensor| Dual::constant(x.expand([1, 1, 14, 10], false));
        let random = || same(Tensor::randn([1, 1, 1, 10], (Kind::Double, Device::Cpu)));
        let (query, key) = (rope.rotate(&random()).unwrap().value, rope.rotate(&random()).unwrap().value);
        let products = query.matmul(&key.transpose(2, 3)).squeeze();
        let product = |from: i64, to: i64| products.double_value(&[2 + from, 2 + to]);
        // From (0, 1) to (1, 3), and from (1, 0) to (2, 2): one row down, two columns on.
        assert!((product(1, 7) - product(4, 10)).abs() < 1e-6, "cosines are rounded to float32");
        assert!((product(1, 7) - product(1, 6)).abs() > 1e-3);
        let text = products.double_value(&[0, 1]) - products.double_value(&[1, 0]);
        assert!(text.abs() < 1e-14 && (products.double_value(&[0, 1]) - product(0, 0)).abs() < 1e-14);
    }

    #[test]
    fn rotations_keep_lengths() {
        tch::manual_seed(0);
        let rope = Rope::new(1, [2, 2], [2, 2, 2], Device::Cpu).unwrap();
        let x = Tensor::randn([2, 3, 5, 6], (Kind::Double, Device::Cpu));
        let norm = |x: &Tensor| x.square().sum_dim_intlist([-1i64].as_slice(), false, Kind::Double);
        let turned = rope.rotate(&Dual::constant(x.shallow_clone())).unwrap().value;
        assert_close("norms", &norm(&turned), &norm(&x), Tolerance::of_largest(1e-6, "cosines are rounded to float32"));
    }
}
