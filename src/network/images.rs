//! What networks over images share: the check of their input, and the move to another device and dtype.

use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::nn::Weights;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// What x [B, C, H, W] must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Images {
    /// Channels C.
    pub channels: i64,
    /// The network's dtype.
    pub kind: Kind,
    /// H and W are multiples of this.
    pub multiple_of: i64,
}

impl Images {
    /// Refuses an x that is not so, and a t that is not `[B]`.
    pub fn check(&self, x: &Dual, t: &Dual) -> Result<()> {
        let (size, expected) = (x.value.size(), self.channels);
        let &[batch, channels, height, width] = size.as_slice() else {
            let problem = format!("x has shape {size:?}, where the network takes [batch, {expected}, height, width]");
            return Err(Error::mismatch(problem, "Check the shape of the input."));
        };
        if channels != expected {
            let problem = format!("x has {channels} channels, where the network takes {expected}");
            return Err(Error::mismatch(problem, "Check that the images and the network belong together."));
        }
        if x.value.kind() != self.kind {
            let problem = format!("x is {:?}, where the network computes in {:?}", x.value.kind(), self.kind);
            return Err(Error::mismatch(problem, "Convert one of them."));
        }
        let factor = self.multiple_of;
        if height < 1 || width < 1 || height % factor != 0 || width % factor != 0 {
            let problem = format!("x is {height}×{width}, but the network divides height and width by {factor}");
            return Err(Error::mismatch(problem, format!("Choose multiples of {factor}.")));
        }
        if t.value.size() != [batch] {
            let problem = format!("t has shape {:?}, where x holds {batch} samples", t.value.size());
            return Err(Error::mismatch(problem, "Give one timestep for each sample."));
        }
        Ok(())
    }
}

/// 2x − 1
pub(super) fn center(x: &Dual) -> Result<Dual> {
    let mut centered = x.linear(|x| x.f_mul_scalar(2.0))?;
    centered.value = centered.value.f_sub_scalar(1.0).doing("centring the input")?;
    Ok(centered)
}

/// The parameters on a device and in a dtype. Those whose names begin with one of `at_least_float` are never below
/// float32: frequencies, which multiply the timestep.
pub(super) fn moved(
    parameters: &[(String, Tensor)],
    device: Device,
    kind: Kind,
    at_least_float: &[&str],
) -> Result<Weights> {
    let mut tensors = std::collections::BTreeMap::new();
    for (name, tensor) in parameters {
        let keep = kind != Kind::Double && at_least_float.iter().any(|prefix| name.starts_with(prefix));
        let kind = if keep { Kind::Float } else { kind };
        let tensor = tensor.f_to_device(device).and_then(|t| t.f_to_kind(kind)).doing("moving the network")?;
        tensors.insert(name.clone(), tensor);
    }
    Ok(Weights::new(tensors, Path::new("the network")))
}

/// The parameters by name, as second handles on the same tensors.
pub(super) fn handles(parameters: &[(String, Tensor)]) -> Vec<(String, Tensor)> {
    parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
}

/// The dtype of the parameter `name`: that of a network whose file may mix them.
pub(super) fn kind_of(parameters: &[(String, Tensor)], name: &str) -> Kind {
    parameters.iter().find(|(known, _)| known == name).map_or(Kind::Float, |(_, tensor)| tensor.kind())
}
