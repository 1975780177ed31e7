//! Named arrays from `.npy`, `.npz`, `.safetensors` and `torch.save` files, recognised by content.
//!
//! A file is not trusted: nothing of it is run, what it claims is checked before memory is taken, and what is wrong gives
//! an error. A new format is one file here, one member of [`Format`], and one line in [`read`] and [`entries`].

mod archive;
mod array;
mod budget;
mod into_tensor;
mod layout;
mod npy;
mod npz;
mod pickle;
mod safetensors_file;
mod sniff;
mod torch_save;

use crate::error::{Error, Result};
use std::path::Path;

pub use array::{Array, Dtype};
pub use pickle::Value;
pub use sniff::{Format, Sniffed, sniff};

/// Name of the array of a file that holds a single one without a name.
pub const UNNAMED: &str = "tensor";

/// The arrays of a file.
#[derive(Debug)]
pub struct NamedArrays {
    /// What the file is.
    pub format: Format,
    /// Arrays by name, in the order of the file. Names of nested dicts and lists are joined with dots.
    pub arrays: Vec<(String, Array)>,
    /// What was left out: Python globals that a pickle names (never imported or called), arrays of unknown types.
    pub opaque: Vec<String>,
    /// The pickled object, of a `torch.save` file; [`Value::Array`] counts `arrays`.
    pub tree: Option<Value>,
    /// `__metadata__` of a safetensors file, sorted by key.
    pub metadata: Vec<(String, String)>,
}

impl NamedArrays {
    /// The array of this name.
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.arrays.iter().find(|(n, _)| n == name).map(|(_, array)| array)
    }

    /// The names, in the order of the file.
    pub fn names(&self) -> Vec<&str> {
        self.arrays.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// One array of a [`Listing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as in [`NamedArrays`].
    pub name: String,
    /// Number of elements along every axis.
    pub shape: Vec<usize>,
    /// Its type, in PyTorch's words; safetensors' own word where the type is not read.
    pub dtype: String,
}

/// What a file holds, without its numbers.
#[derive(Debug)]
pub struct Listing {
    /// What the file is.
    pub format: Format,
    /// The arrays, in the order of the file.
    pub entries: Vec<Entry>,
    /// As in [`NamedArrays`].
    pub opaque: Vec<String>,
    /// As in [`NamedArrays`].
    pub metadata: Vec<(String, String)>,
}

/// What the reader of one format gives.
#[derive(Default)]
struct Contents {
    arrays: Vec<(String, Array)>,
    opaque: Vec<String>,
    tree: Option<Value>,
    metadata: Vec<(String, String)>,
}

/// Reads all arrays of a file. Of a TorchScript module these are its parameters and buffers.
pub fn read(path: impl AsRef<Path>) -> Result<NamedArrays> {
    let path = path.as_ref();
    let Sniffed { format, root, .. } = sniff(path)?;
    let Contents { arrays, opaque, tree, metadata } = match (format, &root) {
        (Format::Npy, _) => read_npy(path)?,
        (Format::Npz, _) => npz::read(path)?,
        (Format::Safetensors, _) => safetensors_file::read(path)?,
        (Format::TorchSave | Format::TorchScript, Some(root)) => torch_save::read(path, root)?,
        _ => return Err(no_arrays(path, format)),
    };
    Ok(NamedArrays { format, arrays, opaque, tree, metadata })
}

/// As [`read`], only the arrays whose names are wanted.
pub fn read_selected(path: impl AsRef<Path>, wanted: &dyn Fn(&str) -> bool) -> Result<NamedArrays> {
    let mut named = read(path)?;
    named.arrays.retain(|(name, _)| wanted(name));
    Ok(named)
}

/// The arrays of the safetensors file that a TorchScript module carries as the extra file `name`; `None` without one.
pub fn read_extra(path: &Path, name: &str) -> Result<Option<NamedArrays>> {
    let Sniffed { root: Some(root), .. } = sniff(path)? else { return Ok(None) };
    let mut archive = archive::Archive::open(path)?;
    let entry = format!("{root}/extra/{name}");
    if !archive.has(&entry) {
        return Ok(None);
    }
    let bytes = archive.read(&entry, u64::MAX)?;
    let Contents { arrays, opaque, tree, metadata } = safetensors_file::from_bytes(bytes, path)?;
    Ok(Some(NamedArrays { format: Format::Safetensors, arrays, opaque, tree, metadata }))
}

/// Lists the arrays of a file without reading their numbers.
pub fn entries(path: impl AsRef<Path>) -> Result<Listing> {
    let path = path.as_ref();
    let Sniffed { format, root, .. } = sniff(path)?;
    let mut listing = Listing { format, entries: Vec::new(), opaque: Vec::new(), metadata: Vec::new() };
    match (format, &root) {
        (Format::Npy, _) => listing.entries = npy_entries(path)?,
        (Format::Npz, _) => listing.entries = npz::entries(path)?,
        (Format::Safetensors, _) => {
            listing.entries = safetensors_file::entries(path)?;
            listing.metadata = safetensors_file::metadata(path)?;
        }
        (Format::TorchSave | Format::TorchScript, Some(root)) => torch_save::entries(path, root, &mut listing)?,
        _ => return Err(no_arrays(path, format)),
    }
    Ok(listing)
}

fn read_npy(path: &Path) -> Result<Contents> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "reading", &e))?;
    let mut budget = budget::Budget::for_file(bytes.len() as u64);
    let array = npy::parse(bytes, &mut budget).map_err(|problem| damaged(path, problem))?;
    Ok(Contents { arrays: vec![(UNNAMED.into(), array)], ..Contents::default() })
}

fn npy_entries(path: &Path) -> Result<Vec<Entry>> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, "opening", &e))?;
    let mut start = Vec::new();
    file.take(npy::MAX_HEADER as u64).read_to_end(&mut start).map_err(|e| Error::io(path, "reading", &e))?;
    let header = npy::Header::parse(&start).map_err(|problem| damaged(path, problem))?;
    Ok(vec![Entry { name: UNNAMED.into(), shape: header.shape, dtype: header.dtype.to_string() }])
}

/// A file that is not what it should be.
fn damaged(path: &Path, problem: impl Into<String>) -> Error {
    Error::file(path, problem, "Check that the file is complete and comes from where you think; nothing of it was run.")
}

fn no_arrays(path: &Path, format: Format) -> Error {
    let next = match format {
        Format::TorchSaveLegacy => {
            "Save it again with a newer PyTorch, on a machine where you trust the file: \
             torch.save(torch.load(\"old.pt\", map_location=\"cpu\"), \"new.pt\")."
        }
        Format::Pickle => {
            "A bare pickle can run code when it is opened, so it is not. Where you trust it, save its arrays with \
             numpy.savez, safetensors or torch.save."
        }
        Format::Text if is_lfs_pointer(path) => "It is a Git LFS pointer: run git lfs pull to get the file itself.",
        _ => "Give a .npy, .npz, .safetensors or torch.save file; what a file is called does not matter.",
    };
    Error::file(path, format!("it is {format}, and no arrays can be read from it"), next)
}

fn is_lfs_pointer(path: &Path) -> bool {
    use std::io::Read;
    let mut start = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    read.is_ok() && start.starts_with(b"version https://git-lfs")
}
