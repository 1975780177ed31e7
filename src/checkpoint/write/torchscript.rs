//! `.pt`: a TorchScript module f(x, t) that maps t itself, with the weights under the network's names, `lipscope.json`
//! and the other sets of weights among its extra files.

use super::condition::Condition;
use super::{Content, Writer, safetensors_bytes};
use crate::atomic;
use crate::checkpoint::torchscript::{EXTRA, OWN};
use crate::checkpoint::weights::REFERENCE;
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::libtorch::{Named, trace};
use crate::network;
use std::collections::HashMap;
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
    let archive = trace(&network.architecture(), &tensors, [&x, &t], &mut forward, &extra)?;
    atomic::write(path, &archive)
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
