//! `FILE.npy|.npz|.safetensors|.pt`: an array of samples, and labels if it has them.

use super::Raw;
use crate::error::{Error, Result};
use crate::tensor_file::{self, Array};
use std::path::Path;

/// Names of the samples, the first that is there.
const SAMPLES: [&str; 5] = ["x0", "images", "data", "x", "arr_0"];
/// Names of the labels.
const LABELS: [&str; 4] = ["labels", "label", "y", "targets"];

/// The samples of a file, whatever its format.
pub(super) fn load(path: &Path) -> Result<Raw> {
    let contents = tensor_file::read(path)?;
    let others: Vec<&(String, Array)> =
        contents.arrays.iter().filter(|(name, _)| !LABELS.contains(&name.as_str())).collect();
    let chosen = SAMPLES.iter().find_map(|name| contents.get(name).map(|array| (*name, array)));
    let (name, array) = match (chosen, others.as_slice()) {
        (Some(found), _) => found,
        (None, [(name, array)]) => (name.as_str(), array),
        _ => {
            let names = contents.names();
            let some: Vec<&str> = names.iter().take(20).copied().collect();
            let more = if names.len() > some.len() { ", …" } else { "" };
            let problem = format!(
                "it holds {} arrays ({}{more}), and which has the samples is not clear",
                names.len(),
                some.join(", ")
            );
            return Err(Error::file(
                path,
                problem,
                format!("Name the one with the samples {}.", SAMPLES.join(", or ")),
            ));
        }
    };
    let labels = LABELS.iter().find_map(|label| contents.get(label)).filter(|array| array.shape().len() == 1);
    let unnamed = name == tensor_file::UNNAMED;
    let place = if unnamed { path.display().to_string() } else { format!("`{name}` of {}", path.display()) };
    Ok(Raw {
        array: array.clone(),
        scaling: None,
        labels: labels.and_then(Array::to_i64),
        description: format!("{place}, {:?} of {}", array.shape(), array.dtype()),
        warnings: Vec::new(),
    })
}
