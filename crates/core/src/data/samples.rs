//! A loaded data set.

use super::fit::fit;
use super::scaling::{Scaling, integer_range, integer_warning, range_warning};
use super::{LoadOptions, Raw, chosen};
use crate::error::{Error, Result};
use crate::tensor_file::{Array, Dtype};
use ndarray::Array2;
use sha2::{Digest, Sha256};

/// A data set as numbers that a model sees.
#[derive(Debug, Clone)]
pub struct Samples {
    /// One flattened sample per row, [N, D].
    pub images: Array2<f32>,
    /// Shape of one sample, [C, H, W] or `[D]`; its product is D.
    pub shape: Vec<usize>,
    /// How stored values became these numbers.
    pub scaling: Scaling,
    /// Class of every sample, where the source has them.
    pub labels: Option<Vec<i64>>,
    /// What a user should know about these numbers.
    pub warnings: Vec<String>,
    /// Where they come from.
    pub description: String,
    /// SHA-256 of `images`, as little-endian float32 in row-major order; in hexadecimal.
    pub sha256: String,
}

impl Samples {
    /// Fits, selects, scales and checks what a source gave.
    pub(super) fn new(raw: Raw, options: &LoadOptions, limit: Option<usize>) -> Result<Self> {
        let Raw { array, scaling, labels, description, mut warnings } = raw;
        let fit = fit(array.shape(), &options.want)?;
        let count = array.shape().first().copied().unwrap_or(0);
        let rows = chosen(count, limit);
        if rows.is_empty() || array.is_empty() {
            let problem = format!("{description}: there are no samples (its shape is {:?})", array.shape());
            return Err(Error::mismatch(problem, "Give at least one sample."));
        }
        let array = if rows.len() < count { array.rows(&rows) } else { array };
        let labels = pick_labels(labels, count, &rows, &mut warnings);
        warnings.extend(fit.note);
        let scaling = match options.scale {
            Some(asked) => asked.scaling(),
            None => default_scaling(&array, scaling, &mut warnings)?,
        };
        let mut numbers = array.map(|stored| scaling.apply(stored) as f32);
        refuse_non_finite(&numbers, array.shape(), &rows, &description)?;
        let width = numbers.len() / rows.len();
        if fit.channels_last {
            numbers = channels_first(&numbers, width, fit.sample.first().copied().unwrap_or(1));
        }
        let sha256 = sha256(&numbers);
        let images = Array2::from_shape_vec((rows.len(), width), numbers).map_err(|e| {
            Error::mismatch(format!("{description} does not divide into samples ({e})"), "Check its shape.")
        })?;
        Ok(Self { images, shape: fit.sample, scaling, labels, warnings, description, sha256 })
    }
}

pub(super) fn pick_labels(
    labels: Option<Vec<i64>>,
    count: usize,
    rows: &[usize],
    warnings: &mut Vec<String>,
) -> Option<Vec<i64>> {
    let labels = labels?;
    if labels.len() != count {
        warnings.push(format!("the data has {count} samples but {} labels; the labels are left out.", labels.len()));
        return None;
    }
    Some(rows.iter().filter_map(|&row| labels.get(row).copied()).collect())
}

/// The scaling that goes with the type: integers are images of 0…255, floats are taken as they are.
fn default_scaling(array: &Array, own: Option<Scaling>, warnings: &mut Vec<String>) -> Result<Scaling> {
    if let Some(scaling) = own {
        return Ok(scaling);
    }
    check_range(array.dtype(), range(array), warnings)?;
    Ok(Scaling::of(array.dtype()))
}

/// The smallest and the largest value of an array; of none, the infinities that any number lies within.
pub(super) fn range(array: &Array) -> (f64, f64) {
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    array.map(|x| (min, max) = (min.min(x), max.max(x)));
    (min, max)
}

/// What is odd about values of a type between `min` and `max`, whose scaling is that of the type.
///
/// # Errors
/// Integers that are no bytes.
pub(super) fn check_range(dtype: Dtype, (min, max): (f64, f64), warnings: &mut Vec<String>) -> Result<()> {
    if dtype.is_float() {
        // Values that are not finite have their own error.
        warnings.extend(Some(range_warning(min, max)).filter(|_| min.is_finite() && max.is_finite()).flatten());
        return Ok(());
    }
    if dtype == Dtype::Bool {
        return Ok(());
    }
    if min < 0.0 || max > 255.0 {
        let problem = format!("the data is {dtype} between {min} and {max}, and integers are images of 0…255");
        let (low, high) = integer_range(dtype, min, max);
        let next = format!("Say --scale {low}..{high} to map that range to [−1, 1], or --scale none.");
        return Err(Error::mismatch(problem, next));
    }
    warnings.extend(integer_warning(max));
    Ok(())
}

fn refuse_non_finite(numbers: &[f32], shape: &[usize], rows: &[usize], description: &str) -> Result<()> {
    let Some(first) = numbers.iter().position(|x| !x.is_finite()) else { return Ok(()) };
    let count = numbers.iter().filter(|x| !x.is_finite()).count();
    let mut index = Vec::new();
    let mut rest = first;
    for &n in shape.iter().rev() {
        index.push(rest % n.max(1));
        rest /= n.max(1);
    }
    index.reverse();
    // Among all samples of the file, not among the chosen ones.
    if let Some(row) = index.first_mut() {
        *row = rows.get(*row).copied().unwrap_or(*row);
    }
    let problem = format!(
        "{description}: {count} of its {} values are not finite numbers in float32, the first at index {index:?}",
        numbers.len()
    );
    Err(Error::mismatch(problem, "Remove or replace those samples."))
}

/// [N, H, W, C] to [N, C, H, W].
pub(super) fn channels_first(numbers: &[f32], width: usize, channels: usize) -> Vec<f32> {
    let planes = |sample: &[f32]| -> Vec<f32> {
        (0..channels).flat_map(|c| sample.iter().skip(c).step_by(channels.max(1)).copied()).collect()
    };
    numbers.chunks_exact(width.max(1)).flat_map(planes).collect()
}

/// SHA-256 of float32 numbers, little-endian.
pub fn sha256(numbers: &[f32]) -> String {
    let mut hash = Sha256::new();
    for chunk in numbers.chunks(1 << 14) {
        let bytes: Vec<u8> = chunk.iter().flat_map(|x| x.to_le_bytes()).collect();
        hash.update(&bytes);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
