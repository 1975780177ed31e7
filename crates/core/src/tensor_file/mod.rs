//! Named arrays from `.npy`, `.npz`, `.safetensors`, `torch.save` and `pickle.dump` files, recognised by content.
//!
//! A file is not trusted: nothing of it is run, what it claims is checked before memory is taken, and what is wrong gives
//! an error. Only what is wanted of it is read, by position and never through a map of memory, so that a file which is
//! cut short meanwhile gives an error too. A new format is one file here, one member of [`Format`], and one line in
//! [`read_selected`] and [`entries`].

mod archive;
mod array;
mod budget;
mod contents;
mod damage;
mod layout;
mod listing;
mod npy;
mod npy_rows;
mod npz;
mod pickle;
mod pickle_file;
mod safetensors_file;
mod sniff;
mod source;
mod tensors;
mod torch_legacy;
mod torch_save;

use crate::error::{Error, Result};
use contents::{Contents, Wanted};
use damage::damaged;
use std::path::Path;

pub use array::{Array, Dtype, UNNAMED};
pub(crate) use budget::Budget;
pub use listing::{Entry, Listing};
pub use npy_rows::NpyRows;
pub use pickle::Value;
pub use sniff::{Format, Sniffed, is_lfs_pointer, sniff};
pub(crate) use source::Source;

/// The arrays of a file.
#[derive(Debug)]
pub struct NamedArrays {
    /// What the file is.
    pub format: Format,
    /// Arrays by name, in the order of the file. Names of nested dicts and lists are joined with dots.
    pub arrays: Vec<(String, Array)>,
    /// What was left out: Python globals that a pickle names (never imported or called), arrays of unknown types.
    pub opaque: Vec<String>,
    /// The pickled object, of a `torch.save` file; [`Value::Array`] names one of its arrays.
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

/// Reads all arrays of a file. Of a TorchScript module these are its parameters and buffers.
pub fn read(path: impl AsRef<Path>) -> Result<NamedArrays> {
    read_selected(path, &|_| true)
}

/// Reads those arrays of a file whose names are `wanted`; the bytes of others are not read.
pub fn read_selected(path: impl AsRef<Path>, wanted: &dyn Fn(&str) -> bool) -> Result<NamedArrays> {
    let path = path.as_ref();
    let Sniffed { format, root, .. } = sniff(path)?;
    let Contents { arrays, opaque, tree, metadata } = match (format, &root) {
        (Format::Npy, _) => read_npy(path, wanted)?,
        (Format::Npz, _) => npz::read(path, wanted)?,
        (Format::Safetensors, _) => safetensors_file::read(path, wanted)?,
        (Format::TorchSaveLegacy, _) => torch_legacy::read(path, wanted)?,
        (Format::Pickle, _) => pickle_file::read(path, wanted)?,
        (Format::TorchSave | Format::TorchScript, Some(root)) => torch_save::read(path, root, wanted)?,
        _ => return Err(no_arrays(path, format)),
    };
    Ok(NamedArrays { format, arrays, opaque, tree, metadata })
}

/// Hands the `wanted` arrays of a file to `take`, one by one; gives what was left out, as [`NamedArrays::opaque`] has it. Of
/// a safetensors file each array is read when the one before has been taken, into the same memory; others are read as a
/// whole.
///
/// # Errors
/// Those of [`read_selected`], and the first of `take`.
pub fn read_each(
    path: impl AsRef<Path>,
    wanted: &dyn Fn(&str) -> bool,
    take: &mut dyn FnMut(&str, &Array) -> Result<()>,
) -> Result<Vec<String>> {
    let path = path.as_ref();
    if sniff(path)?.format == Format::Safetensors {
        return Ok(safetensors_file::each(path, wanted, take)?.opaque);
    }
    let NamedArrays { arrays, opaque, .. } = read_selected(path, wanted)?;
    arrays.into_iter().try_for_each(|(name, array)| take(&name, &array))?;
    Ok(opaque)
}

/// The arrays of the safetensors file that a TorchScript module carries as the extra file `name`; `None` without one.
pub fn read_extra(path: &Path, name: &str) -> Result<Option<NamedArrays>> {
    let Sniffed { root: Some(root), .. } = sniff(path)? else { return Ok(None) };
    let mut archive = archive::Archive::open(path)?;
    let entry = format!("{root}/extra/{name}");
    if !archive.has(&entry) {
        return Ok(None);
    }
    let bytes = archive.size(&entry)?;
    let mut read = |at: u64, count| archive.read_range(&entry, at..at.saturating_add(count));
    let Contents { arrays, opaque, tree, metadata } = safetensors_file::read_at(&mut read, bytes, path, &|_| true)?;
    Ok(Some(NamedArrays { format: Format::Safetensors, arrays, opaque, tree, metadata }))
}

/// Checks an archive whole, entry by entry, before it is handed to a reader that trusts it: libtorch's ends the process on
/// some damaged files.
///
/// # Errors
/// It is no archive of PyTorch, or a header, a length or a checksum in it is wrong.
pub fn verify(path: &Path) -> Result<()> {
    match sniff(path)? {
        Sniffed { root: Some(_), .. } => archive::Archive::open(path)?.verify(),
        Sniffed { format, .. } => Err(Error::file(
            path,
            format!("it is {format}, and no TorchScript module"),
            "Save the module with torch.jit.save.",
        )),
    }
}

/// Most bytes of a TorchScript module's code that are read; that of a large network has some hundred kilobytes.
const MOST_CODE: u64 = 16 << 20;

/// The code of a TorchScript module, as text. Nothing of it runs.
pub fn script_code(path: &Path) -> Result<String> {
    let Sniffed { root: Some(root), .. } = sniff(path)? else { return Ok(String::new()) };
    let mut archive = archive::Archive::open(path)?;
    let below = format!("{root}/code/");
    let is_code = |name: &&str| name.starts_with(&below) && name.ends_with(".py");
    let names: Vec<String> = archive.names().filter(is_code).map(str::to_string).collect();
    let mut text = String::new();
    for name in names {
        text.push_str(&String::from_utf8_lossy(&archive.read(&name, MOST_CODE)?));
    }
    Ok(text)
}

/// Lists the arrays of a file without reading their numbers.
pub fn entries(path: impl AsRef<Path>) -> Result<Listing> {
    let path = path.as_ref();
    let Sniffed { format, root, .. } = sniff(path)?;
    let mut listing = Listing::new(format);
    match (format, &root) {
        (Format::Npy, _) => listing.entries = npy_entries(path)?,
        (Format::Npz, _) => listing.entries = npz::entries(path)?,
        (Format::Safetensors, _) => safetensors_file::entries(path, &mut listing)?,
        (Format::TorchSaveLegacy, _) => torch_legacy::entries(path, &mut listing)?,
        (Format::Pickle, _) => pickle_file::entries(path, &mut listing)?,
        (Format::TorchSave | Format::TorchScript, Some(root)) => torch_save::entries(path, root, &mut listing)?,
        _ => return Err(no_arrays(path, format)),
    }
    Ok(listing)
}

fn read_npy(path: &Path, wanted: Wanted) -> Result<Contents> {
    if !wanted(UNNAMED) {
        return Ok(Contents::default());
    }
    let source = source::Source::open(path)?;
    let mut budget = budget::Budget::for_file(source.bytes());
    let array = npy::parse(source.read(0, source.bytes())?, &mut budget).map_err(|problem| damaged(path, problem))?;
    Ok(Contents { arrays: vec![(UNNAMED.into(), array)], ..Contents::default() })
}

fn npy_entries(path: &Path) -> Result<Vec<Entry>> {
    let start = source::Source::open(path)?.start(npy::MAX_HEADER as u64)?;
    let header = npy::Header::parse(&start).map_err(|problem| damaged(path, problem))?;
    Ok(vec![Entry { name: UNNAMED.into(), shape: header.shape, dtype: header.dtype.to_string() }])
}

fn no_arrays(path: &Path, format: Format) -> Error {
    Error::file(path, format!("it is {format}, and no arrays can be read from it"), next_step(format))
}

/// What to do with a file of a format that no arrays can be read from.
pub fn next_step(format: Format) -> &'static str {
    match format {
        Format::Tar => {
            "PyTorch 0.1 saved such files: load it with that version and save it again. If pictures are in it, write tar: \
             before its name."
        }
        Format::Pickle => {
            "A pickle can run code when Python opens it; here only tensors of PyTorch are read, and nothing is run. Where \
             you trust it, save its arrays with numpy.savez, safetensors or torch.save."
        }
        Format::LfsPointer => "Run git lfs pull where it lies, or download the file itself.",
        Format::Html => {
            "The download gave a web page, such as a login or an error, instead of the file; open it to see which."
        }
        Format::ExportedProgram => "torch.export.save wrote it; save the tensors with torch.save or safetensors.",
        _ => "Give a .npy, .npz, .safetensors or torch.save file; what a file is called does not matter.",
    }
}
