//! `.npz` files: a zip archive of `.npy` files, stored or deflated.

use super::archive::Archive;
use super::contents::{Contents, Wanted};
use super::damage::damaged;
use super::listing::Entry;
use super::npy::{self, Header, MAX_HEADER};
use crate::error::Result;
use std::path::Path;

/// Names, shapes and types; only the headers are unpacked.
pub(super) fn entries(path: &Path) -> Result<Vec<Entry>> {
    let mut archive = Archive::open(path)?;
    let mut entries = Vec::new();
    for (file, name) in arrays(&archive) {
        let start = archive.start(&file, MAX_HEADER as u64)?;
        let header = Header::parse(&start).map_err(|e| damaged(path, format!("its array {name} is wrong: {e}")))?;
        entries.push(Entry { name, shape: header.shape, dtype: header.dtype.to_string() });
    }
    Ok(entries)
}

/// Reads the wanted arrays, in the order of the archive.
pub(super) fn read(path: &Path, wanted: Wanted) -> Result<Contents> {
    let mut archive = Archive::open(path)?;
    let mut contents = Contents::default();
    for (file, name) in arrays(&archive).into_iter().filter(|(_, name)| wanted(name)) {
        let bytes = archive.read(&file, u64::MAX)?;
        let array = npy::parse(bytes, &mut archive.budget)
            .map_err(|e| damaged(path, format!("its array {name} cannot be read: {e}")))?;
        contents.arrays.push((name, array));
    }
    Ok(contents)
}

/// Entry and array names; an entry `x0.npy` is the array `x0`.
fn arrays(archive: &Archive) -> Vec<(String, String)> {
    let name = |file: &str| file.strip_suffix(".npy").map(|name| (file.to_string(), name.to_string()));
    archive.names().filter_map(name).collect()
}
