//! A TorchScript module f(x, t), with `lipscope.json` among its extra files or without. Where that names an architecture
//! the weights are taken by name into a native network, and nothing of the module runs.

use super::weights::{choose, reference, tensors};
use super::{Checkpoint, Declared, Format, Request, Sidecar, Source, sha256};
use crate::error::{Error, Result};
use crate::network::torchscript::{Signature, TorchScript};
use crate::network::{self, Network};
use crate::nn::Weights;
use crate::tensor_file;
use serde_json::Value;

pub(super) const FORMAT: Format = Format {
    name: "torchscript",
    about: "a TorchScript module f(x, t), as torch.jit.save writes it",
    recognises,
    declared,
    open,
};

/// The extra file with the other sets of weights and the reference samples.
pub(super) const EXTRA: &str = "lipscope.safetensors";

/// The submodule with what the trace needs and the network does not.
pub(super) const OWN: &str = "lipscope";

fn recognises(source: &Source) -> bool {
    source.sniffed.as_ref().is_some_and(|sniffed| sniffed.format == tensor_file::Format::TorchScript)
}

fn sidecar(source: &Source) -> Result<Sidecar> {
    let text = source.sniffed.as_ref().and_then(|sniffed| sniffed.lipscope_json.as_deref());
    text.map_or_else(|| Ok(Sidecar::default()), |text| Sidecar::from_json(text, source.path))
}

fn declared(source: &Source, request: &Request) -> Result<Declared> {
    let sidecar = sidecar(source)?;
    let foreign = sidecar.architecture.is_none();
    let declared = sidecar.declared(source.path)?;
    let takes = if foreign { Some(Signature::new(request.inputs, request.output)?.takes()) } else { None };
    Ok(Declared { takes: declared.takes.or(takes), ..declared })
}

fn open(source: &Source, request: &Request) -> Result<Checkpoint> {
    let path = source.path;
    let mut sidecar = sidecar(source)?;
    let architecture = sidecar.architecture.take();
    let declared = sidecar.declared(path)?;
    let checkpoint = |network, declared: Declared, reference| -> Result<Checkpoint> {
        let chosen = choose(declared.training.as_ref(), request.weights, path)?;
        let weights = declared.training.as_ref().and_then(|training| training.used(chosen));
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
    };
    match architecture {
        Some(architecture) => {
            let (network, extra) = native(source, &architecture, &declared, request)?;
            let reference = extra.as_ref().map(|extra| reference(&extra.arrays, path)).transpose()?.flatten();
            checkpoint(network, declared, reference)
        }
        None => {
            let signature = Signature::new(request.inputs, request.output)?;
            checkpoint(Box::new(TorchScript::load(path, request.device, signature)?), declared, None)
        }
    }
}

type Native = (Box<dyn Network>, Option<tensor_file::NamedArrays>);

fn native(source: &Source, architecture: &Value, declared: &Declared, request: &Request) -> Result<Native> {
    let path = source.path;
    let training = declared.training.as_ref();
    let chosen = choose(training, request.weights, path)?;
    let extra = tensor_file::read_extra(path, EXTRA)?;
    let tensors = match (chosen, training) {
        (Some(set), Some(training)) if set != training.weights => match &extra {
            Some(extra) => tensors(extra.arrays.clone(), Some(set), request)?,
            None => {
                return Err(Error::file(path, format!("its weights `{set}` are not there"), "Leave out --weights."));
            }
        },
        _ => {
            let mut arrays = tensor_file::read(path)?.arrays;
            arrays.retain(|(name, _)| !name.starts_with(&format!("{OWN}.")));
            tensors(arrays, None, request)?
        }
    };
    Ok((network::build(architecture, &Weights::new(tensors, path), path)?, extra))
}
