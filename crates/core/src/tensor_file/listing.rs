//! What a file holds, without its numbers.

use super::pickle::Value;
use super::sniff::Format;

/// One array of a [`Listing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as in [`NamedArrays`](super::NamedArrays).
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
    /// As in [`NamedArrays`](super::NamedArrays).
    pub opaque: Vec<String>,
    /// As in [`NamedArrays`](super::NamedArrays).
    pub metadata: Vec<(String, String)>,
    /// As in [`NamedArrays`](super::NamedArrays).
    pub tree: Option<Value>,
}

/// Most values that are given, levels that are looked through, and letters of a name or a text.
const MOST: usize = 1_000;
const LEVELS: usize = 3;
const LETTERS: usize = 1_000;

impl Listing {
    pub(super) fn new(format: Format) -> Self {
        Self { format, entries: Vec::new(), opaque: Vec::new(), metadata: Vec::new(), tree: None }
    }

    /// Numbers and texts that were saved beside the tensors, such as `epoch` or `hyper_parameters.lr`, by dotted name.
    /// Those within lists and below the third level of dicts, and texts of over a thousand letters, are left out.
    pub fn values(&self) -> Vec<(String, &Value)> {
        let mut found = Vec::new();
        if let Some(tree) = &self.tree {
            collect(tree, "", LEVELS, &mut found);
        }
        found
    }
}

fn collect<'a>(value: &'a Value, name: &str, levels: usize, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Dict(entries) if levels > 0 => {
            for (key, value) in entries {
                let within = if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
                if found.len() < MOST {
                    collect(value, &within, levels - 1, found);
                }
            }
        }
        Value::Opaque { state: Some(state), .. } => collect(state, name, levels, found),
        Value::Str(text) if text.len() > LETTERS => {}
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => found.push((name.to_string(), value)),
        _ => {}
    }
}
