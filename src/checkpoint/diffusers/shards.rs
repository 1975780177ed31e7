//! Weights spread over several files, as diffusers saves large models: an index, {"weight_map": {parameter: file}}.
//!
//! An index is not trusted: it can only name files of its own folder. What the cache of huggingface_hub keeps, where
//! every file of a folder below `snapshots/` is a link into `blobs/` beside it, counts as in the folder.

use super::read_json;
use crate::checkpoint::weights::placed;
use crate::checkpoint::{Request, hexadecimal, sha256};
use crate::error::{Error, Result};
use crate::tensor_file::{self, Entry};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use tch::Tensor;

/// Tensors by the file's names, and Python objects that were left out.
pub(super) type Parameters = (BTreeMap<String, Tensor>, Vec<String>);

/// An index that was read and checked.
pub(super) struct Index {
    /// The index itself.
    pub path: PathBuf,
    /// Names of parameters by the file that holds them.
    shards: BTreeMap<PathBuf, BTreeSet<String>>,
}

impl Index {
    /// Reads it, and checks that each file lies in its folder.
    pub fn read(path: &Path) -> Result<Self> {
        let json = read_json(path)?;
        let bad = |problem: String| Error::file(path, problem, "Download the folder again, or save the model again.");
        let Some(map) = json.get("weight_map").and_then(Value::as_object).filter(|map| !map.is_empty()) else {
            return Err(bad("this index has no weight_map with the files of the parameters".into()));
        };
        let mut by_name: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (parameter, file) in map {
            let Some(file) = file.as_str() else {
                return Err(bad(format!("the file of the parameter `{parameter}` is {file}, which is no file name")));
            };
            by_name.entry(file).or_default().insert(parameter.clone());
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut shards = BTreeMap::new();
        for (name, parameters) in by_name {
            shards.insert(shard(folder, name, path)?, parameters);
        }
        Ok(Index { path: path.into(), shards })
    }

    /// Names and shapes of all parameters; each file must hold what the index places there, and nothing else.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for (shard, parameters) in &self.shards {
            let found = tensor_file::entries(shard)?.entries;
            let names: BTreeSet<&str> = found.iter().map(|entry| entry.name.as_str()).collect();
            if let Some(missing) = parameters.iter().find(|name| !names.contains(name.as_str())) {
                return Err(Error::file(
                    shard,
                    format!("the parameter `{missing}` is missing, which {} says is here", self.path.display()),
                    "The files come from different models or downloads; download the folder again.",
                ));
            }
            if let Some(extra) = names.iter().find(|name| !parameters.contains(**name)) {
                return Err(Error::file(
                    shard,
                    format!("it holds the parameter `{extra}`, which {} does not place here", self.path.display()),
                    "The files come from different models or downloads; download the folder again.",
                ));
            }
            entries.extend(found);
        }
        Ok(entries)
    }

    /// The `wanted` parameters, from one reading of each file.
    pub fn tensors(&self, wanted: &dyn Fn(&str) -> bool, request: &Request) -> Result<Parameters> {
        let (mut tensors, mut left_out) = (BTreeMap::new(), Vec::new());
        for shard in self.shards.keys() {
            let (mut found, objects) = read_file(shard, wanted, request)?;
            tensors.append(&mut found);
            left_out.extend(objects);
        }
        Ok((tensors, left_out))
    }

    /// One fingerprint of all files: SHA-256 of theirs in hexadecimal, one after the other in the order of their names.
    pub fn sha256(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        for shard in self.shards.keys() {
            hasher.update(sha256(shard)?);
        }
        Ok(hexadecimal(hasher))
    }
}

/// The file `name` of `folder`, refused where it is none of its own.
fn shard(folder: &Path, name: &str, index: &Path) -> Result<PathBuf> {
    let refuse = |why: &str| {
        let problem = format!("this index names the file `{name}`, which {why}");
        Error::file(index, problem, "An index names files of its own folder only; download it again from its source.")
    };
    // A name with a separator, `.` or `..` is not its own last part.
    if name.contains(['/', '\\']) || Path::new(name).file_name() != Some(OsStr::new(name)) {
        return Err(refuse("is not the plain name of a file"));
    }
    let path = folder.join(name);
    if !path.is_file() {
        return Err(refuse("is not there"));
    }
    let real = |path: &Path| path.canonicalize().map_err(|e| Error::io(path, "following links to", &e));
    let (target, folder) = (real(&path)?, real(folder)?);
    let blobs = folder.ancestors().find(|above| above.file_name() == Some(OsStr::new("snapshots")));
    let blobs = blobs.and_then(Path::parent).map(|repository| repository.join("blobs"));
    let place = target.parent();
    if place == Some(folder.as_path()) || blobs.is_some() && place == blobs.as_deref() {
        return Ok(path);
    }
    Err(refuse("is a link out of the folder"))
}

/// The `wanted` tensors of a file, under the file's names.
pub(super) fn read_file(path: &Path, wanted: &dyn Fn(&str) -> bool, request: &Request) -> Result<Parameters> {
    let mut tensors = BTreeMap::new();
    let left_out = tensor_file::read_each(path, wanted, &mut |name, array| {
        tensors.insert(name.into(), placed(array, request)?);
        Ok(())
    })?;
    Ok((tensors, left_out))
}
