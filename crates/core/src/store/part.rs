//! Parts: units in one safetensors file each, written once under a name that nobody else uses.

use super::{Maker, Unit, duplicate, files};
use crate::atomic;
use crate::error::{Error, Result};
use crate::tensor_file::{self, Array, Dtype as Stored};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    /// Who did the units; older parts do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_by: Option<Maker>,
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
pub(super) fn write(folder: &Path, plan: &str, maker: Option<&Maker>, units: &[Unit]) -> Result<()> {
    let folder = folder.join(FOLDER);
    fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "creating the folder", &e))?;
    let path = folder.join(fresh_name(plan));
    atomic::write(&path, &encode(plan, maker, units)?)
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

fn encode(plan: &str, maker: Option<&Maker>, units: &[Unit]) -> Result<Vec<u8>> {
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
        made_by: maker.cloned(),
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

/// What the parts of a folder hold.
#[derive(Default)]
pub(super) struct Found {
    /// Units by kind and key.
    pub units: HashMap<(String, String), Unit>,
    /// Parts that could not be read, with the reason.
    pub damaged: Vec<String>,
    /// Units that were done twice with numbers that differ by rounding.
    pub differing: Vec<Differing>,
}

/// A unit in two parts.
#[derive(Debug)]
pub(super) struct Differing {
    /// Kind and key.
    pub unit: (String, String),
    /// The largest difference relative to the largest number.
    pub by: f64,
    /// Who did it, where known.
    pub makers: [Option<Arc<Maker>>; 2],
}

/// The units of all parts, taken by the names of their files.
///
/// # Errors
/// A part of another plan or version; a unit that is there twice with other numbers. Both are named.
pub(super) fn read_all(folder: &Path, plan: &str) -> Result<Found> {
    let mut found = Found::default();
    let mut origins: HashMap<(String, String), PathBuf> = HashMap::new();
    for path in files::list(&folder.join(FOLDER), SUFFIX) {
        let units = match read(&path, plan) {
            Ok(units) => units,
            Err(Unreadable::Foreign(error)) => return Err(error),
            Err(Unreadable::Damaged(error)) => {
                found.damaged.push(error.to_string());
                continue;
            }
        };
        for unit in units {
            let name = (unit.kind.clone(), unit.key.clone());
            let Some(first) = found.units.get(&name) else {
                origins.insert(name.clone(), path.clone());
                found.units.insert(name, unit);
                continue;
            };
            let by = duplicate::distance(first, &unit);
            if by > duplicate::ROUNDING {
                let other = origins.get(&name).map(|path| path.display().to_string()).unwrap_or_default();
                let problem =
                    format!("its numbers of {} are not those of {other}", super::missing::name(&name.0, &[&name.1]));
                let next =
                    "They were not measured by the same command on the same files: remove the part that is wrong.";
                return Err(Error::file(&path, problem, next));
            }
            if by > 0.0 {
                found.differing.push(Differing { unit: name, by, makers: [first.maker.clone(), unit.maker] });
            }
        }
    }
    Ok(found)
}

/// Kind and key of every unit of `plan` in parts whose headers can be read, with who did it; their numbers are left alone.
/// Of a unit that was done twice the first by the name of its part.
pub(super) fn list(folder: &Path, plan: &str) -> BTreeMap<(String, String), Option<Maker>> {
    let listings =
        files::list(&folder.join(FOLDER), SUFFIX).into_iter().filter_map(|path| tensor_file::entries(path).ok());
    let mut found = BTreeMap::new();
    for header in listings.filter_map(|listing| header(&listing.metadata)).filter(|header| header.plan == plan) {
        for entry in header.units {
            found.entry((entry.kind, entry.key)).or_insert_with(|| header.made_by.clone());
        }
    }
    found
}

/// Copies the parts of another folder whose names are not here yet; how many those are.
pub(super) fn take(from: &Path, to: &Path) -> Result<usize> {
    files::take(&from.join(FOLDER), &to.join(FOLDER), SUFFIX)
}

fn header(metadata: &[(String, String)]) -> Option<Header> {
    let (_, text) = metadata.iter().find(|(key, _)| key == KEY)?;
    serde_json::from_str(text).ok()
}

/// Why a part gives no units.
enum Unreadable {
    /// It counts as missing.
    Damaged(Error),
    /// It does not belong here.
    Foreign(Error),
}

fn read(path: &Path, plan: &str) -> std::result::Result<Vec<Unit>, Unreadable> {
    let bad = |problem: &str| Unreadable::Damaged(Error::file(path, problem, "What it held is measured again."));
    let foreign = |problem: String, next: &str| Unreadable::Foreign(Error::file(path, problem, next));
    let file = tensor_file::read(path).map_err(Unreadable::Damaged)?;
    let header = header(&file.metadata).ok_or_else(|| bad("this is no part of a run"))?;
    if header.plan != plan {
        let next = "Remove it from this folder: `lipscope merge` names the setting that differs.";
        return Err(foreign("this part belongs to another plan".into(), next));
    }
    if header.version != env!("CARGO_PKG_VERSION") {
        let problem = format!("lipscope {} made this part, and this is {}", header.version, env!("CARGO_PKG_VERSION"));
        return Err(foreign(problem, "Go on with that version, or choose another --out."));
    }
    let maker = header.made_by.map(Arc::new);
    let mut units = Vec::with_capacity(header.units.len());
    for (u, entry) in header.units.into_iter().enumerate() {
        let mut unit = Unit::new(&entry.kind, entry.key, entry.about);
        for (a, own) in entry.arrays.into_iter().enumerate() {
            let array = file.get(&name(u, a)).ok_or_else(|| bad("it lacks numbers that it lists"))?;
            unit = unit.with(own, array.clone());
        }
        unit.maker.clone_from(&maker);
        units.push(unit);
    }
    let arrays = units.iter().flat_map(|unit| unit.arrays.iter().map(|(_, array)| array));
    if digest(arrays) == header.digest { Ok(units) } else { Err(bad("its numbers are not those that were written")) }
}
