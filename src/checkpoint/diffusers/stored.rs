//! The weights of a model on disk: in one file, or spread over several that an index lists.

use super::shards::{Index, Parameters, read_file};
use crate::checkpoint::sets::Set;
use crate::checkpoint::{Request, sha256};
use crate::error::{Doing, Result};
use crate::tensor_file::{self, Dtype, Entry};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};

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

    /// The tensors of a set without their numbers: memory that nobody writes to takes no room.
    pub fn shapes(&self, set: &Set) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for entry in self.entries()? {
            let Some((own, dtype)) = set.names.get(&entry.name).zip(Dtype::from_name(&entry.dtype)) else { continue };
            let shape: Vec<i64> = entry.shape.iter().map(|&n| n as i64).collect();
            let tensor = Tensor::f_empty(&shape, (tensor_file::kind(dtype)?, Device::Cpu));
            tensors.insert(own.clone(), tensor.doing("making room for a parameter")?);
        }
        Ok(tensors)
    }

    /// A fingerprint of all files.
    pub fn sha256(&self) -> Result<String> {
        match self {
            Stored::File(path) => sha256(path),
            Stored::Shards(index) => index.sha256(),
        }
    }
}
