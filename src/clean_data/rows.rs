//! A data set as a source of clean samples: in memory, or on disk.

use crate::data::Indexed;
use crate::draws::CleanSamples;
use crate::error::Result;
use ndarray::Array2;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// The rows of a data set, drawn uniformly with replacement.
pub struct Rows {
    rows: Arc<Array2<f32>>,
    /// The class of every row.
    labels: Option<Vec<i64>>,
    moments: [f64; 2],
}

impl Rows {
    /// All rows of a data set, and their classes where it has them.
    pub fn new(rows: Arc<Array2<f32>>, labels: Option<Vec<i64>>) -> Self {
        let mean = |of: fn(f64) -> f64| rows.iter().map(|x| of(f64::from(*x))).sum::<f64>() / rows.len().max(1) as f64;
        let moments = [mean(|x| x), mean(|x| x * x)];
        Rows { rows, labels, moments }
    }
}

impl CleanSamples for Rows {
    fn draw(&self, rng: &mut ChaCha8Rng, out: &mut [f32]) -> Result<Option<usize>> {
        let row = rng.random_range(0..self.rows.nrows());
        out.iter_mut().zip(self.rows.row(row)).for_each(|(to, from)| *to = *from);
        Ok(Some(row))
    }

    fn labels(&self) -> Option<&[i64]> {
        self.labels.as_deref()
    }

    fn count(&self) -> Option<usize> {
        Some(self.rows.nrows())
    }

    fn moments(&self) -> Option<[f64; 2]> {
        Some(self.moments)
    }
}

/// The samples of a data set on disk, drawn as [`Rows`] are; only those that are drawn are read.
pub(super) struct OnDisk {
    /// The samples.
    pub data: Arc<Indexed>,
    /// Means of x and x², where the set was read whole.
    pub moments: Option<[f64; 2]>,
}

impl CleanSamples for OnDisk {
    fn draw(&self, rng: &mut ChaCha8Rng, out: &mut [f32]) -> Result<Option<usize>> {
        let row = rng.random_range(0..self.data.len());
        self.data.read(row, out)?;
        Ok(Some(row))
    }

    fn labels(&self) -> Option<&[i64]> {
        self.data.labels.as_deref()
    }

    fn count(&self) -> Option<usize> {
        Some(self.data.len())
    }

    fn moments(&self) -> Option<[f64; 2]> {
        self.moments
    }
}
