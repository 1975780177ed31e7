//! `FILE.npy` beyond memory: rows are read by their position, never through a map of memory.

use super::Stored;
use crate::data::array_file::describe;
use crate::data::scaling::Scaling;
use crate::error::Result;
use crate::tensor_file::{self, Array, Dtype, Format, NpyRows};
use std::path::Path;

/// The rows of the array of a `.npy` file.
pub(super) struct Npy {
    rows: NpyRows,
}

/// The rows of a file, where it is a `.npy` whose rows lie one behind the other and `array` is its only one.
pub(super) fn open(path: &Path, array: Option<&str>) -> Result<Option<Npy>> {
    if array.is_some_and(|name| name != tensor_file::UNNAMED) || tensor_file::sniff(path)?.format != Format::Npy {
        return Ok(None);
    }
    Ok(NpyRows::open(path)?.map(|rows| Npy { rows }))
}

impl Stored for Npy {
    fn shape(&self) -> &[usize] {
        self.rows.shape()
    }

    fn dtype(&self) -> Dtype {
        self.rows.dtype()
    }

    fn scaling(&self) -> Option<Scaling> {
        None
    }

    fn read(&self, place: usize) -> Result<Array> {
        self.rows.read(place)
    }

    fn listing(&self, add: &mut dyn FnMut(&[u8])) -> Result<()> {
        add(describe("", self.shape(), self.dtype()).as_bytes());
        Ok(())
    }

    fn labels(&self) -> Option<Vec<i64>> {
        None
    }

    fn description(&self, _: usize) -> String {
        describe(&self.rows.path().display().to_string(), self.shape(), self.dtype())
    }
}
