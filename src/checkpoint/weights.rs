//! Sets of weights in one checkpoint: averages and the raw ones beside them, and which of them is meant.

use super::{Request, Training, all_finite};
use crate::error::{Error, Result};
use crate::tensor_file::{self, Array};
use ndarray::Array2;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Kind, Tensor};

/// Name of the array of reference samples, [N, …].
pub(super) const REFERENCE: &str = "reference_samples";

/// A few clean samples that a checkpoint carries.
#[derive(Debug, Clone)]
pub struct Reference {
    /// One flattened sample per row.
    pub images: Array2<f32>,
    /// Shape of one sample.
    pub shape: Vec<i64>,
}

/// The set that `asked` names among those of `training`: `ema` is the first average. Without a question the default.
pub(super) fn choose<'a>(training: Option<&'a Training>, asked: Option<&str>, path: &Path) -> Result<Option<&'a str>> {
    let Some(asked) = asked else { return Ok(training.map(|training| training.weights.as_str())) };
    let Some(training) = training else {
        return Err(Error::file(
            path,
            "it holds one set of weights, with no names to choose from",
            "Leave out --weights.",
        ));
    };
    let matches = |name: &&String| *name == asked || asked == "ema" && name.starts_with("ema-");
    match training.all_weights.iter().find(matches) {
        Some(name) => Ok(Some(name)),
        None => Err(Error::argument(
            "--weights",
            asked,
            format!("{} holds {}", path.display(), training.all_weights.join(", ")),
            "Choose one of them.",
        )),
    }
}

/// An array on the device that is asked for, and in the dtype. One after the other, so that all weights together are in
/// memory once, in the dtype of the network.
///
/// Vectors stay in the file's dtype until there is a network: some are frequencies of its time embedding, which are never
/// narrowed. So does what float16 cannot hold.
pub(super) fn placed(array: &Array, request: &Request) -> Result<Tensor> {
    let own = tensor_file::kind(array.dtype())?;
    let as_in_file = || tensor_file::converted(array, (own, request.device));
    let Some(kind) = request.kind.filter(|_| array.shape().len() > 1 && array.dtype().is_float()) else {
        return as_in_file();
    };
    let tensor = tensor_file::converted(array, (kind, request.device))?;
    if kind == Kind::Half && !all_finite(&tensor) { as_in_file() } else { Ok(tensor) }
}

/// Tensors where and as they are asked for, by the part of their names behind `prefix`; others are left out.
pub(super) fn tensors(
    arrays: Vec<(String, Array)>,
    prefix: Option<&str>,
    request: &Request,
) -> Result<BTreeMap<String, Tensor>> {
    let mut tensors = BTreeMap::new();
    for (name, array) in arrays {
        let name = match prefix {
            Some(prefix) => name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).map(str::to_string),
            None => Some(name).filter(|name| !name.contains('/') && name != REFERENCE),
        };
        let Some(name) = name else { continue };
        tensors.insert(name, placed(&array, request)?);
    }
    Ok(tensors)
}

/// The reference samples among arrays, where they are there.
pub(super) fn reference(arrays: &[(String, Array)], path: &Path) -> Result<Option<Reference>> {
    let Some((_, array)) = arrays.iter().find(|(name, _)| name == REFERENCE) else { return Ok(None) };
    let bad = |problem: &str| {
        Error::file(path, format!("its reference samples {problem}"), "Give --data to measure on other samples.")
    };
    let [count, shape @ ..] = array.shape() else { return Err(bad("are a single number")) };
    let images = array.map(|x| x as f32);
    if *count == 0 || shape.is_empty() || images.is_empty() || images.iter().any(|x| !x.is_finite()) {
        return Err(bad("are empty or not finite"));
    }
    let width = images.len() / count;
    let images = Array2::from_shape_vec((*count, width), images).map_err(|_| bad("do not divide into samples"))?;
    Ok(Some(Reference { images, shape: shape.iter().map(|n| *n as i64).collect() }))
}
