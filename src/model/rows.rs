//! Values of conditions from files: of one sample, or one for each row of the data.

use crate::data;
use crate::error::{Doing, Error, Result};
use crate::input::Values;
use crate::tensor_file::{one_array, one_sample};
use lipscope_core::cli::args::ConditionSource;
use std::path::Path;
use tch::Tensor;

/// The rows of the data, as far as the values of conditions must match them.
#[derive(Debug, Clone, Copy, Default)]
pub struct DataRows {
    /// How many there are.
    pub count: RowCount,
    /// Which are used: so many at most, evenly spaced, of the data and of what belongs to its rows.
    pub limit: Option<usize>,
}

/// A number of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RowCount {
    /// The data is not read yet.
    #[default]
    Unread,
    /// Samples are drawn from a density, or made.
    Anew,
    /// The data has so many.
    Known(usize),
}

impl From<Option<usize>> for RowCount {
    /// Of data that is read, which may have no rows.
    fn from(count: Option<usize>) -> Self {
        count.map_or(RowCount::Anew, RowCount::Known)
    }
}

/// The values that `source` names; `name` is for messages.
///
/// # Errors
/// The file cannot be read, or has another number of rows than the data.
pub(super) fn values(name: &str, source: &ConditionSource, data: DataRows) -> Result<Values> {
    match source {
        ConditionSource::Same(path) => one_sample(path).map(Values::Same),
        ConditionSource::Rows(path) => by_row(path, one_array(path)?, data).map(Values::WithData),
        // Columns were looked up when the arguments were read.
        ConditionSource::Column(_) => source.in_data(name, None).and_then(|source| values(name, &source, data)),
    }
}

/// Those of the values [N, …] that belong to the rows of the data.
pub(super) fn by_row(path: &Path, values: Tensor, data: DataRows) -> Result<Tensor> {
    let Some(&count) = values.size().first() else {
        let problem = "it holds one number, and one for each row of the data is meant";
        return Err(Error::file(path, problem, "Give an array whose first axis is that of the data."));
    };
    let rows: Vec<i64> = data::chosen(count as usize, data.limit).into_iter().map(|row| row as i64).collect();
    let values = match rows.len() as i64 == count {
        true => values,
        false => values.f_index_select(0, &Tensor::from_slice(&rows)).doing("choosing rows of a condition")?,
    };
    match data.count {
        RowCount::Unread => Ok(values),
        RowCount::Known(known) if known == rows.len() => Ok(values),
        RowCount::Known(known) => Err(Error::file(
            path,
            format!("it has {} rows, one for each row of the data, and the data has {known}", rows.len()),
            "Give as many, in the order of the data, or the values of one sample for all.",
        )),
        RowCount::Anew => Err(Error::file(
            path,
            format!("it has {} rows, one for each row of the data, and the data is made anew", rows.len()),
            "Give --data with as many rows, or the values of one sample for all.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn rows_are_chosen_as_the_data_is() {
        let values = || Tensor::arange(10, (Kind::Float, Device::Cpu)).view([5, 2]);
        let of = |count, limit| by_row(Path::new("obs.npy"), values(), DataRows { count, limit });
        let first = |values: Tensor| Vec::<f64>::try_from(values.to_kind(Kind::Double).select(1, 0)).unwrap();
        assert_eq!(first(of(RowCount::Known(5), None).unwrap()), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(first(of(RowCount::Known(2), Some(2)).unwrap()), [0.0, 4.0]);
        assert_eq!(first(of(RowCount::Unread, None).unwrap()).len(), 5);
        for (count, says) in [(RowCount::Known(4), "the data has 4"), (RowCount::Anew, "made anew")] {
            let error = of(count, None).unwrap_err().to_string();
            assert!(error.contains("it has 5 rows") && error.contains(says), "{error}");
        }
    }
}
