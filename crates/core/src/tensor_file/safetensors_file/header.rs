//! The header of a safetensors file, read with distrust: every name once, byte ranges that fit the shapes and cover the
//! numbers without gap or overlap, as <https://github.com/huggingface/safetensors> demands.

use crate::tensor_file::array::{Dtype, byte_len};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// What a header says.
#[derive(Debug, Default)]
pub(super) struct Header {
    /// In the order of their numbers.
    pub tensors: Vec<Described>,
    /// Sorted by key.
    pub metadata: Vec<(String, String)>,
}

/// One array.
#[derive(Debug)]
pub(super) struct Described {
    pub name: String,
    pub shape: Vec<usize>,
    /// `None` for types that hold no plain numbers here.
    pub dtype: Option<Dtype>,
    pub type_name: String,
    /// Where its bytes begin and end, counted from the end of the header.
    pub start: u64,
    pub end: u64,
}

/// Most axes of an array.
const MAX_AXES: usize = 32;

/// Reads a header whose file has `numbers` bytes after it.
pub(super) fn parse(text: &[u8], numbers: u64) -> Result<Header, String> {
    let mut header: Header = serde_json::from_slice(text).map_err(|e| format!("its header cannot be read ({e})"))?;
    header.metadata.sort();
    header.tensors.sort_by_key(|tensor| (tensor.start, tensor.end));
    let mut end = 0;
    for tensor in &header.tensors {
        tensor.check(end)?;
        end = tensor.end;
    }
    if end != numbers {
        return Err(format!("its header promises {end} bytes of numbers, and there are {numbers}"));
    }
    Ok(header)
}

impl Described {
    /// Checks an array whose bytes should begin at `expected`.
    fn check(&self, expected: u64) -> Result<(), String> {
        let Described { name, start, end, .. } = self;
        if start != &expected || end < start {
            let why = if *start < expected { "overlaps another" } else { "leaves a gap" };
            return Err(match end < start {
                true => format!("its array {name} ends at byte {end} before it begins at byte {start}"),
                false => format!("its array {name} {why}: it begins at byte {start}, and byte {expected} comes next"),
            });
        }
        let Some(dtype) = self.dtype else { return Ok(()) };
        let wanted = byte_len(&self.shape, dtype).map_err(|problem| format!("its array {name} is wrong: {problem}"))?;
        if end - start != wanted as u64 {
            return Err(format!(
                "its array {name} is wrong: {:?} of {dtype} takes {wanted} bytes, and it has {}",
                self.shape,
                end - start
            ));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("arrays by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header::default();
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("two of its arrays are called {name}")));
            }
            if name == "__metadata__" {
                header.metadata = map.next_value::<Metadata>()?.0;
                continue;
            }
            let Info { dtype, shape, data_offsets: (start, end) } = map.next_value()?;
            let (dtype, type_name) = type_of(dtype);
            header.tensors.push(Described { name, shape: shape.0, dtype, type_name, start, end });
        }
        Ok(header)
    }
}

#[derive(Deserialize)]
struct Info {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

struct Shape(Vec<usize>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "up to {MAX_AXES} lengths")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut shape = Vec::new();
        while let Some(length) = seq.next_element()? {
            if shape.len() == MAX_AXES {
                return Err(A::Error::invalid_length(MAX_AXES + 1, &self));
            }
            shape.push(length);
        }
        Ok(Shape(shape))
    }
}

/// `__metadata__`: texts by name.
struct Metadata(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("texts by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let mut entries = Vec::new();
        let mut names = HashSet::new();
        while let Some((name, text)) = map.next_entry::<String, String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("two of its notes are called {name}")));
            }
            entries.push((name, text));
        }
        Ok(Metadata(entries))
    }
}

/// The type that the format calls `word`; where it holds no plain numbers here, the word itself.
fn type_of(word: String) -> (Option<Dtype>, String) {
    let dtype = match word.as_str() {
        "BOOL" => Dtype::Bool,
        "U8" => Dtype::U8,
        "I8" => Dtype::I8,
        "U16" => Dtype::U16,
        "I16" => Dtype::I16,
        "U32" => Dtype::U32,
        "I32" => Dtype::I32,
        "U64" => Dtype::U64,
        "I64" => Dtype::I64,
        "F16" => Dtype::F16,
        "BF16" => Dtype::Bf16,
        "F32" => Dtype::F32,
        "F64" => Dtype::F64,
        _ => return (None, word),
    };
    (Some(dtype), dtype.to_string())
}
