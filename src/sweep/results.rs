//! Where results are kept: one folder per step, named by its key, with `done.json` in it once it is finished.

use crate::atomic;
use crate::checkpoint::{hexadecimal, sha256};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const DONE: &str = "done.json";
const LOCK: &str = "lock";

/// The folder of all results.
#[derive(Debug, Clone)]
pub struct Results {
    root: PathBuf,
}

/// What `done.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// What it is, for people.
    pub name: String,
    /// The command line that made it.
    pub command: Vec<String>,
    /// Seconds that it took, over all parts of an interrupted run.
    pub wall_seconds: f64,
}

impl Results {
    /// Results under `root`.
    pub fn new(root: PathBuf) -> Results {
        Results { root }
    }

    /// The folder of all.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a step.
    pub fn folder(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// What a finished step left; `None` where it is not finished.
    pub fn done(&self, key: &str) -> Option<Done> {
        let text = fs::read_to_string(self.folder(key).join(DONE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Says that a step is finished.
    pub fn finish(&self, key: &str, done: &Done) -> Result<()> {
        let text = serde_json::to_string_pretty(done)
            .map_err(|e| Error::mismatch(format!("JSON cannot be written ({e})"), "Report this."))?;
        let path = self.folder(key).join(DONE);
        match atomic::create(&path, text.as_bytes()) {
            // Somebody else did the same, and was faster.
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(Error::io(&path, "writing", &e)),
            _ => Ok(()),
        }
    }

    /// Takes a step's folder for this process until the file is dropped; `None` where another process has it.
    pub fn take(&self, key: &str) -> Result<Option<File>> {
        let folder = self.folder(key);
        fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "creating the folder", &e))?;
        let path = folder.join(LOCK);
        let file = File::create(&path).map_err(|e| Error::io(&path, "creating", &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            // Some file systems of clusters have no locks: a step may be done twice there.
            Err(fs::TryLockError::Error(e)) if has_no_locks(&e) => Ok(Some(file)),
            Err(fs::TryLockError::Error(e)) => Err(Error::io(&path, "locking", &e)),
        }
    }
}

fn has_no_locks(error: &std::io::Error) -> bool {
    let codes = [libc::ENOLCK, libc::ENOSYS, libc::EOPNOTSUPP, libc::EINVAL];
    error.kind() == ErrorKind::Unsupported || error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// SHA-256 of a file, or of the names and contents of all files in a folder, in the order of their names.
pub(super) fn fingerprint(path: &Path) -> Result<String> {
    if !path.is_dir() {
        return sha256(path);
    }
    let mut hasher = Sha256::new();
    let entries = fs::read_dir(path).map_err(|e| Error::io(path, "reading the folder", &e))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        // Links to folders may lead in circles: where they lead is what counts.
        match fs::read_link(&path).ok().filter(|_| path.is_dir()) {
            Some(target) => hasher.update(target.to_string_lossy().as_bytes()),
            None => hasher.update(fingerprint(&path)?.as_bytes()),
        }
    }
    Ok(hexadecimal(hasher))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_run_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path().into());
        let taken = results.take("a").unwrap();
        assert!(taken.is_some() && results.take("a").unwrap().is_none() && results.take("b").unwrap().is_some());
        drop(taken);
        assert!(results.take("a").unwrap().is_some());
    }

    #[test]
    fn done_is_said_and_read() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path().into());
        let _taken = results.take("a").unwrap();
        assert_eq!(results.done("a"), None);
        let done = Done { name: "train".into(), command: vec!["train".into()], wall_seconds: 1.5 };
        results.finish("a", &done).unwrap();
        assert_eq!(results.done("a"), Some(done));
    }

    #[test]
    fn fingerprints_of_folders_see_names_and_contents() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("f");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a"), "1").unwrap();
        let first = fingerprint(&folder).unwrap();
        fs::write(folder.join("a"), "2").unwrap();
        let second = fingerprint(&folder).unwrap();
        fs::rename(folder.join("a"), folder.join("b")).unwrap();
        let third = fingerprint(&folder).unwrap();
        assert!(first != second && second != third);
        assert!(fingerprint(&root.path().join("none")).is_err());
    }
}
