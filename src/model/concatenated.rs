//! Channels that are laid beside x and are no part of what is noised: a small picture for super-resolution, a mask and what
//! it covers. x is what the output answers to.

use super::rows::{self, DataRows};
use crate::error::{Error, Result};
use crate::input::{Input, Values};
use crate::tensor_file::{one_entry, one_sample};
use lipscope_core::cli::args::ConditionSource;
use std::path::Path;
use tch::Tensor;

/// How many channels the array of `source` has, [C, H, W] or [N, C, H, W].
///
/// # Errors
/// It is no such array.
pub(super) fn channels(source: &ConditionSource) -> Result<i64> {
    let path = path(source)?;
    // The header says it: there may be one for each row of a large data set.
    match one_entry(path)?.as_ref().map(|entry| entry.shape.as_slice()) {
        Some([.., channels, _, _]) => Ok(*channels as i64),
        _ => read(path).map(|values| values.size()[1]),
    }
}

/// The array of `source` as a condition of samples of `shape` [C, H, W]: [C, H, W] the same for all of them; [N, C, H, W] one
/// for each row of the data, and drawn with it.
///
/// # Errors
/// It has another height or width than the samples, or another number of rows than the data.
pub(super) fn beside(source: &ConditionSource, shape: &[i64], data: DataRows) -> Result<Input> {
    let path = path(source)?;
    let values = read(path)?;
    let size = values.size();
    if shape.len() != 3 || shape[1..] != size[2..] {
        let problem = format!("its array has shape {:?}, and the samples have {shape:?}", &size[1..]);
        return Err(Error::file(path, problem, "Give channels of the samples' height and width."));
    }
    let same = size[0] == 1 && matches!(source, ConditionSource::Same(_));
    let values = if same { Values::Same(values) } else { Values::WithData(rows::by_row(path, values, data)?) };
    Ok(Input { name: "channels beside x".into(), values })
}

fn path(source: &ConditionSource) -> Result<&Path> {
    match source {
        ConditionSource::Same(path) | ConditionSource::Rows(path) => Ok(path),
        ConditionSource::Column(name) => {
            let allowed = "it names an array of the data's file, and --data names no file of arrays";
            Err(Error::argument("--concat", name, allowed, "Give a file, such as --concat low.npy."))
        }
    }
}

/// [1 or N, C, H, W].
fn read(path: &Path) -> Result<Tensor> {
    let values = one_sample(path)?;
    let values = match values.dim() {
        3 => values.unsqueeze(0),
        5 => values.squeeze_dim(0),
        _ => values,
    };
    if values.dim() == 4 && values.is_floating_point() && values.numel() > 0 {
        return Ok(values);
    }
    let problem = format!("its array has shape {:?} ({:?})", values.size(), values.kind());
    Err(Error::file(path, problem, "Give floating-point channels, [C, H, W] or one such array per row of the data."))
}
