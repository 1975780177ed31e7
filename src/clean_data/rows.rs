//! A data set in memory as a source of clean samples.

use crate::draws::CleanSamples;
use ndarray::Array2;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// The rows of a data set, drawn uniformly with replacement.
pub struct Rows {
    rows: Arc<Array2<f32>>,
    moments: [f64; 2],
}

impl Rows {
    /// All rows of a data set.
    pub fn new(rows: Arc<Array2<f32>>) -> Self {
        let mean = |of: fn(f64) -> f64| rows.iter().map(|x| of(f64::from(*x))).sum::<f64>() / rows.len().max(1) as f64;
        let moments = [mean(|x| x), mean(|x| x * x)];
        Rows { rows, moments }
    }
}

impl CleanSamples for Rows {
    fn draw(&self, rng: &mut ChaCha8Rng, out: &mut [f32]) {
        let row = self.rows.row(rng.random_range(0..self.rows.nrows()));
        out.iter_mut().zip(row).for_each(|(to, from)| *to = *from);
    }

    fn moments(&self) -> Option<[f64; 2]> {
        Some(self.moments)
    }
}
