//! `.pt`: a TorchScript module f(x, t) that maps t itself, with the weights under the network's names, `lipscope.json`
//! and the other sets of weights among its extra files.

use super::condition::Condition;
use super::{Content, Writer, safetensors_bytes};
use crate::atomic;
use crate::checkpoint::torchscript::{EXTRA, OWN};
use crate::checkpoint::weights::REFERENCE;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::libtorch::{Named, trace};
use crate::network;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use tch::{Device, Kind, Tensor};

pub(super) const WRITER: Writer = Writer { name: "pt", file_name: "model.pt", refuses: |_| None, write };

fn write(content: &Content, path: &Path) -> Result<()> {
    let declared = content.declared()?;
    let condition = Condition::new(&declared)?;
    let network = content.network()?;
    let own = network.constants().into_iter().chain(condition.buffers());
    let own = own.map(|(name, tensor)| Named { name: format!("{OWN}.{name}"), tensor, buffer: true });
    let parameters = network.parameters().into_iter();
    let mut tensors: Vec<Named> = parameters
        .map(|(name, tensor)| Named { name, tensor: tensor.set_requires_grad(true), buffer: false })
        .collect();
    tensors.extend(own);
    let shape = declared.sample_shape.unwrap_or_default();
    // Two rows, since a single one could be taken for a constant by operations that broadcast.
    let full: Vec<i64> = std::iter::once(2).chain(shape).collect();
    let doing = "making an example for the trace";
    let x = Tensor::f_zeros(&full[..], (Kind::Float, Device::Cpu)).doing(doing)?;
    let t = Tensor::f_zeros([2], (Kind::Float, Device::Cpu)).doing(doing)?;
    let mut forward = |x: &Tensor, t: &Tensor| {
        let c = Dual::constant(condition.apply(t)?);
        let x = Dual::constant(x.shallow_clone());
        network.forward(&x, &c, &network::Condition::default()).map(|output| output.value)
    };
    let extra =
        [("lipscope.json".to_string(), content.sidecar.to_json()?.into_bytes()), (EXTRA.into(), others(content)?)];
    atomic::replace(path, |temporary| {
        // libtorch names the archive's root after the file, which should be the same whoever writes it.
        let folder = temporary.with_extension("folder.tmp");
        let named = folder.join(path.file_name().unwrap_or_default());
        let io = |e: std::io::Error| Error::io(path, "writing", &e);
        fs::create_dir_all(&folder).map_err(io)?;
        let written = trace(&network.architecture(), &tensors, [&x, &t], &mut forward, &named, &extra)
            .map_err(|e| full_disk(e, path))
            .and_then(|()| fs::rename(&named, temporary).map_err(io));
        let _ = fs::remove_dir_all(&folder);
        written
    })
}

/// libtorch's writer does not say why a write failed.
fn full_disk(error: Error, path: &Path) -> Error {
    match error {
        Error::Torch { message, .. } if message.contains("writ") => Error::file(
            path,
            format!("writing failed ({message})"),
            "Is the disk full, or the folder gone? Free some space; the file that was there before is untouched.",
        ),
        other => other,
    }
}

/// Every set but the default, and the reference samples.
fn others(content: &Content) -> Result<Vec<u8>> {
    let mut tensors: Vec<(String, &Tensor)> = Vec::new();
    for set in content.sets.iter().skip(1) {
        tensors.extend(set.tensors.iter().map(|(name, tensor)| (format!("{}/{name}", set.name), tensor)));
    }
    tensors.extend(content.reference.map(|samples| (REFERENCE.to_string(), samples)));
    safetensors_bytes(&tensors, HashMap::new())
}
