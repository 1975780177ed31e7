//! `torch.save` files and the weights of TorchScript modules: a zip archive of one pickle and a raw file per storage.

use super::archive::Archive;
use super::array::{Array, swap_bytes};
use super::pickle::{self, MAX_BYTES, Pickled};
use super::{Contents, Entry, Listing, damaged};
use crate::error::Result;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Names, shapes and types; the storages are not read.
pub(super) fn entries(path: &Path, root: &str, listing: &mut Listing) -> Result<()> {
    let pickled = unpickle(&mut Archive::open(path)?, path, root)?;
    let entry = |(name, tensor): (String, Arc<pickle::TensorRef>)| Entry {
        name,
        shape: tensor.view.shape.clone(),
        dtype: tensor.dtype.to_string(),
    };
    listing.entries = pickled.tensors.into_iter().map(entry).collect();
    listing.opaque = pickled.opaque;
    Ok(())
}

/// Reads all tensors, in the order of the pickle. Tensors that share a storage and show all of it share its memory.
pub(super) fn read(path: &Path, root: &str) -> Result<Contents> {
    let mut archive = Archive::open(path)?;
    let pickled = unpickle(&mut archive, path, root)?;
    let order = format!("{root}/byteorder");
    let big_endian = archive.has(&order) && archive.read(&order, 16)? == b"big";
    let mut storages: HashMap<Arc<str>, Arc<Vec<u8>>> = HashMap::new();
    let mut arrays = Vec::new();
    for (name, tensor) in pickled.tensors {
        let storage = match storages.get(&tensor.key) {
            Some(storage) => Arc::clone(storage),
            None => {
                let storage = Arc::new(archive.read(&format!("{root}/data/{}", tensor.key), u64::MAX)?);
                storages.insert(Arc::clone(&tensor.key), Arc::clone(&storage));
                storage
            }
        };
        let array = tensor
            .view
            .take(&storage, tensor.dtype, &mut archive.budget)
            .and_then(|array| if big_endian { little_endian(&array) } else { Ok(array) })
            .map_err(|problem| damaged(path, format!("its tensor {name} cannot be read: {problem}")))?;
        arrays.push((name, array));
    }
    Ok(Contents { arrays, opaque: pickled.opaque, tree: Some(pickled.tree), metadata: Vec::new() })
}

fn unpickle(archive: &mut Archive, path: &Path, root: &str) -> Result<Pickled> {
    let bytes = archive.read(&format!("{root}/data.pkl"), MAX_BYTES)?;
    pickle::parse(&bytes).map_err(|problem| damaged(path, problem))
}

fn little_endian(array: &Array) -> std::result::Result<Array, String> {
    let mut data = array.bytes().to_vec();
    swap_bytes(&mut data, array.dtype().size());
    Array::new(array.shape().to_vec(), array.dtype(), Arc::new(data))
}
