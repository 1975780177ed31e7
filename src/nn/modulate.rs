//! Scale and shift that another part of the network computes: y = x (1 + scale) + shift (FiLM, Perez et al., 2018;
//! adaLN, Peebles & Xie, 2023). Tangent: ẏ = ẋ (1 + scale) + x ∂scale + ∂shift.

use crate::dual::Dual;
use crate::error::{Doing, Error, Result};

/// x (1 + scale) + shift, broadcasting.
pub fn modulate(x: &Dual, scale: &Dual, shift: &Dual) -> Result<Dual> {
    let factor = scale.value.f_add_scalar(1.0).doing("modulating activations")?;
    let factor = Dual { value: factor, tangent: scale.shallow_clone().tangent };
    x.mul(&factor)?.add(shift)
}

/// What a layer computed for N places at once, [B, N·C], as N parts [B, 1, C], to be broadcast over tokens.
pub(crate) fn chunks<const N: usize>(x: &Dual) -> Result<[Dual; N]> {
    let width = x.value.size().last().copied().unwrap_or(0) / N as i64;
    let mut parts = Vec::with_capacity(N);
    for i in 0..N as i64 {
        parts.push(x.linear(|x| x.f_narrow(1, i * width, width)?.f_unsqueeze(1))?);
    }
    parts.try_into().map_err(|_| Error::mismatch("a modulation has lost parts", "Report this."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};
    use tch::{Device, Kind, Tensor};

    #[test]
    fn tangent_is_the_derivative_whichever_parts_have_one() {
        tch::manual_seed(0);
        let random = |size: &[i64]| Tensor::randn(size, (Kind::Double, Device::Cpu));
        let values = [random(&[2, 3, 4]), random(&[2, 1, 4]), random(&[2, 1, 4])];
        let tangents = [random(&[2, 3, 4]), random(&[2, 1, 4]), random(&[2, 1, 4])];
        for moving in 1..8 {
            let moves = |i: usize| moving >> i & 1 == 1;
            let at = |h: f64| {
                let [x, scale, shift] = [0, 1, 2].map(|i| {
                    let step = if moves(i) { h } else { 0.0 };
                    Dual::constant(&values[i] + step * &tangents[i])
                });
                modulate(&x, &scale, &shift).unwrap().value
            };
            let [x, scale, shift] = [0, 1, 2].map(|i| Dual {
                value: values[i].shallow_clone(),
                tangent: moves(i).then(|| tangents[i].shallow_clone()),
            });
            let tangent = modulate(&x, &scale, &shift).unwrap().tangent.unwrap();
            let differences = at(0.5) - at(-0.5);
            let reason = "the product is bilinear, so central differences are exact up to rounding";
            assert_close("tangent", &tangent, &differences, Tolerance::absolute(1e-14, reason));
        }
    }
}
