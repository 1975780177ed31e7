//! Python pickles of tensors, read without Python: a stack machine that knows a few constructors and calls nothing.
//!
//! Opcodes and their meaning: CPython's `Lib/pickletools.py`. What torch.save writes: `torch/_utils.py` and
//! `torch/serialization.py`. A global that is not in [`rebuild`]'s short list becomes an opaque value: its name is kept,
//! nothing is imported or called.

mod literal;
mod machine;
mod nested;
mod object;
mod reader;
mod rebuild;
mod tensor_ref;
mod tree;

use super::source::Source;
use reader::Reader;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

pub(super) use rebuild::element_size;
pub(super) use tensor_ref::TensorRef;
pub use tree::Value;

/// What a pickle holds.
#[derive(Debug)]
pub(super) struct Pickled {
    /// The pickled object.
    pub tree: Value,
    /// Tensors by dotted name, in order; [`Value::Array`] counts them.
    pub tensors: Vec<(String, Arc<TensorRef>)>,
    /// Globals that were not understood, and therefore neither imported nor called.
    pub opaque: Vec<String>,
    /// Classes of the storages, by key.
    pub storages: HashMap<Arc<str>, Arc<str>>,
    /// Where the numbers of storages are that lie within the pickle itself, by key.
    pub places: HashMap<Arc<str>, Range<u64>>,
}

/// Longest pickle that is read: the numbers are elsewhere.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// Reads a pickle.
pub(super) fn parse(bytes: &[u8]) -> Result<Pickled, String> {
    parse_front(bytes).map(|(pickled, _)| pickled)
}

/// Reads the pickle at the beginning of `bytes`; says how long it is, too.
pub(super) fn parse_front(bytes: &[u8]) -> Result<(Pickled, usize), String> {
    let (pickled, length) = unfold(Reader::new(bytes))?;
    Ok((pickled, length as usize))
}

/// Reads the pickle that a file begins with.
pub(super) fn parse_file(source: &Source) -> Result<Pickled, String> {
    unfold(Reader::of_file(source)).map(|(pickled, _)| pickled)
}

fn unfold(reader: Reader) -> Result<(Pickled, u64), String> {
    let mut machine = machine::Machine::new(reader);
    let root = machine.run()?;
    let tree::Grown { tree, tensors, cut } = tree::grow(&machine, root)?;
    let (mut opaque, length) = (rebuild::unknown(&machine.globals), machine.reader.at());
    opaque.extend(cut);
    Ok((Pickled { tree, tensors, opaque, storages: machine.storages, places: machine.places }, length))
}

#[cfg(test)]
mod tests;
