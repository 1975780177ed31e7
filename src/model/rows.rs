//! Values of conditions from files: of one sample, or one for each row of the data.

use crate::data;
use crate::error::{Doing, Error, Result};
use crate::input::Values;
use crate::tensor_file::{Entry, one_array, one_entry, one_sample};
use lipscope_core::cli::args::ConditionSource;
use std::path::Path;
use tch::{Device, Kind, Tensor};

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
        ConditionSource::Rows(path) => {
            let header = if data.count == RowCount::Unread { one_entry(path)? } else { None };
            let values = header.map_or_else(|| one_array(path), |entry| stand_in(&entry))?;
            by_row(path, values, data).map(Values::WithData)
        }
        // Columns were looked up when the arguments were read.
        ConditionSource::Column(_) => source.in_data(name, None).and_then(|source| values(name, &source, data)),
    }
}

/// Zeros of the shape and kind of an array, in the memory of one: enough to see whether it fits before gigabytes are read.
fn stand_in(entry: &Entry) -> Result<Tensor> {
    let kind = if entry.dtype.contains("float") { Kind::Float } else { Kind::Int64 };
    let shape: Vec<i64> = entry.shape.iter().map(|&size| size as i64).collect();
    Tensor::f_zeros([1], (kind, Device::Cpu)).and_then(|zero| zero.f_expand(&shape, false)).doing("reading a header")
}

/// Those of the values [N, …] that belong to the rows of the data.
pub(super) fn by_row(path: &Path, values: Tensor, data: DataRows) -> Result<Tensor> {
    let Some(&count) = values.size().first() else {
        let problem = "it holds one number, and one for each row of the data is meant";
        return Err(Error::file(path, problem, "Give an array whose first axis is that of the data."));
    };
    if data.count == RowCount::Unread {
        return Ok(values);
    }
    let rows: Vec<i64> = data::chosen(count as usize, data.limit).into_iter().map(|row| row as i64).collect();
    let values = match rows.len() as i64 == count {
        true => values,
        false => values.f_index_select(0, &Tensor::from_slice(&rows)).doing("choosing rows of a condition")?,
    };
    match data.count {
        RowCount::Known(known) if known != rows.len() => Err(Error::file(
            path,
            format!("it has {} rows, one for each row of the data, and the data has {known}", rows.len()),
            "Give as many, in the order of the data, or the values of one sample for all.",
        )),
        RowCount::Known(_) | RowCount::Unread => Ok(values),
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

    /// Before weights are read, arrays by row are known by their headers, in the memory of one number.
    #[test]
    fn headers_stand_for_arrays_until_the_data_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.safetensors");
        let obs = Tensor::ones([5, 2], (Kind::Float, Device::Cpu));
        let labels = Tensor::ones([5], (Kind::Int64, Device::Cpu));
        Tensor::write_safetensors(&[("obs", obs), ("labels", labels)], &path).unwrap();
        let of = |array: &str, count| {
            let source = ConditionSource::Rows(format!("{}#{array}", path.display()).into());
            values("obs", &source, DataRows { count, limit: None }).map(|values| match values {
                Values::WithData(values) => values,
                other => panic!("{other:?}"),
            })
        };
        let header = of("obs", RowCount::Unread).unwrap();
        assert_eq!((header.size(), header.stride(), header.is_floating_point()), (vec![5, 2], vec![0, 0], true));
        assert!(!of("labels", RowCount::Unread).unwrap().is_floating_point());
        assert_eq!(of("obs", RowCount::Known(5)).unwrap().sum(Kind::Double).double_value(&[]), 10.0);
        for count in [RowCount::Unread, RowCount::Known(5)] {
            assert!(of("nothing", count).unwrap_err().to_string().contains("no array `nothing`"));
        }
    }
}
