//! Which units a run consists of, as far as it knows by now: lists in files of their own, so that whoever looks at the
//! folder knows what is missing without opening a model.

use super::files;
use crate::atomic;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const FOLDER: &str = "units";
const SUFFIX: &str = ".json";

/// Units that are shared out together: a unit's place in the list tells its shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// What kind of work, such as `points`.
    pub kind: String,
    /// Which pieces of it.
    pub keys: Vec<String>,
    /// Fingerprint of the plan.
    plan: String,
}

/// Writes a list down. Whoever writes the same one writes the same file.
pub(super) fn announce(folder: &Path, plan: &str, kind: &str, keys: &[String]) -> Result<()> {
    let folder = folder.join(FOLDER);
    let list = Expected { kind: kind.into(), keys: keys.to_vec(), plan: plan.into() };
    let text =
        serde_json::to_vec(&list).map_err(|e| Error::mismatch(format!("no list of units ({e})"), "Report this."))?;
    let hash: String = Sha256::digest(&text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let path = folder.join(format!("{kind}-{hash}{SUFFIX}"));
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "creating the folder", &e))?;
    match atomic::create(&path, &text) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(Error::io(&path, "writing", &e)),
        _ => Ok(()),
    }
}

/// Copies the lists of another folder.
pub(super) fn take(from: &Path, to: &Path) -> Result<()> {
    files::take(&from.join(FOLDER), &to.join(FOLDER), SUFFIX).map(|_| ())
}

/// The lists of a plan, by their file names; what cannot be read is none.
pub(super) fn lists(folder: &Path, plan: &str) -> Vec<Expected> {
    let read = |path: PathBuf| serde_json::from_slice::<Expected>(&fs::read(path).ok()?).ok();
    let paths = files::list(&folder.join(FOLDER), SUFFIX).into_iter();
    paths.filter_map(read).filter(|list| list.plan == plan).collect()
}
