//! What `torch.save` wrote before PyTorch 1.6: pickles of a magic number, a protocol version, the machine's byte order
//! and type sizes, the object and the storages' keys, one after the other; then for every key a count of elements and
//! the elements. `_legacy_save` of `torch/serialization.py`; counts and elements are little-endian on every machine
//! (`THPStorage_writeFileRaw` of `torch/csrc/serialization.cpp`).

use super::budget::Budget;
use super::contents::{Contents, Wanted};
use super::damage::damaged;
use super::listing::Listing;
use super::pickle::{self, MAX_BYTES, Pickled, Value};
use super::source::Source;
use super::tensors::{self, Storages};
use crate::error::Result;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The one version of the format that there was.
const PROTOCOL: i64 = 1001;
/// Read of a pickle at first; more where that is not all of it.
const FIRST_BYTES: u64 = 1 << 20;

/// Names, shapes and types; the storages are not read.
pub(super) fn entries(path: &Path, listing: &mut Listing) -> Result<()> {
    let (pickled, _) = object(&Source::open(path)?)?;
    tensors::list(pickled, listing);
    Ok(())
}

/// Reads the wanted tensors, in the order of the pickle.
pub(super) fn read(path: &Path, wanted: Wanted) -> Result<Contents> {
    let source = Source::open(path)?;
    let (mut pickled, at) = object(&source)?;
    let (keys, at) = unpickle(&source, at)?;
    let sizes = std::mem::take(&mut pickled.storages);
    let places = places(&source, &keys.tree, &sizes, at)?;
    tensors::read(pickled, &mut InARow::new(source, places), wanted, path)
}

/// The object that was saved, and where its pickle ends.
fn object(source: &Source) -> Result<(Pickled, u64)> {
    let (_magic, at) = unpickle(source, 0)?;
    let (protocol, at) = unpickle(source, at)?;
    if protocol.tree.as_i64() != Some(PROTOCOL) {
        let problem = format!("its protocol version is {:?}; {PROTOCOL} is read", protocol.tree);
        return Err(damaged(source.path(), problem));
    }
    let (_machine, at) = unpickle(source, at)?;
    unpickle(source, at)
}

/// The pickle that begins at byte `at`, and where it ends.
fn unpickle(source: &Source, at: u64) -> Result<(Pickled, u64)> {
    let there = source.bytes().saturating_sub(at).min(MAX_BYTES);
    let mut count = FIRST_BYTES.min(there);
    loop {
        match pickle::parse_front(&source.read(at, count)?) {
            Ok((pickled, length)) => return Ok((pickled, at + length as u64)),
            Err(_) if count < there => count = count.saturating_mul(8).min(there),
            Err(problem) => return Err(damaged(source.path(), problem)),
        }
    }
}

type Places = HashMap<Arc<str>, Range<u64>>;

/// Where every storage's bytes are, from the counts before them.
fn places(source: &Source, keys: &Value, sizes: &HashMap<Arc<str>, Arc<str>>, mut at: u64) -> Result<Places> {
    let wrong = |problem: String| damaged(source.path(), problem);
    let Value::List(keys) = keys else { return Err(wrong("its storages have no list of keys".into())) };
    let mut places = HashMap::new();
    for key in keys {
        let Value::Str(key) = key else { return Err(wrong("a key of its storages is not text".into())) };
        let class = sizes.get(key).ok_or_else(|| wrong(format!("it has a storage {key} that no tensor is made of")))?;
        let size = pickle::element_size(class)
            .ok_or_else(|| wrong(format!("its storage {key} is a {class}, whose length in bytes is not known")))?;
        let count = source.read(at, 8)?;
        let count = count.as_chunks().0.first().map_or(0, |&bytes| u64::from_le_bytes(bytes));
        at += 8;
        let end = count.checked_mul(size as u64).and_then(|bytes| at.checked_add(bytes));
        let Some(end) = end.filter(|end| *end <= source.bytes()) else {
            let held = source.bytes() - at;
            return Err(wrong(format!(
                "its storage {key} claims {count} elements of {size} bytes, and {held} bytes are left"
            )));
        };
        if places.insert(Arc::clone(key), at..end).is_some() {
            return Err(wrong(format!("it has two storages {key}")));
        }
        at = end;
    }
    Ok(places)
}

/// Storages that follow each other in a file.
pub(super) struct InARow {
    source: Source,
    places: Places,
    budget: Budget,
}

impl InARow {
    /// Over `source`, with the place of each by key.
    pub fn new(source: Source, places: Places) -> Self {
        let budget = Budget::for_file(source.bytes());
        InARow { source, places, budget }
    }

    fn place(&self, key: &str) -> Result<&Range<u64>> {
        self.places.get(key).ok_or_else(|| damaged(self.source.path(), format!("it has no storage {key}")))
    }
}

impl Storages for InARow {
    fn size(&self, key: &str) -> Result<u64> {
        self.place(key).map(|place| place.end - place.start)
    }

    fn read(&mut self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let start = self.place(key)?.start;
        self.source.read(start + range.start, range.end - range.start)
    }

    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn is_big_endian(&self) -> bool {
        false
    }
}
