//! Between the host's memory and the device: the one place where samples enter it and leave it.

use crate::error::{Doing, Result};
use crate::libtorch::pinned;
use tch::{Device, Kind, Tensor};

const DOING: &str = "uploading numbers";

/// `values` as a tensor of this shape. To CUDA they go through pinned memory, so that the host does not wait.
pub fn upload(values: &[f32], shape: &[i64], device: Device, kind: Kind) -> Result<Tensor> {
    let host = Tensor::f_from_slice(values).and_then(|v| v.f_view(shape)).doing(DOING)?;
    to(&host, device, kind)
}

/// Class labels, or places of rows, as int64 `[B]`.
pub fn upload_integers(values: &[i64], device: Device) -> Result<Tensor> {
    to(&Tensor::f_from_slice(values).doing(DOING)?, device, Kind::Int64)
}

/// One number per row, `[B]`.
pub fn upload_numbers(values: &[f64], device: Device, kind: Kind) -> Result<Tensor> {
    to(&Tensor::f_from_slice(values).doing(DOING)?, device, kind)
}

/// One number per row, shaped [B, 1, …] to broadcast over tensors of `rank` dimensions.
pub(crate) fn column(values: &[f64], rank: usize, device: Device, kind: Kind) -> Result<Tensor> {
    let mut shape = vec![1; rank.max(1)];
    shape[0] = values.len() as i64;
    upload_numbers(values, device, kind)?.f_view(&shape[..]).doing(DOING)
}

/// Every row times its own factor; a factor that all rows share is no upload.
pub fn scale_rows(rows: &Tensor, factors: &[f64]) -> Result<Tensor> {
    let doing = "scaling rows";
    match factors.split_first() {
        Some((first, rest)) if rest.iter().all(|other| other == first) => rows.f_mul_scalar(*first).doing(doing),
        _ => rows.f_mul(&column(factors, rows.dim(), rows.device(), rows.kind())?).doing(doing),
    }
}

/// A tensor's numbers, row by row.
pub fn fetch(x: &Tensor) -> Result<Vec<f32>> {
    let doing = "fetching samples";
    let flat = x.f_to_kind(Kind::Float).and_then(|v| v.f_to_device(Device::Cpu)).and_then(|v| v.f_contiguous());
    let flat = flat.doing(doing)?;
    let mut rows = vec![0.0f32; flat.numel()];
    flat.f_copy_data(&mut rows, flat.numel()).doing(doing)?;
    Ok(rows)
}

/// Measured numbers, float64, in their order: the one place where they leave the device.
pub(crate) fn read_back(values: &Tensor) -> Result<Vec<f64>> {
    let doing = "reading numbers";
    let host = values.f_to_device(Device::Cpu).and_then(|v| v.f_contiguous()).doing(doing)?;
    let mut numbers = vec![0.0; host.numel()];
    host.f_copy_data(&mut numbers, host.numel()).doing(doing)?;
    Ok(numbers)
}

fn to(host: &Tensor, device: Device, kind: Kind) -> Result<Tensor> {
    let host = host.f_to_kind(kind).doing(DOING)?;
    match device {
        Device::Cpu => Ok(host),
        Device::Cuda(_) => {
            // libtorch keeps the pinned copy until the device has read it.
            pinned(&host)?.f_to_device_(device, kind, true, false).doing(DOING)
        }
        _ => host.f_to_device(device).doing(DOING),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_arrive_in_their_shape_and_dtype() {
        let tensor = upload(&[1.0, 2.0, 3.0, 4.0], &[2, 2], Device::Cpu, Kind::Double).unwrap();
        assert_eq!((tensor.size(), tensor.kind()), (vec![2, 2], Kind::Double));
        assert_eq!(tensor.double_value(&[1, 0]), 3.0);
    }

    #[test]
    fn rows_are_scaled_each_by_its_own_factor_or_all_by_one() {
        let rows = upload(&[1.0, 2.0, 3.0, 4.0], &[2, 1, 2], Device::Cpu, Kind::Float).unwrap();
        let scaled =
            |factors: [f64; 2]| Vec::<f32>::try_from(scale_rows(&rows, &factors).unwrap().flatten(0, -1)).unwrap();
        assert_eq!(scaled([2.0, -1.0]), [2.0, 4.0, -3.0, -4.0]);
        assert_eq!(scaled([3.0, 3.0]), [3.0, 6.0, 9.0, 12.0]);
    }
}
