//! A TorchScript module f(x, t), with `lipscope.json` among its extra files or without.

use super::{Checkpoint, Declared, Format, Source, sha256};
use crate::error::Result;
use crate::network::torchscript::TorchScript;
use crate::tensor_file;
use tch::Device;

pub(super) const FORMAT: Format = Format {
    name: "torchscript",
    about: "a TorchScript module f(x, t), as torch.jit.save writes it",
    recognises,
    open,
};

fn recognises(source: &Source) -> bool {
    source.sniffed.as_ref().is_some_and(|sniffed| sniffed.format == tensor_file::Format::TorchScript)
}

fn open(source: &Source, device: Device) -> Result<Checkpoint> {
    let sidecar = source.sniffed.as_ref().and_then(|sniffed| sniffed.lipscope_json.as_deref());
    let declared = match sidecar {
        Some(text) => Declared::from_json(text, source.path)?,
        None => Declared::default(),
    };
    Ok(Checkpoint {
        path: source.path.to_path_buf(),
        format: FORMAT.name,
        sha256: sha256(source.path)?,
        network: Box::new(TorchScript::load(source.path, device)?),
        declared,
    })
}
