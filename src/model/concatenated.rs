//! Channels that are laid beside x and are no part of what is noised: a small picture for super-resolution, a mask and what
//! it covers. x is what the output answers to.

use crate::error::{Error, Result};
use crate::guidance::{Beside, Source};
use crate::network::torchscript::{file_and_array, one_sample};
use crate::tensor_file;
use std::path::Path;
use tch::Tensor;

/// How many channels the array at `path` has, [C, H, W] or [N, C, H, W].
///
/// # Errors
/// It is no such array.
pub(super) fn channels(path: &Path) -> Result<i64> {
    let text = path.to_string_lossy();
    let (file, wanted) = file_and_array(path, &text);
    let entries = tensor_file::entries(file)?.entries;
    let mut meant = entries.iter().filter(|entry| wanted.is_none_or(|wanted| entry.name == wanted));
    match (meant.next().map(|entry| entry.shape.as_slice()), meant.next()) {
        // The header says it: there may be one for each row of a large data set.
        (Some([.., channels, _, _]), None) => Ok(*channels as i64),
        _ => read(path).map(|values| values.size()[1]),
    }
}

/// The array at `path` as a condition of samples of `shape` [C, H, W]: [C, H, W] the same for all of them; [N, C, H, W] one for
/// each of the `rows` of the data, and drawn with it.
///
/// # Errors
/// It has another height or width than the samples, or another number of rows than the data.
pub(super) fn beside(path: &Path, shape: &[i64], rows: Option<usize>) -> Result<Beside> {
    let values = read(path)?;
    let size = values.size();
    if shape.len() != 3 || shape[1..] != size[2..] {
        let problem = format!("its array has shape {:?}, and the samples have {shape:?}", &size[1..]);
        return Err(Error::file(path, problem, "Give channels of the samples' height and width."));
    }
    match (size[0], rows) {
        (1, _) => Ok(Beside { source: Source::Same(()), values }),
        (count, Some(rows)) if count as usize == rows => Ok(Beside { source: Source::WithData, values }),
        (count, rows) => {
            let data = rows.map_or_else(|| "is made anew".into(), |rows| format!("has {rows}"));
            Err(Error::file(
                path,
                format!("it has {count} rows, one for each row of the data, and the data {data}"),
                "Give as many, in the order of the data, or one array [C, H, W] for all samples.",
            ))
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
