//! A `.safetensors` file with its description as `lipscope` in the header's metadata: the default weights under their
//! plain names, other sets under `raw/…` and the like, and the reference samples.

use super::weights::{choose, reference, tensors};
use super::{Checkpoint, Format, Request, Sidecar, Source, sha256};
use crate::error::{Error, Result};
use crate::network;
use crate::nn::Weights;
use crate::tensor_file;
use std::path::Path;

pub(super) const FORMAT: Format = Format {
    name: "safetensors",
    about: "a .safetensors file that lipscope train wrote, with its configuration in the metadata",
    recognises,
    declared: |source, _| sidecar(&tensor_file::entries(source.path)?.metadata, source.path)?.declared(source.path),
    open,
};

/// The key in the metadata.
pub(super) const KEY: &str = "lipscope";

fn recognises(source: &Source) -> bool {
    describes_itself(source)
}

/// Whether the metadata holds a description.
pub(super) fn describes_itself(source: &Source) -> bool {
    source.sniffed.as_ref().is_some_and(|sniffed| sniffed.format == tensor_file::Format::Safetensors)
        && tensor_file::entries(source.path).is_ok_and(|listing| listing.metadata.iter().any(|(key, _)| key == KEY))
}

fn sidecar(metadata: &[(String, String)], path: &Path) -> Result<Sidecar> {
    let text = metadata.iter().find(|(key, _)| key == KEY).map(|(_, text)| text.as_str()).unwrap_or_default();
    Sidecar::from_json(text, path)
}

fn open(source: &Source, request: &Request) -> Result<Checkpoint> {
    let path = source.path;
    let file = tensor_file::read(path)?;
    let mut sidecar = sidecar(&file.metadata, path)?;
    let Some(architecture) = sidecar.architecture.take() else {
        let next = "Save it with lipscope train, or as a TorchScript module or a diffusers folder.";
        return Err(Error::file(path, "its description names no architecture", next));
    };
    let declared = sidecar.declared(path)?;
    let default = declared.training.as_ref().map(|training| training.weights.as_str());
    let chosen = choose(declared.training.as_ref(), request.weights, path)?;
    let reference = reference(&file.arrays, path)?;
    let weights = declared.training.as_ref().and_then(|training| training.used(chosen));
    let tensors = tensors(file.arrays, chosen.filter(|_| chosen != default), request)?;
    let network = network::build(&architecture, &Weights::new(tensors, path), path)?;
    Ok(Checkpoint {
        path: path.into(),
        format: FORMAT.name.into(),
        sha256: Some(sha256(path)?),
        network,
        declared,
        reference,
        left_out: Vec::new(),
        weights,
        notes: Vec::new(),
    })
}
