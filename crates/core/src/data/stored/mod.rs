//! Samples on disk that are read one at a time, by their place in the set: what a set larger than memory needs.
//!
//! A new layout is one file here, and one line in [`open`].

mod files;
mod folder;
mod npy;
mod parquet;
mod tar;

use super::images::{self, Size};
use super::scaling::Scaling;
use super::{DataSpec, LoadOptions};
use crate::error::{Error, Result};
use crate::tensor_file::{Array, Dtype};
use std::path::PathBuf;
use std::sync::Arc;

/// A set on disk. Everything can be asked from several threads at once.
pub(super) trait Stored: Send + Sync {
    /// The shape of the whole set, [N, …].
    fn shape(&self) -> &[usize];

    /// Type of the stored values.
    fn dtype(&self) -> Dtype;

    /// The scaling that goes with the source; `None` leaves it to the type.
    fn scaling(&self) -> Option<Scaling>;

    /// The stored values of sample `place`, below N.
    fn read(&self, place: usize) -> Result<Array>;

    /// Names and sizes: what tells this set from another without reading it.
    fn listing(&self, add: &mut dyn FnMut(&[u8])) -> Result<()>;

    /// The class of every sample, where the source has them.
    fn labels(&self) -> Option<Vec<i64>>;

    /// Where the samples come from; `count` of them are used.
    fn description(&self, count: usize) -> String;
}

/// The set of a source that can be read by index; `None` of sources that are always held in memory.
pub(super) fn open(spec: &DataSpec, options: &LoadOptions) -> Result<Option<Box<dyn Stored>>> {
    let pictures = |size: Size, encoded: Box<dyn Encoded>| -> Option<Box<dyn Stored>> {
        let shape = [encoded.count(), size.channels, size.height as usize, size.width as usize];
        Some(Box::new(Pictures { encoded, size, shape }))
    };
    let size = || images::size(&options.want);
    Ok(match spec {
        DataSpec::Images(folder) => pictures(size()?, Box::new(folder::Folder::open(folder)?)),
        DataSpec::Tar(pattern) => pictures(size()?, Box::new(tar::Shards::open(pattern)?)),
        DataSpec::Parquet(pattern, column) => {
            pictures(size()?, Box::new(parquet::Tables::open(pattern, column.as_deref())?))
        }
        DataSpec::File(path, array) => {
            npy::open(path, array.as_deref())?.map(|rows| -> Box<dyn Stored> { Box::new(rows) })
        }
        _ => None,
    })
}

/// Channels, height and width of the first picture of a set of pictures; `None` of other sets.
pub(super) fn own_shape(spec: &DataSpec) -> Result<Option<Vec<i64>>> {
    let first: Box<dyn Encoded> = match spec {
        DataSpec::Tar(pattern) => Box::new(tar::Shards::open(pattern)?),
        DataSpec::Parquet(pattern, column) => Box::new(parquet::Tables::open(pattern, column.as_deref())?),
        DataSpec::Images(folder) => Box::new(folder::Folder::open(folder)?),
        _ => return Ok(None),
    };
    images::own_shape(&first.bytes(0)?, &first.path(0)).map(Some)
}

/// Files of pictures, wherever they lie; at least one.
trait Encoded: Send + Sync {
    /// How many.
    fn count(&self) -> usize;

    /// The file of picture `place`.
    fn bytes(&self, place: usize) -> Result<Vec<u8>>;

    /// What it is called in messages.
    fn path(&self, place: usize) -> PathBuf;

    /// As [`Stored::listing`].
    fn listing(&self, add: &mut dyn FnMut(&[u8])) -> Result<()>;

    /// As [`Stored::labels`].
    fn labels(&self) -> Option<Vec<i64>> {
        None
    }

    /// What they are, such as `pictures of photos`.
    fn name(&self) -> String;
}

/// Pictures of one size, [N, C, H, W] in bytes.
struct Pictures {
    encoded: Box<dyn Encoded>,
    size: Size,
    shape: [usize; 4],
}

impl Stored for Pictures {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> Dtype {
        Dtype::U8
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling::BYTES)
    }

    fn read(&self, place: usize) -> Result<Array> {
        let path = self.encoded.path(place);
        let pixels = images::decode(&self.encoded.bytes(place)?, &path, self.size)?;
        Array::new(self.shape[1..].to_vec(), Dtype::U8, Arc::new(pixels))
            .map_err(|problem| Error::file(&path, problem, "Remove or replace it."))
    }

    fn listing(&self, add: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.encoded.listing(add)
    }

    fn labels(&self) -> Option<Vec<i64>> {
        self.encoded.labels()
    }

    fn description(&self, count: usize) -> String {
        let Size { width, height, .. } = self.size;
        format!("{count} {}, cropped and resized to {width}×{height}", self.encoded.name())
    }
}
