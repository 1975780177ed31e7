//! A schedule from a file: `betas:file=PATH` or `alpha-bar:file=PATH`, one value per timestep.
//!
//! The file is text with numbers between commas or white space (a JSON array is that too), or a one-dimensional
//! `.npy` array of float64 or float32.

use super::{Built, Member, Parameters, Table};
use crate::error::{Error, Result};
use ndarray::Array1;
use ndarray_npy::ReadNpyExt;
use std::path::Path;

pub(super) const BETAS: Member =
    Member { name: "betas", parameters: &[("file", "")], about: "β from a file", build: build_betas };

pub(super) const ALPHA_BAR: Member =
    Member { name: "alpha-bar", parameters: &[("file", "")], about: "ᾱ from a file", build: build_alpha_bar };

/// More timesteps than anybody uses; a larger file is not a schedule.
const MOST_BYTES: u64 = 64 << 20;

fn build_betas(parameters: &Parameters) -> Result<Built> {
    Ok(Built::Table(Table::from_betas(&read(parameters)?)?))
}

fn build_alpha_bar(parameters: &Parameters) -> Result<Built> {
    Ok(Built::Table(Table::from_alpha_bar(&read(parameters)?)?))
}

/// The numbers in the file that the schedule names.
pub(super) fn read(parameters: &Parameters) -> Result<Vec<f64>> {
    let path = Path::new(parameters.text("file")?);
    let next = "Give numbers between commas or spaces, a JSON array, or a one-dimensional .npy of floats.";
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, "opening the schedule", &e))?.len();
    if size > MOST_BYTES {
        return Err(Error::file(path, format!("{size} bytes are too many for a schedule"), next));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "reading the schedule", &e))?;
    if bytes.starts_with(b"\x93NUMPY") {
        let array = Array1::<f64>::read_npy(&bytes[..])
            .or_else(|_| Array1::<f32>::read_npy(&bytes[..]).map(|values| values.mapv(f64::from)));
        return array
            .map(|values| values.to_vec())
            .map_err(|e| Error::file(path, format!("not a schedule ({e})"), next));
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::file(path, "neither text nor .npy", next))?;
    text.split(|c: char| c == ',' || c == '[' || c == ']' || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .map(|word| word.parse().map_err(|_| Error::file(path, format!("`{word}` is not a number"), next)))
        .collect()
}
