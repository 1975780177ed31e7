//! `FILE.npy|.npz|.safetensors|.pt`: an array of samples, and labels if it has them; `FILE#ARRAY` for one of several.
//!
//! A list of arrays of one shape and type, as `torch.save([x, x, …])` writes it, is one array with an axis more.

use super::Raw;
use crate::error::{Error, Result};
use crate::tensor_file::{self, Array, Dtype, NamedArrays};
use std::path::Path;
use std::sync::Arc;

/// Names of the samples, the first that is there.
const SAMPLES: [&str; 5] = ["x0", "images", "data", "x", "arr_0"];
/// Names of the labels.
const LABELS: [&str; 4] = ["labels", "label", "y", "targets"];
/// How the name of labels follows from that of their samples: Keras' and MedMNIST's files.
const PAIRS: [(&str, &str); 2] = [("images", "labels"), ("x", "y")];
/// Names that are listed where it is open which is meant.
const LISTED: usize = 20;

/// The samples of a file, whatever its format: those `wanted`, or those that cannot be mistaken.
pub(super) fn load(path: &Path, wanted: Option<&str>) -> Result<Raw> {
    let contents = tensor_file::read(path)?;
    let (name, array) = match wanted {
        Some(name) => named(&contents, name).map(|array| (name.to_string(), array)).ok_or_else(|| {
            let problem = format!("it has no array `{name}`; it has {}", listed(&contents));
            Error::file(path, problem, "Name one of them behind the #.")
        })?,
        None => only(&contents).ok_or_else(|| ambiguous(path, &contents))?,
    };
    let labels = LABELS.iter().map(|label| label.to_string()).chain(counterparts(&name));
    let labels = labels.filter_map(|label| contents.get(&label).cloned()).find(|array| array.shape().len() == 1);
    let unnamed = name == tensor_file::UNNAMED;
    let place = if unnamed { path.display().to_string() } else { format!("`{name}` of {}", path.display()) };
    Ok(Raw {
        scaling: None,
        labels: labels.as_ref().and_then(Array::to_i64),
        description: describe(&place, array.shape(), array.dtype()),
        array,
        warnings: Vec::new(),
    })
}

/// What an array is called.
pub(super) fn describe(place: &str, shape: &[usize], dtype: Dtype) -> String {
    format!("{place}, {shape:?} of {dtype}")
}

/// The array of this name, or the list of arrays.
fn named(contents: &NamedArrays, name: &str) -> Option<Array> {
    contents.get(name).cloned().or_else(|| list(contents, &format!("{name}.")))
}

/// The array that has one of the usual names, else the only one beside labels, else the list that the file is.
fn only(contents: &NamedArrays) -> Option<(String, Array)> {
    let usual = SAMPLES.iter().find_map(|name| Some((name.to_string(), named(contents, name)?)));
    let mut others = contents.arrays.iter().filter(|(name, _)| !LABELS.contains(&name.as_str()));
    let alone = || match (others.next(), others.next()) {
        (Some(only), None) => Some(only.clone()),
        _ => None,
    };
    usual.or_else(alone).or_else(|| Some((tensor_file::UNNAMED.to_string(), list(contents, "")?)))
}

/// The arrays `{prefix}0`, `{prefix}1`, … of one shape and type, one above the other; `None` where others are below it too.
fn list(contents: &NamedArrays, prefix: &str) -> Option<Array> {
    let below = contents.arrays.iter().filter_map(|(name, array)| Some((name.strip_prefix(prefix)?, array)));
    let parts: Vec<&Array> = below
        .enumerate()
        .map(|(i, (name, array))| (name == i.to_string()).then_some(array))
        .collect::<Option<Vec<&Array>>>()?;
    let first = parts.first().filter(|_| parts.len() > 1)?;
    if parts.iter().any(|part| part.shape() != first.shape() || part.dtype() != first.dtype()) {
        return None;
    }
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.bytes()).copied().collect();
    let shape = [&[parts.len()], first.shape()].concat();
    Array::new(shape, first.dtype(), Arc::new(bytes)).ok()
}

fn counterparts(name: &str) -> Vec<String> {
    PAIRS
        .iter()
        .filter(|(samples, _)| name.contains(samples))
        .map(|(samples, labels)| name.replace(samples, labels))
        .collect()
}

fn listed(contents: &NamedArrays) -> String {
    let names = contents.names();
    let some: Vec<&str> = names.iter().take(LISTED).copied().collect();
    format!("{}{}", some.join(", "), if names.len() > some.len() { ", …" } else { "" })
}

fn ambiguous(path: &Path, contents: &NamedArrays) -> Error {
    // More than labels have.
    let axes = |array: &Array| array.shape().len() > 1;
    let likely = contents.arrays.iter().find(|(_, array)| axes(array)).or(contents.arrays.first());
    let Some((example, _)) = likely else {
        return Error::file(path, "it holds no arrays", "Give a file with an array of samples.");
    };
    let count = contents.arrays.len();
    let problem = format!("it holds {count} arrays ({}), and which has the samples is not clear", listed(contents));
    Error::file(path, problem, format!("Say which behind a #, such as {}#{example}.", path.display()))
}
