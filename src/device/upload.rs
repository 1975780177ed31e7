//! From the host's memory to the device: the one place where numbers enter it.

use crate::error::{Doing, Result};
use tch::{Device, Kind, Tensor};

const DOING: &str = "uploading numbers";

/// `values` as a tensor of this shape. To CUDA they go through pinned memory, so that the host does not wait.
pub fn upload(values: &[f32], shape: &[i64], device: Device, kind: Kind) -> Result<Tensor> {
    let host = Tensor::f_from_slice(values).and_then(|v| v.f_view(shape)).doing(DOING)?;
    to(&host, device, kind)
}

/// One number per row, shaped [B, 1, …] to broadcast over tensors of `rank` dimensions.
pub fn column(values: &[f64], rank: usize, device: Device, kind: Kind) -> Result<Tensor> {
    let mut shape = vec![1; rank.max(1)];
    shape[0] = values.len() as i64;
    let host = Tensor::f_from_slice(values).and_then(|v| v.f_view(&shape[..])).doing(DOING)?;
    to(&host, device, kind)
}

fn to(host: &Tensor, device: Device, kind: Kind) -> Result<Tensor> {
    let host = host.f_to_kind(kind).doing(DOING)?;
    match device {
        Device::Cpu => Ok(host),
        Device::Cuda(_) => {
            let pinned = host.f_pin_memory(device).doing(DOING)?;
            pinned.f_to_device_(device, kind, true, false).doing(DOING)
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
        assert_eq!(column(&[5.0, 6.0], 3, Device::Cpu, Kind::Float).unwrap().size(), [2, 1, 1]);
    }
}
