//! Writing checkpoints that say everything about themselves. A new format is one file here and one line in [`WRITERS`].

mod condition;
mod diffusers;
mod safetensors;
mod scheduler;
mod torchscript;

use super::{Declared, Sidecar};
use crate::error::{Doing, Error, Result};
use crate::network::{self, Network};
use crate::nn::Weights;
use ::safetensors::Dtype;
use ::safetensors::tensor::{TensorView, serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// One set of weights by name.
#[derive(Debug)]
pub struct WeightSet {
    /// `raw`, or `ema-` and the decay.
    pub name: String,
    /// The tensors, under the network's names.
    pub tensors: Vec<(String, Tensor)>,
}

/// What is written.
pub struct Content<'a> {
    /// Architecture, schedule, prediction type, map, shape and training.
    pub sidecar: Sidecar,
    /// All sets; the first is the default.
    pub sets: &'a [WeightSet],
    /// A few clean samples, [N, …] in float32.
    pub reference: Option<&'a Tensor>,
}

/// One format of the family.
pub struct Writer {
    /// As `--format` takes it.
    pub name: &'static str,
    /// Name of the file or folder.
    pub file_name: &'static str,
    /// Why this content cannot be written so, if it cannot.
    pub refuses: fn(&Value) -> Option<String>,
    /// Writes it: whole, or not at all.
    pub write: fn(&Content, &Path) -> Result<()>,
}

/// The family.
pub const WRITERS: &[Writer] = &[torchscript::WRITER, safetensors::WRITER, diffusers::WRITER];

impl Content<'_> {
    fn default_set(&self) -> Result<&WeightSet> {
        self.sets.first().ok_or_else(|| Error::mismatch("there are no weights to write", "Report this."))
    }

    fn architecture(&self) -> Result<&Value> {
        let missing = || Error::mismatch("there is no architecture to write", "Report this.");
        self.sidecar.architecture.as_ref().ok_or_else(missing)
    }

    /// The network with the default weights, on the CPU.
    fn network(&self) -> Result<Box<dyn Network>> {
        let mut tensors = std::collections::BTreeMap::new();
        for (name, tensor) in &self.default_set()?.tensors {
            let doing = "copying weights";
            let own = tensor.f_detach().and_then(|v| v.f_to_device(Device::Cpu)).doing(doing)?;
            let mut copy = Tensor::f_zeros(own.size(), (Kind::Float, Device::Cpu)).doing(doing)?;
            copy.f_copy_(&own).doing(doing)?;
            tensors.insert(name.clone(), copy);
        }
        let path = Path::new("the checkpoint");
        network::build(self.architecture()?, &Weights::new(tensors, path), path)
    }

    fn declared(&self) -> Result<Declared> {
        self.sidecar.clone().declared(Path::new("the checkpoint"))
    }
}

/// A safetensors file in memory: float64 as it is, all else in float32.
pub(crate) fn safetensors_bytes(tensors: &[(String, &Tensor)], metadata: HashMap<String, String>) -> Result<Vec<u8>> {
    let failed =
        |e: ::safetensors::SafeTensorError| Error::mismatch(format!("weights cannot be written ({e})"), "Report this.");
    let mut parts = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let shape: Vec<usize> = tensor.size().iter().map(|n| *n as usize).collect();
        let dtype = if tensor.kind() == Kind::Double { Dtype::F64 } else { Dtype::F32 };
        parts.push((name, dtype, shape, bytes(tensor)?));
    }
    let views = parts.iter().map(|(name, dtype, shape, bytes)| {
        TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views = views.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
    serialize(views, Some(metadata).filter(|metadata| !metadata.is_empty())).map_err(failed)
}

/// Little-endian float64 or float32.
fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let doing = "fetching weights";
    if tensor.kind() == Kind::Double {
        let flat = tensor.f_detach().and_then(|v| v.f_to_device(Device::Cpu)).and_then(|v| v.f_contiguous());
        let flat = flat.doing(doing)?;
        let mut values = vec![0f64; flat.numel()];
        flat.f_copy_data(&mut values, flat.numel()).doing(doing)?;
        return Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect());
    }
    let flat = tensor.f_detach().and_then(|v| v.f_to_kind(Kind::Float)).and_then(|v| v.f_to_device(Device::Cpu));
    let flat = flat.and_then(|v| v.f_contiguous()).doing(doing)?;
    let mut values = vec![0f32; flat.numel()];
    flat.f_copy_data(&mut values, flat.numel()).doing(doing)?;
    Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
}
