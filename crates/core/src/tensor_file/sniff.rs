//! What a file is, by its content: the name is never looked at.

use super::archive::Archive;
use super::damage::damaged;
use super::source::Source;
use crate::error::Result;
use std::path::Path;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One NumPy array.
    Npy,
    /// A zip archive of NumPy arrays.
    Npz,
    /// Safetensors.
    Safetensors,
    /// What `torch.save` writes since PyTorch 1.6: a zip archive.
    TorchSave,
    /// What `torch.save` wrote before PyTorch 1.6, or writes with `_use_new_zipfile_serialization=False`.
    TorchSaveLegacy,
    /// A TorchScript module, as `torch.jit.save` writes it.
    TorchScript,
    /// A tar archive, as `torch.save` wrote it before PyTorch 0.2.
    Tar,
    /// What `torch.export.save` writes: a zip archive of a graph and its weights (`.pt2`).
    ExportedProgram,
    /// Another zip archive.
    Zip,
    /// A Python pickle that is none of the above.
    Pickle,
    /// JSON.
    Json,
    /// What Git leaves in place of a large file.
    LfsPointer,
    /// A web page.
    Html,
    /// Other text.
    Text,
    /// A file of no bytes.
    Empty,
    /// None of the above.
    Unknown,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Format::Npy => "a NumPy array (.npy)",
            Format::Npz => "an archive of NumPy arrays (.npz)",
            Format::Safetensors => "a safetensors file",
            Format::TorchSave => "a torch.save file",
            Format::TorchSaveLegacy => "a torch.save file in the format from before PyTorch 1.6",
            Format::TorchScript => "a TorchScript module",
            Format::Tar => "a tar archive",
            Format::ExportedProgram => "an exported program of torch.export",
            Format::Zip => "a zip archive without arrays",
            Format::Pickle => "a Python pickle",
            Format::Json => "JSON",
            Format::LfsPointer => "a Git LFS pointer, not the file itself",
            Format::Html => "a web page",
            Format::Text => "text",
            Format::Empty => "empty",
            Format::Unknown => "of no known format",
        })
    }
}

/// What was recognised in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sniffed {
    /// What the file is.
    pub format: Format,
    /// Top folder of a [`Format::TorchSave`] or [`Format::TorchScript`] archive.
    pub root: Option<String>,
    /// Text of `<root>/extra/lipscope.json`, which lipscope writes into its own TorchScript files.
    pub lipscope_json: Option<String>,
}

/// Most bytes of `extra/lipscope.json` that are read: it carries a few reference samples as numbers.
const MAX_EXTRA: u64 = 16 << 20;

/// Tells what `path` is. Reads its first bytes and, of an archive, the directory.
pub fn sniff(path: impl AsRef<Path>) -> Result<Sniffed> {
    let path = path.as_ref();
    let source = Source::open(path)?;
    let start = source.start(SNIFFED)?;
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return sniff_archive(path);
    }
    Ok(Sniffed { format: format_of(&start), root: None, lipscope_json: None })
}

/// Bytes that tell the format: those of a tar archive's first header.
const SNIFFED: u64 = 512;

/// `torch.save` before 1.6 began with the pickled number 0x1950a86a20f9469cfc6c.
const LEGACY_MAGIC: [u8; 12] = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

fn format_of(start: &[u8]) -> Format {
    if start.is_empty() {
        return Format::Empty;
    }
    if start.starts_with(b"\x93NUMPY") {
        return Format::Npy;
    }
    // Safetensors: the header's length in 8 bytes, then JSON. Lengths of honest headers end in zeros, and are looked at
    // before pickles, because a length such as 0x0280 begins like one.
    let is_json = start.get(8) == Some(&b'{');
    if is_json && start.get(4..8) == Some(&[0; 4]) {
        return Format::Safetensors;
    }
    if let [0x80, 0..=5, rest @ ..] = start {
        // From protocol 4 on pickles are cut into frames: an opcode and a length.
        let rest = if let [0x95, _, _, _, _, _, _, _, _, framed @ ..] = rest { framed } else { rest };
        return if rest.starts_with(&LEGACY_MAGIC) { Format::TorchSaveLegacy } else { Format::Pickle };
    }
    // A length that lies; one that is letters is text that happens to fit.
    if is_json && start.iter().take(8).any(|b| !is_text(*b)) {
        return Format::Safetensors;
    }
    if start.get(257..262) == Some(b"ustar") {
        return Format::Tar;
    }
    if start.iter().all(|&b| is_text(b)) || (std::str::from_utf8(start).is_ok() && !start.contains(&0)) {
        let text = start.trim_ascii_start();
        let begins = |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        return match text.first() {
            Some(b'{' | b'[') => Format::Json,
            _ if is_lfs_pointer(start) => Format::LfsPointer,
            _ if begins(b"<!doctype html") || begins(b"<html") => Format::Html,
            _ => Format::Text,
        };
    }
    Format::Unknown
}

/// Whether these are the first bytes of a Git LFS pointer (its specification fixes the first line).
pub fn is_lfs_pointer(start: &[u8]) -> bool {
    start.starts_with(b"version https://git-lfs")
}

fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace()
}

fn sniff_archive(path: &Path) -> Result<Sniffed> {
    let mut archive = Archive::open(path)?;
    let root = match roots(&archive).as_slice() {
        [] => {
            let arrays = archive.names().any(|name| name.ends_with(".npy"));
            let exported = archive.names().any(is_exported);
            let format = match (exported, arrays) {
                (true, _) => Format::ExportedProgram,
                (false, true) => Format::Npz,
                (false, false) => Format::Zip,
            };
            return Ok(Sniffed { format, root: None, lipscope_json: None });
        }
        [root] => root.clone(),
        [one, another, ..] => {
            let problem =
                format!("it holds two pickles, {one}/data.pkl and {another}/data.pkl, and which counts is open");
            return Err(damaged(path, problem));
        }
    };
    let code = format!("{root}/code/");
    let is_script =
        archive.has(&format!("{root}/constants.pkl")) && archive.names().any(|name| name.starts_with(&code));
    let extra = format!("{root}/extra/lipscope.json");
    let lipscope_json = if archive.has(&extra) {
        let text = String::from_utf8(archive.read(&extra, MAX_EXTRA)?);
        Some(text.map_err(|_| damaged(path, format!("its entry {extra} is not UTF-8")))?)
    } else {
        None
    };
    let format = if is_script { Format::TorchScript } else { Format::TorchSave };
    Ok(Sniffed { format, root: Some(root), lipscope_json })
}

/// Whether an entry of this name is the graph of `torch.export.save`, of PyTorch 2.1 to 2.7 and since.
fn is_exported(name: &str) -> bool {
    let name = name.split_once('/').map_or(name, |(_, below)| below);
    name.ends_with("serialized_exported_program.json") || (name.starts_with("models/") && name.ends_with(".json"))
}

/// Top folders with a `data.pkl`; an honest archive has one.
fn roots(archive: &Archive) -> Vec<String> {
    let root = |name: &str| name.strip_suffix("/data.pkl").filter(|root| !root.contains('/')).map(str::to_string);
    archive.names().filter_map(root).take(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        for (start, format) in [
            (&b""[..], Format::Empty),
            (b"\x93NUMPY\x01\x00", Format::Npy),
            (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", Format::TorchSaveLegacy),
            (b"\x80\x04\x95\x0d\0\0\0\0\0\0\0\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", Format::TorchSaveLegacy),
            (b"\x80\x04\x95", Format::Pickle),
            (b"\x40\0\0\0\0\0\0\0{\"a\"", Format::Safetensors),
            (b"\x80\0\0\0\0\0\0\0{\"a\"", Format::Safetensors),
            (b"\x80\x02\0\0\0\0\0\0{\"a\"", Format::Safetensors),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff{", Format::Safetensors),
            (b"function{ return }", Format::Text),
            (b" \n{\"a\": 1}", Format::Json),
            ("über".as_bytes(), Format::Text),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:", Format::LfsPointer),
            (b"\n<!DOCTYPE HTML>\n<html>", Format::Html),
            (b"\xff\xd8\xff\xe0", Format::Unknown),
        ] {
            assert_eq!(format_of(start), format, "{start:?}");
        }
    }
}
