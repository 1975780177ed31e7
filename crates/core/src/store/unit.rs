//! A finished piece of work: what it was, and its raw numbers.

use super::Maker;
use crate::error::{Error, Result};
use crate::tensor_file::{Array, Dtype};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// A finished piece of work.
#[derive(Debug, Clone)]
pub struct Unit {
    /// What kind of work, such as `points`.
    pub kind: String,
    /// Which piece of it; the same for whoever does it.
    pub key: String,
    /// Counts, seconds, words.
    pub about: Value,
    /// Raw numbers by name.
    pub arrays: Vec<(String, Array)>,
    /// Who did it, where its part says so.
    pub(super) maker: Option<Arc<Maker>>,
}

impl Unit {
    /// A unit without arrays yet.
    pub fn new(kind: &str, key: impl Into<String>, about: Value) -> Self {
        Unit { kind: kind.into(), key: key.into(), about, arrays: Vec::new(), maker: None }
    }

    /// The same with one more array.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, array: Array) -> Self {
        self.arrays.push((name.into(), array));
        self
    }

    /// An array by its name.
    ///
    /// # Errors
    /// It is not there: the part was made by another version.
    pub fn array(&self, name: &str) -> Result<&Array> {
        let found = self.arrays.iter().find(|(own, _)| own == name).map(|(_, array)| array);
        found.ok_or_else(|| self.lacks(name))
    }

    /// The numbers of a float64 array.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let array = self.array(name)?;
        if array.dtype() != Dtype::F64 {
            return Err(self.lacks(name));
        }
        let (numbers, _) = array.bytes().as_chunks::<8>();
        Ok(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
    }

    /// What [`Unit::about`] says under `name`.
    pub fn said<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let value = self.about.get(name).cloned().unwrap_or_default();
        serde_json::from_value(value).map_err(|_| self.lacks(name))
    }

    fn lacks(&self, name: &str) -> Error {
        Error::mismatch(
            format!("the finished unit {} {} lacks `{name}`", self.kind, self.key),
            "It was made by another version of lipscope: remove the folder, or choose another --out.",
        )
    }
}

/// A float64 array.
pub fn array(shape: &[usize], numbers: &[f64]) -> Result<Array> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Array::new(shape.to_vec(), Dtype::F64, Arc::new(bytes)).map_err(|e| Error::mismatch(e, "Report this."))
}

/// A float32 array.
pub fn array_f32(shape: &[usize], numbers: &[f32]) -> Result<Array> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Array::new(shape.to_vec(), Dtype::F32, Arc::new(bytes)).map_err(|e| Error::mismatch(e, "Report this."))
}
