//! Tables as Parquet, with the types and the names that the CSV files have.

use super::Artifact;
use super::csv::failed;
use crate::error::Result;
use polars::prelude::{DataFrame, ParquetWriter};

/// `<stem>.parquet`: missing values are nulls.
///
/// # Errors
///
/// [`crate::error::Error::Mismatch`] when polars refuses the table, which would be a fault of this program.
pub(super) fn parquet(stem: &str, mut frame: DataFrame) -> Result<Artifact> {
    let file_name = format!("{stem}.parquet");
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame).map_err(|e| failed(&file_name, &e))?;
    Ok(Artifact::new(file_name, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::csv::curve_frame;
    use crate::report::synthetic::{quality, shared_pair};
    use crate::report::tidy_files::data_frame;
    use polars::prelude::{DataType, ParquetReader, SerReader};
    use std::io::Cursor;

    fn read(artifact: Artifact) -> DataFrame {
        ParquetReader::new(Cursor::new(artifact.bytes)).finish().unwrap()
    }

    #[test]
    fn tables_come_back_bit_for_bit_with_their_types() {
        let mut report = shared_pair();
        report.models[0].curves[0].points[3].mean = None;
        for frame in [curve_frame(&report).unwrap(), data_frame(&quality().tables[0]).unwrap()] {
            let back = read(parquet("t", frame.clone()).unwrap());
            assert!(back.equals_missing(&frame));
            assert_eq!(back.schema(), frame.schema());
        }
        let curve = read(parquet("curve", curve_frame(&report).unwrap()).unwrap());
        assert_eq!(curve.column("timestep").unwrap().dtype(), &DataType::Int64);
        assert_eq!(curve.column("mean").unwrap().null_count(), 1);
    }
}
