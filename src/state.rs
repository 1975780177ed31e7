//! What a model is asked about: states x_t, and what each of them is conditional on.

use crate::error::{Doing, Result};
use crate::network::Condition;
use crate::random::{Purpose, stream};
use crate::time::Timestep;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

/// A batch of states with their conditions, drawn together: row i of the condition belongs to row i of x.
#[derive(Debug)]
pub struct State {
    /// x_t, [B, …].
    pub x: Tensor,
    /// What the network gets besides x and t, for the same rows.
    pub condition: Condition,
}

impl State {
    /// States of a model without conditions.
    pub fn unconditional(x: Tensor) -> Self {
        State { x, condition: Condition::default() }
    }

    /// Another x under the same conditions.
    pub fn with_x(&self, x: Tensor) -> Self {
        State { x, condition: self.condition.shallow_clone() }
    }

    /// The same where arguments of time that do not move are held at `t`.
    pub fn held_at(&self, t: &[Timestep]) -> Self {
        let condition = Condition { held_at: Some(t.to_vec()), ..self.condition.shallow_clone() };
        State { x: self.x.shallow_clone(), condition }
    }

    /// The rows of `index` `[N]`, an int64 tensor on the device of x.
    pub fn select(&self, index: &Tensor) -> Result<Self> {
        let pick = |tensor: &Tensor| tensor.f_index_select(0, index).doing("choosing rows");
        Ok(State { x: pick(&self.x)?, condition: self.condition.try_map(pick)? })
    }
}

/// What was drawn with the samples of a batch: for each the entries of the row of the data that it came from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// Classes; `None` where the data has none.
    pub labels: Option<Vec<i64>>,
    /// Which rows they are; `None` where they are no rows.
    pub rows: Option<Vec<usize>>,
    /// Where their random inputs are drawn; `None` for samples that a model makes.
    pub latents: Option<Latents>,
}

/// The random streams of a batch, one for each sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Latents {
    /// Seed of all streams.
    pub seed: u64,
    /// Timestep and number of every sample.
    pub draws: Vec<(Timestep, u64)>,
}

impl Columns {
    /// Those of some of the samples.
    pub fn slice(&self, samples: std::ops::Range<usize>) -> Self {
        let labels = self.labels.as_ref().and_then(|labels| labels.get(samples.clone())).map(<[i64]>::to_vec);
        let rows = self.rows.as_ref().and_then(|rows| rows.get(samples.clone())).map(<[usize]>::to_vec);
        let latents = self
            .latents
            .as_ref()
            .and_then(|Latents { seed, draws }| Some(Latents { seed: *seed, draws: draws.get(samples)?.to_vec() }));
        Columns { labels, rows, latents }
    }

    /// The streams that random inputs are drawn from, one for each sample: at another t of the same sample they are the same.
    pub(crate) fn latents(&self) -> Option<Vec<ChaCha8Rng>> {
        let Latents { seed, draws } = self.latents.as_ref()?;
        Some(draws.iter().map(|&(t, sample)| stream(*seed, Purpose::Latent, t, sample)).collect())
    }

    /// Of samples that are made from noise: for each a row of the data is drawn, with a random stream of its own.
    pub fn of_samples(labels: Option<&[i64]>, seed: u64, samples: std::ops::Range<u64>) -> Self {
        let of = |labels: &[i64]| -> Vec<i64> {
            let row = |sample| stream(seed, Purpose::Condition, 0.0, sample).random_range(0..labels.len());
            samples.map(|sample| labels[row(sample)]).collect()
        };
        Columns { labels: labels.filter(|labels| !labels.is_empty()).map(of), rows: None, latents: None }
    }
}
