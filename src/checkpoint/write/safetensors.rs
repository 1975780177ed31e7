//! `.safetensors`: the default weights under plain names, other sets under `NAME/…`, the description as metadata.

use super::{Content, Writer, safetensors_bytes};
use crate::atomic;
use crate::checkpoint::safetensors::KEY;
use crate::checkpoint::weights::REFERENCE;
use crate::error::Result;
use std::path::Path;
use tch::Tensor;

pub(super) const WRITER: Writer =
    Writer { name: "safetensors", file_name: "model.safetensors", refuses: |_| None, write };

fn write(content: &Content, path: &Path) -> Result<()> {
    let mut tensors: Vec<(String, &Tensor)> = Vec::new();
    for (i, set) in content.sets.iter().enumerate() {
        let full = |name: &String| if i == 0 { name.clone() } else { format!("{}/{name}", set.name) };
        tensors.extend(set.tensors.iter().map(|(name, tensor)| (full(name), tensor)));
    }
    tensors.extend(content.reference.map(|samples| (REFERENCE.to_string(), samples)));
    let metadata = [(KEY.to_string(), content.sidecar.to_json()?)].into();
    atomic::write(path, &safetensors_bytes(&tensors, metadata)?)
}
