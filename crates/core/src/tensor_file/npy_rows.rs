//! The rows of a `.npy` file, read one at a time.

use super::array::{Array, Dtype, swap_bytes};
use super::damage::damaged;
use super::npy::{Header, MAX_HEADER};
use super::source::Source;
use crate::error::Result;
use std::path::Path;
use std::sync::Arc;

/// An open `.npy` file whose array lies row by row.
#[derive(Debug)]
pub struct NpyRows {
    source: Source,
    header: Header,
    row_bytes: u64,
}

impl NpyRows {
    /// Opens a file; `None` where its array lies column by column, is a single number or has no elements.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let source = Source::open(path)?;
        let header = Header::parse(&source.start(MAX_HEADER as u64)?).map_err(|problem| damaged(path, problem))?;
        let bytes = header.check_length(source.bytes()).map_err(|problem| damaged(path, problem))?;
        let count = header.shape.first().copied().unwrap_or(0) as u64;
        let row_bytes = bytes.checked_div(count).unwrap_or(0);
        let by_rows = !header.column_major && row_bytes > 0;
        Ok(by_rows.then_some(Self { source, header, row_bytes }))
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Shape of the whole array, [N, …].
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// Element type.
    pub fn dtype(&self) -> Dtype {
        self.header.dtype
    }

    /// Row `row`; of any thread.
    ///
    /// # Errors
    /// The file has become shorter, or there is no such row.
    pub fn read(&self, row: usize) -> Result<Array> {
        let at = (row as u64).saturating_mul(self.row_bytes).saturating_add(self.header.data_start as u64);
        let mut bytes = self.source.read(at, self.row_bytes)?;
        if self.header.is_big_endian() {
            swap_bytes(&mut bytes, self.header.dtype.size());
        }
        let shape = self.header.shape.get(1..).unwrap_or_default().to_vec();
        Array::new(shape, self.header.dtype, Arc::new(bytes)).map_err(|problem| damaged(self.path(), problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_the_whole_array() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        let header = |order: &str| format!("{{'descr': '>i2', 'fortran_order': {order}, 'shape': (3, 2), }}");
        let write = |header: String, data: &[u8]| {
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((header.len() as u16).to_le_bytes());
            bytes.extend(header.as_bytes());
            bytes.extend(data);
            std::fs::write(&path, bytes).unwrap();
        };
        write(header("False"), &[0, 1, 0, 2, 0, 3, 0, 4, 1, 0, 0, 6]);
        let rows = NpyRows::open(&path).unwrap().unwrap();
        assert_eq!(rows.read(2).unwrap().to_i64(), Some(vec![256, 6]));
        assert!(rows.read(3).is_err() && rows.read(usize::MAX).is_err());
        write(header("True"), &[0; 12]);
        assert!(NpyRows::open(&path).unwrap().is_none());
        write(header("False"), &[0; 11]);
        assert!(NpyRows::open(&path).unwrap_err().to_string().contains("cut short"));
    }
}
