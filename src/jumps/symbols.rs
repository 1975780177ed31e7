//! Data of symbols: whole numbers, taken as they are.

use crate::clean_data::{CleanData, Whole};
use crate::data::{ByteSize, ScaleOverride};
use crate::error::{Error, Result};
use lipscope_core::options::DataOptions;
use lipscope_core::process::jump::{Exact, Jump};
use ndarray::Array2;

/// The same options where numbers are symbols, which are not scaled unless that is asked for.
pub fn as_symbols(options: &DataOptions) -> DataOptions {
    DataOptions { scale: options.scale.or(Some(ScaleOverride::None)), ..options.clone() }
}

/// Refuses data that is not of the symbols of the process.
///
/// # Errors
/// A number that is no symbol, the mask among them; or a density.
pub fn check(data: &CleanData, jump: &Jump) -> Result<()> {
    rows(data, jump).map(|_| ())
}

/// The exact law of such data on all states.
///
/// # Errors
/// As [`check`]; and more states than are enumerated.
pub fn law(data: &CleanData, jump: &Jump) -> Result<Exact> {
    let rows = rows(data, jump)?;
    let (flat, width) = (rows.as_standard_layout(), rows.ncols());
    Exact::new(jump.graph, flat.as_slice().unwrap_or_default().chunks(width.max(1)), width)
}

fn rows<'d>(data: &'d CleanData, jump: &Jump) -> Result<&'d Array2<f32>> {
    let symbols = jump.graph.symbols();
    let next = format!("Give whole numbers from 0 to {}, one row per sample.", symbols - 1);
    if let Whole::Indexed(rows) = &data.whole {
        let problem = format!("the data takes {} in memory, where symbols are held", ByteSize(rows.bytes()));
        return Err(Error::mismatch(problem, "Use fewer by --data-limit, or allow more by --data-memory."));
    }
    let Whole::Rows(rows) = &data.whole else {
        let problem = format!("the data is a density, and {} has symbols", jump.name);
        return Err(Error::mismatch(problem, next));
    };
    let is_symbol = |value: f32| value >= 0.0 && value.fract() == 0.0 && (value as usize) < symbols;
    let Some(((row, position), value)) = rows.indexed_iter().find(|(_, value)| !is_symbol(**value)) else {
        return Ok(rows);
    };
    let mask = jump.graph.mask().filter(|mask| *value == *mask as f32);
    let what = if mask.is_some() { "the mask, which clean samples do not have" } else { "no symbol of it" };
    let problem =
        format!("the data holds {value} in row {row} at position {position}: under {} that is {what}", jump.name);
    Err(Error::mismatch(problem, next))
}
