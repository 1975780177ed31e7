//! Parts: units in one safetensors file each, written once under a name that nobody else uses.

use super::Unit;
use crate::atomic;
use crate::error::{Error, Result};
use crate::tensor_file::{self, Array, Dtype as Stored};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const FOLDER: &str = "parts";
const SUFFIX: &str = ".safetensors";
/// The key of [`Header`] in the file's metadata.
const KEY: &str = "lipscope";

/// Who made a part, for what, and which units are in it.
#[derive(Serialize, Deserialize)]
struct Header {
    /// Fingerprint of the plan.
    plan: String,
    /// Version of lipscope.
    version: String,
    /// SHA-256 of all arrays, in the order of the units.
    digest: String,
    units: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    kind: String,
    key: String,
    about: Value,
    arrays: Vec<String>,
}

/// Writes a new part.
pub(super) fn write(folder: &Path, plan: &str, units: &[Unit]) -> Result<()> {
    let folder = folder.join(FOLDER);
    fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "creating the folder", &e))?;
    let path = folder.join(fresh_name(plan));
    atomic::write(&path, &encode(plan, units)?)
}

/// Unlike that of any other process on any machine: process numbers and even hosts come again in containers.
fn fresh_name(plan: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    let (process, random) = (std::process::id(), atomic::random());
    format!("{}-{process}-{random:016x}-{n}{SUFFIX}", &plan[..plan.len().min(8)])
}

/// Arrays stand under `unit/array`, by their places.
fn name(unit: usize, array: usize) -> String {
    format!("{unit}/{array}")
}

fn encode(plan: &str, units: &[Unit]) -> Result<Vec<u8>> {
    let failed = |e: &dyn std::fmt::Display| Error::mismatch(format!("units cannot be written ({e})"), "Report this.");
    let entry = |unit: &Unit| Entry {
        kind: unit.kind.clone(),
        key: unit.key.clone(),
        about: unit.about.clone(),
        arrays: unit.arrays.iter().map(|(name, _)| name.clone()).collect(),
    };
    let arrays = units.iter().flat_map(|unit| unit.arrays.iter().map(|(_, array)| array));
    let header = Header {
        plan: plan.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        digest: digest(arrays),
        units: units.iter().map(entry).collect(),
    };
    let header = serde_json::to_string(&header).map_err(|e| failed(&e))?;
    let mut views = Vec::new();
    for (u, unit) in units.iter().enumerate() {
        for (a, (_, array)) in unit.arrays.iter().enumerate() {
            let dtype = if array.dtype() == Stored::F64 { Dtype::F64 } else { Dtype::F32 };
            views.push((
                name(u, a),
                TensorView::new(dtype, array.shape().to_vec(), array.bytes()).map_err(|e| failed(&e))?,
            ));
        }
    }
    serialize(views, Some(HashMap::from([(KEY.to_string(), header)]))).map_err(|e| failed(&e))
}

fn digest<'a>(arrays: impl Iterator<Item = &'a Array>) -> String {
    let mut hash = Sha256::new();
    arrays.for_each(|array| hash.update(array.bytes()));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The units of all parts, by their file names, and what could not be read. A unit that is there twice is taken from the
/// first: whoever does a unit gets the same numbers.
pub(super) fn read_all(folder: &Path, plan: &str) -> Result<(Vec<Unit>, Vec<String>)> {
    let mut paths = paths(folder);
    // Later ones first, so that the first by name is what stays in a map.
    paths.sort_by(|a, b| b.cmp(a));
    let (mut units, mut damaged) = (Vec::new(), Vec::new());
    for path in paths {
        match read(&path, plan) {
            Ok(read) => units.extend(read),
            Err(error) => damaged.push(error.to_string()),
        }
    }
    Ok((units, damaged))
}

/// Kind and key of every unit of `plan` in parts whose headers can be read; their numbers are left alone.
pub(super) fn list(folder: &Path, plan: &str) -> BTreeSet<(String, String)> {
    let listings = paths(folder).into_iter().filter_map(|path| tensor_file::entries(path).ok());
    let headers = listings.filter_map(|listing| header(&listing.metadata)).filter(|header| header.plan == plan);
    headers.flat_map(|header| header.units).map(|entry| (entry.kind, entry.key)).collect()
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join(FOLDER)).into_iter().flatten().flatten();
    let is_part = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(SUFFIX) && !name.starts_with('.')
    };
    entries.map(|entry| entry.path()).filter(is_part).collect()
}

fn header(metadata: &[(String, String)]) -> Option<Header> {
    let (_, text) = metadata.iter().find(|(key, _)| key == KEY)?;
    serde_json::from_str(text).ok()
}

fn read(path: &Path, plan: &str) -> Result<Vec<Unit>> {
    let bad = |problem: &str| Error::file(path, problem, "What it held is measured again.");
    let file = tensor_file::read(path)?;
    let header = header(&file.metadata).ok_or_else(|| bad("this is no part of a run"))?;
    if header.plan != plan {
        return Err(bad("this part belongs to another plan"));
    }
    let mut units = Vec::with_capacity(header.units.len());
    for (u, entry) in header.units.into_iter().enumerate() {
        let mut unit = Unit::new(&entry.kind, entry.key, entry.about);
        for (a, own) in entry.arrays.into_iter().enumerate() {
            let array = file.get(&name(u, a)).ok_or_else(|| bad("it lacks numbers that it lists"))?;
            unit = unit.with(own, array.clone());
        }
        units.push(unit);
    }
    let arrays = units.iter().flat_map(|unit| unit.arrays.iter().map(|(_, array)| array));
    if digest(arrays) == header.digest { Ok(units) } else { Err(bad("its numbers are not those that were written")) }
}
