//! Data sets: x₀, as numbers that a model sees.
//!
//! `--data` is read into a [`DataSpec`]; [`DataSpec::open`] gives [`Samples`], which are held in memory, or [`Indexed`]
//! ones, which are read from disk one by one. A new source is one file here, one member of [`DataSpec`], and one line in its
//! parser and in `held`; one that can be read by index is a file in `stored` instead.

mod array_file;
mod bytes;
mod cifar10;
mod digits;
mod distribution;
mod fit;
mod images;
mod indexed;
mod mnist;
mod mnist_1000;
mod points;
mod samples;
mod scaling;
mod spec;
mod stored;
mod survey;

use crate::error::{Error, Result};
use crate::tensor_file::{Array, Dtype};
use std::sync::Arc;

pub use bytes::ByteSize;
pub use distribution::{GaussianParameters, MixtureParameters, Spread};
pub use indexed::Indexed;
pub use points::{Points, Shape, eight_gaussians};
pub use samples::Samples;
pub use samples::sha256;
pub use scaling::{ScaleOverride, Scaling};
pub use spec::{DataSpec, GaussianSpec};
pub use survey::{Survey, WHOLE};

/// What a model takes, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SampleShape {
    /// Shape of one sample, such as [C, H, W].
    pub sample: Option<Vec<i64>>,
    /// Number of channels, where at least that is known.
    pub channels: Option<i64>,
    /// Whether other heights and widths than `sample`'s are fine.
    pub resizable: bool,
    /// Of sequences of any length, [L, row]: the numbers in a row.
    pub row: Option<i64>,
}

impl std::fmt::Display for SampleShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.sample, self.channels, self.row) {
            (Some(sample), _, _) => write!(f, "of shape {sample:?}"),
            (None, Some(channels), _) => write!(f, "of {channels} channels"),
            (None, None, Some(width)) => write!(f, "[L, {width}], sequences of any length L"),
            (None, None, None) => f.write_str("of another shape"),
        }
    }
}

/// How to load a data set.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// What the samples must fit.
    pub want: SampleShape,
    /// `--scale`.
    pub scale: Option<ScaleOverride>,
    /// At most this many samples: ⌊i N / limit⌋ for i = 0, 1, …, evenly spaced over the N there are. Of pictures no others
    /// are decoded.
    pub limit: Option<usize>,
    /// Up to how many bytes of float32 numbers [`DataSpec::open`] holds in memory.
    pub memory: ByteSize,
}

/// A data set as its source gives it, before scaling.
struct Raw {
    /// [N, …].
    array: Array,
    /// The source's own scaling; `None` leaves it to the array's type.
    scaling: Option<Scaling>,
    labels: Option<Vec<i64>>,
    description: String,
    warnings: Vec<String>,
}

impl Raw {
    /// Images of one byte per value.
    fn bytes(shape: Vec<usize>, pixels: Vec<u8>, description: String) -> Result<Self> {
        let array = Array::new(shape, Dtype::U8, Arc::new(pixels))
            .map_err(|e| Error::mismatch(format!("{description} cannot be read: {e}"), "Check the files."))?;
        Ok(Self { array, scaling: Some(Scaling::BYTES), labels: None, description, warnings: Vec::new() })
    }
}

/// A data set, opened.
#[derive(Debug)]
pub enum Set {
    /// In memory.
    Held(Samples),
    /// On disk.
    Indexed(Indexed),
}

impl Set {
    /// Number of samples.
    pub fn count(&self) -> usize {
        match self {
            Set::Held(samples) => samples.images.nrows(),
            Set::Indexed(indexed) => indexed.len(),
        }
    }

    /// Shape of one sample.
    pub fn shape(&self) -> &[usize] {
        match self {
            Set::Held(samples) => &samples.shape,
            Set::Indexed(indexed) => &indexed.shape,
        }
    }

    /// Sample `row`, flattened, into `out`.
    ///
    /// # Errors
    /// It cannot be read from disk.
    pub fn read(&self, row: usize, out: &mut [f32]) -> Result<()> {
        match self {
            Set::Held(samples) => out.iter_mut().zip(samples.images.row(row)).for_each(|(to, from)| *to = *from),
            Set::Indexed(indexed) => indexed.read(row, out)?,
        }
        Ok(())
    }
}

/// Index of sample `i` of `limit` that are evenly spaced over `count`.
pub(crate) fn spaced(i: usize, count: usize, limit: usize) -> usize {
    (i as u128 * count as u128 / limit.max(1) as u128) as usize
}

/// Indices of `limit` of `count` samples, evenly spaced; all of them without a limit.
pub fn chosen(count: usize, limit: Option<usize>) -> Vec<usize> {
    match limit {
        Some(limit) if limit < count => (0..limit).map(|i| spaced(i, count, limit)).collect(),
        _ => (0..count).collect(),
    }
}

impl DataSpec {
    /// The shape that samples have by themselves, where no model says one: that of the first of the pictures.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn own_shape(&self) -> Result<Option<Vec<i64>>> {
        stored::own_shape(self)
    }

    /// Opens the data set: in memory where it fits there or cannot be read by index, else on disk.
    ///
    /// # Errors
    /// It cannot be read, or does not fit; `gaussian`, `mixture` and `model` hold no samples.
    pub fn open(&self, options: &LoadOptions) -> Result<Set> {
        match stored::open(self, options)? {
            None => self.held(options).map(Set::Held),
            Some(stored) => match Indexed::new(stored, options)? {
                indexed if indexed.bytes() > options.memory.0 => Ok(Set::Indexed(indexed)),
                // An array is read whole faster than by rows.
                _ if matches!(self, DataSpec::File(..)) => self.held(options).map(Set::Held),
                indexed => indexed.hold(options).map(Set::Held),
            },
        }
    }

    /// Loads the data set into memory. `gaussian`, `mixture` and `model` hold no samples, and are refused.
    pub fn load(&self, options: &LoadOptions) -> Result<Samples> {
        match self.open(&LoadOptions { memory: ByteSize(u64::MAX), ..options.clone() })? {
            Set::Held(samples) => Ok(samples),
            Set::Indexed(indexed) => indexed.hold(options),
        }
    }

    fn held(&self, options: &LoadOptions) -> Result<Samples> {
        let raw = match self {
            DataSpec::Digits => digits::load()?,
            DataSpec::Mnist1000 => mnist_1000::load()?,
            DataSpec::Points(points) => points.load()?,
            DataSpec::Mnist(folder) => mnist::load(folder)?,
            DataSpec::Cifar10(folder) => cifar10::load(folder)?,
            DataSpec::File(path, array) => array_file::load(path, array.as_deref())?,
            _ => {
                let allowed = "only a set of samples can be loaded here";
                return Err(Error::argument("--data", self, allowed, "Give digits, a file or a folder."));
            }
        };
        Samples::new(raw, options, options.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn a_limit_spreads_over_the_whole_set() {
        assert_eq!(chosen(10, Some(4)), [0, 2, 5, 7]);
        assert_eq!(chosen(3, Some(5)), [0, 1, 2]);
        assert_eq!(chosen(3, None), [0, 1, 2]);
        assert_eq!(chosen(3, Some(0)), [0usize; 0]);
    }
}
