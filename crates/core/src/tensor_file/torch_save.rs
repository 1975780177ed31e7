//! `torch.save` files and the weights of TorchScript modules: a zip archive of one pickle and a raw file per storage.

use super::archive::Archive;
use super::budget::Budget;
use super::contents::{Contents, Wanted};
use super::damage::damaged;
use super::listing::Listing;
use super::pickle::{self, MAX_BYTES, Pickled};
use super::tensors::{self, Storages};
use crate::error::Result;
use std::ops::Range;
use std::path::Path;

/// Names, shapes and types; the storages are not read.
pub(super) fn entries(path: &Path, root: &str, listing: &mut Listing) -> Result<()> {
    tensors::list(unpickle(&mut Archive::open(path)?, path, root)?, listing);
    Ok(())
}

/// Reads the wanted tensors, in the order of the pickle.
pub(super) fn read(path: &Path, root: &str, wanted: Wanted) -> Result<Contents> {
    let mut archive = Archive::open(path)?;
    let pickled = unpickle(&mut archive, path, root)?;
    let order = format!("{root}/byteorder");
    let big_endian = archive.has(&order) && archive.read(&order, 16)? == b"big";
    tensors::read(pickled, &mut Zipped { archive, root, big_endian }, wanted, path)
}

fn unpickle(archive: &mut Archive, path: &Path, root: &str) -> Result<Pickled> {
    let bytes = archive.read(&format!("{root}/data.pkl"), MAX_BYTES)?;
    pickle::parse(&bytes).map_err(|problem| damaged(path, problem))
}

/// Storages as entries of an archive.
struct Zipped<'a> {
    archive: Archive,
    root: &'a str,
    big_endian: bool,
}

impl Zipped<'_> {
    fn entry(&self, key: &str) -> String {
        format!("{}/data/{key}", self.root)
    }
}

impl Storages for Zipped<'_> {
    fn size(&self, key: &str) -> Result<u64> {
        self.archive.size(&self.entry(key))
    }

    fn read(&mut self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let entry = self.entry(key);
        self.archive.read_range(&entry, range)
    }

    fn budget(&mut self) -> &mut Budget {
        &mut self.archive.budget
    }

    fn is_big_endian(&self) -> bool {
        self.big_endian
    }
}
