//! Safetensors: a JSON header of names, types, shapes and byte ranges, then the numbers.

use super::array::{Array, Dtype};
use super::{Contents, Entry, damaged};
use crate::error::{Error, Result};
use safetensors::tensor::{Dtype as FileDtype, Metadata};
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// The format's own bound on its header.
const MAX_HEADER: u64 = 100_000_000;

struct Header {
    tensors: Vec<Described>,
    metadata: Vec<(String, String)>,
    /// Where the numbers begin.
    data_start: u64,
}

struct Described {
    name: String,
    shape: Vec<usize>,
    /// `None` for the small types that hold no plain numbers here.
    dtype: Option<Dtype>,
    type_name: String,
    start: usize,
    end: usize,
}

/// Names, shapes and types; the numbers are not read.
pub(super) fn entries(path: &Path) -> Result<Vec<Entry>> {
    let (_, header) = open(path)?;
    Ok(header.tensors.into_iter().map(|t| Entry { name: t.name, shape: t.shape, dtype: t.type_name }).collect())
}

/// The header's `__metadata__`, sorted by key.
pub(super) fn metadata(path: &Path) -> Result<Vec<(String, String)>> {
    Ok(open(path)?.1.metadata)
}

/// Reads all arrays, in the order of the file.
pub(super) fn read(path: &Path) -> Result<Contents> {
    let (file, header) = open(path)?;
    contents(file, header, path)
}

/// Reads all arrays of such a file within another, which is at `path`.
pub(super) fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Contents> {
    let length = bytes.len() as u64;
    let mut reader = Cursor::new(bytes);
    let header = header(&mut reader, length, path)?;
    contents(reader, header, path)
}

fn contents(mut file: impl Read + Seek, header: Header, path: &Path) -> Result<Contents> {
    let mut contents = Contents { metadata: header.metadata, ..Contents::default() };
    for tensor in header.tensors {
        let Some(dtype) = tensor.dtype else {
            contents.opaque.push(format!("{} ({})", tensor.name, tensor.type_name));
            continue;
        };
        let start = header.data_start + tensor.start as u64;
        let mut data = Vec::new();
        data.try_reserve_exact(tensor.end - tensor.start)
            .map_err(|_| damaged(path, format!("its array {} does not fit into memory", tensor.name)))?;
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.by_ref().take((tensor.end - tensor.start) as u64).read_to_end(&mut data))
            .map_err(|e| Error::io(path, "reading", &e))?;
        let array = Array::new(tensor.shape, dtype, Arc::new(data))
            .map_err(|e| damaged(path, format!("its array {} is wrong: {e}", tensor.name)))?;
        contents.arrays.push((tensor.name, array));
    }
    Ok(contents)
}

fn open(path: &Path) -> Result<(File, Header)> {
    let mut file = File::open(path).map_err(|e| Error::io(path, "opening", &e))?;
    let file_bytes = file.metadata().map_err(|e| Error::io(path, "reading", &e))?.len();
    let header = header(&mut file, file_bytes, path)?;
    Ok((file, header))
}

fn header(file: &mut impl Read, file_bytes: u64, path: &Path) -> Result<Header> {
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| damaged(path, "it ends within the length of its header"))?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER || length > file_bytes.saturating_sub(8) {
        let problem = format!("its header claims {length} bytes, in a file of {file_bytes} bytes");
        return Err(damaged(path, problem));
    }
    let mut text = Vec::new();
    file.take(length).read_to_end(&mut text).map_err(|e| Error::io(path, "reading", &e))?;
    let metadata: Metadata =
        serde_json::from_slice(&text).map_err(|e| damaged(path, format!("its header cannot be read ({e})")))?;
    describe(&metadata, 8 + length, file_bytes).map_err(|problem| damaged(path, problem))
}

/// What the header says. The crate has checked that the byte ranges fit the shapes and follow each other without gap
/// or overlap; that they end where the file ends is checked here.
fn describe(metadata: &Metadata, data_start: u64, file_bytes: u64) -> std::result::Result<Header, String> {
    let promised = metadata.data_len();
    if data_start.checked_add(promised as u64) != Some(file_bytes) {
        let held = file_bytes.saturating_sub(data_start);
        return Err(format!("its header promises {promised} bytes of numbers, and there are {held}"));
    }
    let tensors = metadata.offset_keys().into_iter().filter_map(|name| {
        let info = metadata.info(&name)?;
        let dtype = dtype_of(info.dtype);
        let type_name = dtype.map_or_else(|| format!("{:?}", info.dtype), |d| d.to_string());
        let (start, end) = info.data_offsets;
        Some(Described { name, shape: info.shape.clone(), dtype, type_name, start, end })
    });
    let tensors = tensors.collect();
    let mut notes: Vec<_> = metadata.metadata().clone().unwrap_or_default().into_iter().collect();
    notes.sort();
    Ok(Header { tensors, metadata: notes, data_start })
}

fn dtype_of(dtype: FileDtype) -> Option<Dtype> {
    Some(match dtype {
        FileDtype::BOOL => Dtype::Bool,
        FileDtype::U8 => Dtype::U8,
        FileDtype::I8 => Dtype::I8,
        FileDtype::U16 => Dtype::U16,
        FileDtype::I16 => Dtype::I16,
        FileDtype::U32 => Dtype::U32,
        FileDtype::I32 => Dtype::I32,
        FileDtype::U64 => Dtype::U64,
        FileDtype::I64 => Dtype::I64,
        FileDtype::F16 => Dtype::F16,
        FileDtype::BF16 => Dtype::Bf16,
        FileDtype::F32 => Dtype::F32,
        FileDtype::F64 => Dtype::F64,
        _ => return None,
    })
}
