//! Putting files on disk whole or not at all: to a temporary name in the same folder, synced, then renamed, so that a
//! reader, a full disk or a killed process finds the old file or the new one.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `bytes` to `path`; where that fails, what was there before stays.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let (dir, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
    let temporary = temporary_name(dir, &name.to_string_lossy());
    let outcome = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if outcome.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    sync_folder(dir);
    outcome.map_err(|e| Error::io(path, "writing", &e))
}

/// Creates `path` whole, or fails with [`io::ErrorKind::AlreadyExists`] where it is there: of several writers one wins.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (dir, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
    let temporary = temporary_name(dir, &name.to_string_lossy());
    // A link fails where its name is taken, which a rename does not.
    let outcome = write_synced(&temporary, bytes).and_then(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    sync_folder(dir);
    outcome
}

/// A name in the same folder (a rename across file systems is not atomic), unlike that of any other writer: process
/// numbers come again on other machines and in other containers that share the folder.
pub(crate) fn temporary_name(dir: &Path, file_name: &str) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    dir.join(format!(".{file_name}.{}-{:016x}-{n}.tmp", std::process::id(), random()))
}

/// Removes what a killed process left of files named `file_name` in `dir`. Only for a folder with a single writer.
pub fn remove_leftovers(dir: &Path, file_name: &str) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&format!(".{file_name}.")) && name.ends_with(".tmp") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A number unlike those of other processes, on this machine and others.
pub fn random() -> u64 {
    // The standard library's only source of randomness.
    RandomState::new().build_hasher().finish()
}

/// Creates the file, writes it and waits until it is on the disk.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes renames last through a power cut, where the file system can; elsewhere there is nothing to be done.
pub(crate) fn sync_folder(dir: &Path) {
    let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    if let Ok(folder) = File::open(here) {
        let _ = folder.sync_all();
    }
}

/// Where lipscope keeps what can be computed again: in `XDG_CACHE_HOME`, or `~/.cache`; `None` where there is neither.
pub fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(caches.join("lipscope"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_what_was_there_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        // A folder in its place: the rename fails after the bytes are written.
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        assert!(write(&folder, b"new").unwrap_err().to_string().contains("folder: writing failed"));
        assert!(folder.is_dir() && fs::read_dir(dir.path()).unwrap().count() == 2);
    }

    #[test]
    fn leftovers_are_removed_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".a.12-0.tmp", ".b.12-0.tmp", "a"] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        remove_leftovers(dir.path(), "a");
        assert!(dir.path().join("a").exists() && dir.path().join(".b.12-0.tmp").exists());
        assert!(!dir.path().join(".a.12-0.tmp").exists());
    }
}
