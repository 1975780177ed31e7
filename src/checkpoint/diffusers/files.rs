//! The files of a folder.

use crate::error::{Doing, Error, Result};
use crate::tensor_file::{self, IntoTensor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Tensor};

/// A configuration is a few kilobytes.
const MOST_CONFIG_BYTES: u64 = 4 << 20;

/// The tensors of one file, on a device.
pub(super) fn read_file(path: &Path, device: Device) -> Result<BTreeMap<String, Tensor>> {
    let mut tensors = BTreeMap::new();
    for (name, array) in tensor_file::read(path)?.arrays {
        let tensor = array.into_tensor()?.f_to_device(device).doing("moving weights")?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// Reads a JSON file of moderate size.
pub(super) fn read_json(path: &Path) -> Result<Value> {
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, "opening", &e))?.len();
    if size > MOST_CONFIG_BYTES {
        return Err(Error::file(path, format!("{size} bytes are too many for a configuration"), "Check the file."));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "reading", &e))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::file(path, format!("it is not JSON ({e})"), "Save it again."))
}
