//! Files as values, and putting them on disk whole or not at all.

use crate::atomic::{sync_folder, temporary_name, write_synced};
use crate::error::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A file that has not been written yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Name inside the output folder, such as `curve.csv`.
    pub file_name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

impl Artifact {
    /// An artifact from text or bytes.
    pub fn new(file_name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Artifact { file_name: file_name.into(), bytes: bytes.into() }
    }

    /// Writes it into `dir`: to a temporary name, synced, then renamed, so that a reader sees the old file or the new one.
    pub fn write(&self, dir: &Path) -> Result<PathBuf> {
        let mut paths = write_all(dir, std::slice::from_ref(self))?;
        Ok(paths.pop().unwrap_or_else(|| dir.join(&self.file_name)))
    }
}

/// Writes all artifacts into `dir` and says where they are.
///
/// All are laid down under temporary names before the first is renamed, so a full disk leaves the old set as it was.
pub fn write_all(dir: &Path, artifacts: &[Artifact]) -> Result<Vec<PathBuf>> {
    let staged: Vec<(PathBuf, PathBuf)> =
        artifacts.iter().map(|a| (temporary_name(dir, &a.file_name), dir.join(&a.file_name))).collect();
    let put = |(artifact, (temporary, target)): (&Artifact, &(PathBuf, PathBuf))| {
        write_synced(temporary, &artifact.bytes).map_err(|e| Error::io(target, "writing", &e))
    };
    let rename = |(temporary, target): &(PathBuf, PathBuf)| {
        fs::rename(temporary, target).map_err(|e| Error::io(target, "writing", &e))
    };
    let outcome = artifacts.iter().zip(&staged).try_for_each(put).and_then(|()| staged.iter().try_for_each(rename));
    if let Err(e) = outcome {
        for (temporary, _) in &staged {
            let _ = fs::remove_file(temporary);
        }
        return Err(e);
    }
    sync_folder(dir);
    Ok(staged.into_iter().map(|(_, target)| target).collect())
}

/// Creates `dir` if need be and proves that files can be written there, before hours are spent on measuring.
pub fn prepare_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|e| Error::io(dir, "creating the folder", &e))?;
    let probe = temporary_name(dir, "probe");
    let tried = write_synced(&probe, b"lipscope");
    let removed = fs::remove_file(&probe);
    tried.and(removed).map_err(|e| Error::io(dir, "writing into the folder", &e))
}

/// Letters, digits and single dashes.
pub fn slug(label: &str) -> String {
    let dashed: String = label.chars().map(|c| if c.is_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let words: Vec<&str> = dashed.split('-').filter(|word| !word.is_empty()).collect();
    words.join("-").chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn writes_replace_and_leave_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        Artifact::new("a.txt", "old").write(dir.path()).unwrap();
        let paths = write_all(dir.path(), &[Artifact::new("a.txt", "new"), Artifact::new("b.txt", "b")]).unwrap();
        assert_eq!(paths, [dir.path().join("a.txt"), dir.path().join("b.txt")]);
        assert_eq!(fs::read_to_string(dir.path().join("a.txt")).unwrap(), "new");
        assert_eq!(names(dir.path()), ["a.txt", "b.txt"]);
    }

    #[test]
    fn a_failure_leaves_the_old_files() {
        let dir = tempfile::tempdir().unwrap();
        Artifact::new("a.txt", "old").write(dir.path()).unwrap();
        // The second cannot be staged: its folder does not exist. The first must not be renamed then.
        let error =
            write_all(dir.path(), &[Artifact::new("a.txt", "new"), Artifact::new("no/b.txt", "b")]).unwrap_err();
        assert!(error.to_string().contains("b.txt: writing failed"), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join("a.txt")).unwrap(), "old");
        assert_eq!(names(dir.path()), ["a.txt"]);
    }

    #[test]
    fn a_target_that_is_a_folder_is_an_error_without_leftovers() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a.txt")).unwrap();
        assert!(Artifact::new("a.txt", "new").write(dir.path()).is_err());
        assert_eq!(names(dir.path()), ["a.txt"]);
    }

    #[test]
    fn a_folder_is_created_and_proven() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x/y");
        prepare_dir(&deep).unwrap();
        assert!(names(&deep).is_empty());
        fs::write(dir.path().join("file"), "").unwrap();
        let error = prepare_dir(&dir.path().join("file/z")).unwrap_err();
        assert!(error.to_string().contains("creating the folder failed"), "{error}");
    }
}
