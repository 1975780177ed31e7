//! Files of one kind in a folder of a run, which are never changed: listed by name, and copied from other folders.

use crate::atomic;
use crate::error::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The files that end so, by their names; those that are still being written begin with a dot.
pub(super) fn list(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(suffix) && !name.starts_with('.')
    };
    let mut paths: Vec<PathBuf> = entries.filter(is_meant).collect();
    paths.sort();
    paths
}

/// Copies those of `from` whose names are not in `to` yet; how many they are.
pub(super) fn take(from: &Path, to: &Path, suffix: &str) -> Result<usize> {
    let mut taken = 0;
    for path in list(from, suffix) {
        let target = to.join(path.file_name().unwrap_or_default());
        if !target.exists() {
            let bytes = fs::read(&path).map_err(|e| Error::io(&path, "reading", &e))?;
            fs::create_dir_all(to).map_err(|e| Error::io(to, "creating the folder", &e))?;
            atomic::write(&target, &bytes)?;
            taken += 1;
        }
    }
    Ok(taken)
}
