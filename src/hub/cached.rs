//! What is in the cache already, whoever put it there.

use super::HubId;
use super::needed::needed;
use hf_hub::Cache;
use std::path::{Path, PathBuf};

/// Folders below a snapshot that a model's files may lie in.
const DEPTH: usize = 4;

/// Where a whole model lies in the cache; `None` where something of it is missing.
pub(super) fn find(id: &HubId, cache: &Cache) -> Option<PathBuf> {
    let folder = snapshot(id, cache)?;
    let mut files = Vec::new();
    list(&folder, "", DEPTH, &mut files);
    let opened = needed(&files, &id.inside)?.opened;
    Some(if opened.is_empty() { folder } else { folder.join(opened) })
}

/// The files of a revision: of the commit that it names, or that its name stood for when it was fetched.
fn snapshot(id: &HubId, cache: &Cache) -> Option<PathBuf> {
    let of_repo = cache.path().join(id.at(&id.revision).folder_name());
    let commit = std::fs::read_to_string(of_repo.join("refs").join(&id.revision));
    let commit = commit.map_or_else(|_| id.revision.clone(), |commit| commit.trim().to_string());
    let folder = cache.repo(id.at(&id.revision)).pointer_path(&commit);
    folder.is_dir().then_some(folder)
}

fn list(folder: &Path, within: &str, depth: usize, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (path, name) = (entry.path(), if within.is_empty() { name } else { format!("{within}/{name}") });
        // Links are followed: what they lead to is in the cache, or else missing.
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => files.push(name),
            Ok(found) if found.is_dir() && depth > 0 => list(&path, &name, depth - 1, files),
            _ => {}
        }
    }
}
