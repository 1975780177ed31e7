//! The loss by timestep: near 0 apart, the rest in three equal parts. Errors are gathered over the steps between two
//! rows of `train.csv`.

use serde::{Deserialize, Serialize};

/// Bands of timesteps [from, until).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bands {
    edges: Vec<usize>,
}

impl Bands {
    /// [0, until) and three parts of [until, timesteps).
    pub fn new(until: usize, timesteps: usize) -> Self {
        let rest = timesteps.saturating_sub(until);
        let mut edges = vec![0];
        edges.extend((0..=3).map(|i| until + rest * i / 3));
        edges.dedup();
        Bands { edges }
    }

    /// Columns of `train.csv`.
    pub fn names(&self) -> Vec<String> {
        self.edges.windows(2).map(|edge| format!("mse_t{}_{}", edge[0], edge[1])).collect()
    }

    fn of(&self, t: usize) -> usize {
        self.edges.partition_point(|edge| *edge <= t).saturating_sub(1).min(self.edges.len().saturating_sub(2))
    }
}

/// What was gathered since the last row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    steps: u64,
    loss: f64,
    gradient_norm: f64,
    samples: u64,
    /// Sum of errors and number of samples of every band.
    bands: Vec<(f64, u64)>,
    /// Seconds that the steps took.
    pub seconds: f64,
}

/// One row of `train.csv`: means since the row before.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Steps done.
    pub step: u64,
    /// What is minimised: weighted, with penalties.
    pub loss: f64,
    /// mean((output − target)²), unweighted.
    pub mse: f64,
    /// The same by band; `None` where no sample fell into one.
    pub bands: Vec<Option<f64>>,
    /// 2-norm of the gradients, before they are clipped.
    pub gradient_norm: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Training samples per second.
    pub images_per_second: f64,
}

impl Window {
    /// Adds one step: its objective, gradient norm, and every sample's error.
    pub fn add(&mut self, bands: &Bands, loss: f64, gradient_norm: f64, errors: &[(usize, f64)]) {
        self.bands.resize(bands.edges.len() - 1, (0.0, 0));
        self.steps += 1;
        self.loss += loss;
        self.gradient_norm += gradient_norm;
        self.samples += errors.len() as u64;
        for &(t, error) in errors {
            let band = &mut self.bands[bands.of(t)];
            *band = (band.0 + error, band.1 + 1);
        }
    }

    /// Closes the window into a row; `None` of an empty one.
    pub fn row(&mut self, step: u64, learning_rate: f64) -> Option<Row> {
        if self.steps == 0 {
            return None;
        }
        let window = std::mem::take(self);
        let steps = window.steps as f64;
        let total: f64 = window.bands.iter().map(|band| band.0).sum();
        Some(Row {
            step,
            loss: window.loss / steps,
            mse: total / window.samples as f64,
            bands: window.bands.iter().map(|(sum, n)| (*n > 0).then(|| sum / *n as f64)).collect(),
            gradient_norm: window.gradient_norm / steps,
            learning_rate,
            images_per_second: window.samples as f64 / window.seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_fall_into_their_bands() {
        let bands = Bands::new(100, 1000);
        assert_eq!(bands.names(), ["mse_t0_100", "mse_t100_400", "mse_t400_700", "mse_t700_1000"]);
        let mut window = Window::default();
        window.add(&bands, 2.0, 1.0, &[(0, 1.0), (99, 3.0), (100, 5.0), (999, 7.0)]);
        window.add(&bands, 4.0, 3.0, &[(50, 5.0)]);
        window.seconds = 0.5;
        let row = window.row(2, 0.1).unwrap();
        assert_eq!((row.loss, row.mse, row.gradient_norm), (3.0, 4.2, 2.0));
        assert_eq!(row.bands, [Some(3.0), Some(5.0), None, Some(7.0)]);
        assert_eq!(row.images_per_second, 10.0);
        assert_eq!(window.row(2, 0.1), None);
        assert_eq!(Bands::new(4, 4).names(), ["mse_t0_4"]);
    }
}
