//! From a pickle's tensors, which are views of storages, to arrays: only what is wanted is read, and storages that are
//! shown as a whole are shared, not copied.

use super::array::{Array, Dtype, byte_len, swap_bytes};
use super::budget::Budget;
use super::contents::{Contents, Wanted};
use super::damage::damaged;
use super::layout::View;
use super::listing::{Entry, Listing};
use super::pickle::{Pickled, TensorRef};
use crate::error::Result;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

type Checked<T> = std::result::Result<T, String>;

/// Where the bytes of storages are.
pub(super) trait Storages {
    /// Length of a storage in bytes.
    fn size(&self, key: &str) -> Result<u64>;
    /// Bytes of a storage.
    fn read(&mut self, key: &str, range: Range<u64>) -> Result<Vec<u8>>;
    /// What arrays count against.
    fn budget(&mut self) -> &mut Budget;
    /// Whether numbers begin with their most significant byte.
    fn is_big_endian(&self) -> bool;
}

/// Names, shapes and types, and what else the pickle holds; no storage is read.
pub(super) fn list(pickled: Pickled, listing: &mut Listing) {
    let entry = |(name, tensor): (String, Arc<TensorRef>)| Entry {
        name,
        shape: tensor.view.shape.clone(),
        dtype: tensor.type_name.to_string(),
    };
    listing.entries = pickled.tensors.into_iter().map(entry).collect();
    listing.opaque = pickled.opaque;
    listing.tree = Some(pickled.tree);
}

/// Reads the wanted tensors, in the order of the pickle.
pub(super) fn read(pickled: Pickled, storages: &mut dyn Storages, wanted: Wanted, path: &Path) -> Result<Contents> {
    let wanted = pickled.tensors.into_iter().filter(|(name, _)| wanted(name));
    let (chosen, others): (Vec<_>, Vec<_>) = wanted.partition(|(_, tensor)| tensor.dtype.is_some());
    let mut opaque = pickled.opaque;
    opaque.extend(others.into_iter().map(|(name, tensor)| format!("{name} ({})", tensor.type_name)));
    let mut names = HashSet::new();
    if let Some((name, _)) = chosen.iter().find(|(name, _)| !names.insert(name.as_str())) {
        return Err(damaged(path, format!("two of its tensors are called {name}, and which counts is open")));
    }
    // One storage after the other, so that one which has to be held as a whole is held alone.
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (i, (_, tensor)) in chosen.iter().enumerate() {
        let place = *places.entry(&tensor.key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(i),
            None => groups.push(vec![i]),
        }
    }
    let mut arrays: Vec<Option<Array>> = vec![None; chosen.len()];
    for group in groups {
        let mut group_reader = Group::default();
        for i in group {
            let (Some((name, tensor)), Some(array)) = (chosen.get(i), arrays.get_mut(i)) else { continue };
            let read = group_reader.read(tensor, storages)?;
            *array = Some(read.map_err(|e| damaged(path, format!("its tensor {name} cannot be read: {e}")))?);
        }
    }
    let arrays = chosen.into_iter().zip(arrays).filter_map(|((name, _), array)| Some((name, array?))).collect();
    Ok(Contents { arrays, opaque, tree: Some(pickled.tree), metadata: Vec::new() })
}

/// What was read of one storage.
#[derive(Default)]
struct Group {
    parts: HashMap<Range<u64>, Arc<Vec<u8>>>,
}

impl Group {
    fn read(&mut self, tensor: &TensorRef, storages: &mut dyn Storages) -> Result<Checked<Array>> {
        let Some(dtype) = tensor.dtype else { return Ok(Err(format!("it is of {}", tensor.type_name))) };
        let size = storages.size(&tensor.key)?;
        let (range, view) = match needed(&tensor.view, dtype, size) {
            Ok(needed) => needed,
            Err(problem) => return Ok(Err(problem)),
        };
        let part = match self.parts.get(&range) {
            Some(part) => Arc::clone(part),
            None => {
                let part = Arc::new(storages.read(&tensor.key, range.clone())?);
                self.parts.insert(range, Arc::clone(&part));
                part
            }
        };
        let array = view.take(&part, dtype, storages.budget());
        let big_endian = storages.is_big_endian();
        Ok(array.and_then(|array| if big_endian { little_endian(&array) } else { Ok(array) }))
    }
}

/// The bytes of a storage of `size` bytes that a tensor needs, and its view of them: those that it shows where they lie
/// one after the other, else the whole storage.
fn needed(view: &View, dtype: Dtype, size: u64) -> Checked<(Range<u64>, View)> {
    let width = dtype.size();
    view.check(usize::try_from(size).unwrap_or(usize::MAX) / width)?;
    let bytes = byte_len(&view.shape, dtype)? as u64;
    if bytes > 0 && !view.is_dense() {
        return Ok((0..size, view.clone()));
    }
    // Within the storage, as was checked; an empty tensor may be said to begin anywhere.
    let start = if bytes == 0 { 0 } else { (view.offset * width) as u64 };
    Ok((start..start + bytes, View { offset: 0, ..view.clone() }))
}

fn little_endian(array: &Array) -> Checked<Array> {
    let mut data = array.bytes().to_vec();
    swap_bytes(&mut data, array.dtype().size());
    Array::new(array.shape().to_vec(), array.dtype(), Arc::new(data))
}
