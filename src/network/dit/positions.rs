//! Sines and cosines of the place of a patch, as diffusers computes them for DiT: [1, G², C] for a G × G grid.
//!
//! With ω_k = 10000^(−k/(C/4)), k < C/4, the patch in row r and column c has sin(c ω), cos(c ω), sin(r ω), cos(r ω).
//! Computed in float64 and rounded to float32, as there.

use tch::{Device, Kind, TchError, Tensor};

/// The embedding of every patch, row by row, in float32. 4 must divide `channels`.
pub(super) fn positions(grid: i64, channels: i64, device: Device) -> Result<Tensor, TchError> {
    let (kind, quarter) = (Kind::Double, channels / 4);
    let exponent = Tensor::f_arange(quarter, (kind, device))?.f_div_scalar(quarter as f64)?;
    let omega = Tensor::f_pow_scalar(10000.0, &exponent)?.f_reciprocal()?;
    // [G, C/2]
    let phase = Tensor::f_arange(grid, (kind, device))?.f_outer(&omega)?;
    let waves = Tensor::f_cat(&[phase.f_sin()?, phase.f_cos()?], 1)?;
    let columns = waves.f_unsqueeze(0)?.f_expand([grid, grid, 2 * quarter], false)?;
    let rows = waves.f_unsqueeze(1)?.f_expand([grid, grid, 2 * quarter], false)?;
    Tensor::f_cat(&[columns, rows], 2)?.f_reshape([1, grid * grid, channels])?.f_to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_before_rows() {
        let embedding = positions(3, 8, Device::Cpu).unwrap().double_value(&[0, 5, 1]);
        // The sixth patch is in row 1, column 2; the second frequency is 10000^(−1/2).
        assert!((embedding - (2.0f64 * 0.01).sin()).abs() < 1e-8);
        let embedding = positions(3, 8, Device::Cpu).unwrap().double_value(&[0, 5, 6]);
        assert!((embedding - 1f64.cos()).abs() < 1e-7);
    }
}
