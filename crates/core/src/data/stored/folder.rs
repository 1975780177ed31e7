//! `images:DIR`: the pictures of a folder and of all folders below it, in the order of their paths. Links to folders are
//! not followed; files and folders whose names begin with a dot are none of the data set.

use super::Encoded;
use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Endings of the files that are taken, in any case; what a file is, is then told by its content.
pub(super) const ENDINGS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"];
/// Nesting of folders that is followed.
const MAX_DEPTH: usize = 64;

/// The pictures below a folder.
pub(super) struct Folder {
    root: PathBuf,
    /// Paths below the root, one behind the other: a million of them are to take little memory.
    names: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Folder {
    /// Lists a folder; no picture is opened.
    pub fn open(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        collect(root, 0, &mut files)?;
        files.sort();
        if files.is_empty() {
            let problem = format!("there are no pictures in it ({})", ENDINGS.join(", "));
            return Err(Error::file(root, problem, "Give a folder of pictures."));
        }
        let mut folder = Folder { root: root.into(), names: Vec::new(), ends: Vec::with_capacity(files.len()) };
        for file in &files {
            folder.names.extend_from_slice(file.strip_prefix(root).unwrap_or(file).as_os_str().as_bytes());
            folder.ends.push(folder.names.len());
        }
        folder.names.shrink_to_fit();
        Ok(folder)
    }

    fn name(&self, place: usize) -> &[u8] {
        let from = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let to = self.ends.get(place).copied().unwrap_or(from);
        &self.names[from..to]
    }
}

impl Encoded for Folder {
    fn count(&self) -> usize {
        self.ends.len()
    }

    fn bytes(&self, place: usize) -> Result<Vec<u8>> {
        let path = self.path(place);
        std::fs::read(&path).map_err(|e| Error::io(&path, "reading", &e))
    }

    fn path(&self, place: usize) -> PathBuf {
        self.root.join(OsStr::from_bytes(self.name(place)))
    }

    fn listing(&self, add: &mut dyn FnMut(&[u8])) -> Result<()> {
        for place in 0..self.count() {
            let path = self.path(place);
            let bytes = std::fs::metadata(&path).map_err(|e| Error::io(&path, "reading", &e))?.len();
            add(self.name(place));
            add(&[0]);
            add(&bytes.to_le_bytes());
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("pictures of {}", self.root.display())
    }
}

/// Whether a name is that of something hidden: macOS' `._picture.png`, Jupyter's `.ipynb_checkpoints`, and what macOS packs
/// beside the files of an archive.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

/// Whether a name is that of a picture.
pub(super) fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::file(
            folder,
            format!("it is over {MAX_DEPTH} folders deep"),
            "Give a folder nearer to the pictures.",
        ));
    }
    let failed = |e: std::io::Error| Error::io(folder, "listing", &e);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if is_hidden(&entry.file_name().to_string_lossy()) {
            continue;
        }
        // The entry's own type: a link is a link here, whatever it leads to.
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            collect(&path, depth + 1, files)?;
        } else if is_picture(&path) && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}
