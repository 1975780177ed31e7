//! The weights of a model on disk: in one file, or spread over several that an index lists.

use super::shards::{Index, Parameters, read_file};
use crate::checkpoint::sets::Set;
use crate::checkpoint::{Request, sha256};
use crate::error::Result;
use crate::tensor_file::{self, Entry};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::Tensor;

pub(super) enum Stored {
    File(PathBuf),
    Shards(Index),
}

impl Stored {
    /// The file, or what the index at `path` lists.
    pub fn open(path: &Path) -> Result<Self> {
        let is_index = path.extension().is_some_and(|extension| extension == "json");
        Ok(if is_index { Stored::Shards(Index::read(path)?) } else { Stored::File(path.into()) })
    }

    /// The file that was found, for messages.
    pub fn path(&self) -> &Path {
        match self {
            Stored::File(path) => path,
            Stored::Shards(index) => &index.path,
        }
    }

    /// Names and shapes.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        match self {
            Stored::File(path) => Ok(tensor_file::entries(path)?.entries),
            Stored::Shards(index) => index.entries(),
        }
    }

    /// The tensors of a set.
    pub fn read(&self, set: &Set, request: &Request) -> Result<Parameters> {
        let wanted = |name: &str| set.names.contains_key(name);
        let (tensors, left_out) = match self {
            Stored::File(path) => read_file(path, &wanted, request)?,
            Stored::Shards(index) => index.tensors(&wanted, request)?,
        };
        let own = |(name, tensor)| Some((set.names.get(&name)?.clone(), tensor));
        Ok((tensors.into_iter().filter_map(own).collect(), left_out))
    }

    /// The tensors of a set without their numbers.
    pub fn shapes(&self, set: &Set) -> Result<BTreeMap<String, Tensor>> {
        set.without_numbers(&self.entries()?)
    }

    /// A fingerprint of all files.
    pub fn sha256(&self) -> Result<String> {
        match self {
            Stored::File(path) => sha256(path),
            Stored::Shards(index) => index.sha256(),
        }
    }
}
