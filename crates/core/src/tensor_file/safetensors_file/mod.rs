//! Safetensors: a JSON header of names, types, shapes and byte ranges, then the numbers.

mod header;

use super::array::Array;
use super::contents::{Contents, Take, Wanted};
use super::damage::damaged;
use super::listing::{Entry, Listing};
use super::source::Source;
use crate::error::Result;
use header::{Described, Header};
use std::path::Path;
use std::sync::Arc;

/// The format's own bound on its header.
const MAX_HEADER: u64 = 100_000_000;

/// Gives `count` bytes from byte `at` on, of a file or of what is one within another.
pub(super) type ReadAt<'a> = &'a mut dyn FnMut(u64, u64) -> Result<Vec<u8>>;

/// Names, shapes and types; the numbers are not read.
pub(super) fn entries(path: &Path, listing: &mut Listing) -> Result<()> {
    let source = Source::open(path)?;
    let (header, _) = open(&mut |at, count| source.read(at, count), source.bytes(), path)?;
    let entry = |t: Described| Entry { name: t.name, shape: t.shape, dtype: t.type_name };
    listing.entries = header.tensors.into_iter().map(entry).collect();
    listing.metadata = header.metadata;
    Ok(())
}

/// Reads the wanted arrays, in the order of the file.
pub(super) fn read(path: &Path, wanted: Wanted) -> Result<Contents> {
    let source = Source::open(path)?;
    read_at(&mut |at, count| source.read(at, count), source.bytes(), path, wanted)
}

/// Reads the wanted arrays of `bytes` bytes in this format, which are in the file at `path`.
pub(super) fn read_at(read: ReadAt, bytes: u64, path: &Path, wanted: Wanted) -> Result<Contents> {
    let (header, data_start) = open(read, bytes, path)?;
    let mut arrays = Vec::new();
    let rest = each_of(header, wanted, &mut |tensor| {
        let array = tensor.array(read(data_start + tensor.start, tensor.end - tensor.start)?, path)?;
        arrays.push((tensor.name, array));
        Ok(())
    })?;
    Ok(Contents { arrays, ..rest })
}

/// Hands over the wanted arrays one by one, all read into the same memory; gives what else the file holds.
pub(super) fn each(path: &Path, wanted: Wanted, take: Take) -> Result<Contents> {
    let source = Source::open(path)?;
    let (header, data_start) = open(&mut |at, count| source.read(at, count), source.bytes(), path)?;
    let sizes = header.tensors.iter().filter(|tensor| wanted(&tensor.name)).map(|tensor| tensor.end - tensor.start);
    let largest = sizes.max().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
    let mut buffer = Vec::new();
    // So that it never moves; where there is not so much memory, reading says so.
    let _ = buffer.try_reserve_exact(largest);
    each_of(header, wanted, &mut |tensor| {
        let (at, count) = (data_start + tensor.start, tensor.end - tensor.start);
        let array = tensor.array(source.read_into(at, count, std::mem::take(&mut buffer))?, path)?;
        take(&tensor.name, &array)?;
        buffer = array.into_bytes();
        Ok(())
    })
}

/// Calls `read` for every array that is wanted; gives what else the header says.
fn each_of(header: Header, wanted: Wanted, read: &mut dyn FnMut(Described) -> Result<()>) -> Result<Contents> {
    let mut contents = Contents { metadata: header.metadata, ..Contents::default() };
    for tensor in header.tensors {
        if tensor.dtype.is_none() {
            contents.opaque.push(format!("{} ({})", tensor.name, tensor.type_name));
        } else if wanted(&tensor.name) {
            read(tensor)?;
        }
    }
    Ok(contents)
}

impl Described {
    /// The array of these bytes.
    fn array(&self, data: Vec<u8>, path: &Path) -> Result<Array> {
        let dtype = self.dtype.ok_or_else(|| damaged(path, format!("its array {} has an unknown type", self.name)))?;
        Array::new(self.shape.clone(), dtype, Arc::new(data))
            .map_err(|e| damaged(path, format!("its array {} is wrong: {e}", self.name)))
    }
}

/// The header, and where the numbers begin.
fn open(read: ReadAt, bytes: u64, path: &Path) -> Result<(Header, u64)> {
    if bytes < 8 {
        return Err(damaged(path, "it ends within the length of its header"));
    }
    let length = read(0, 8)?;
    let length = length.as_chunks().0.first().map_or(0, |&n| u64::from_le_bytes(n));
    if length > MAX_HEADER || length > bytes - 8 {
        return Err(damaged(path, format!("its header claims {length} bytes, in a file of {bytes} bytes")));
    }
    let text = read(8, length)?;
    let header = header::parse(&text, bytes - 8 - length).map_err(|problem| damaged(path, problem))?;
    Ok((header, 8 + length))
}
