//! What a run is: every setting that its numbers depend on.

use super::variant::Recipe;
use super::{RateSchedule, Weighting};
use crate::error::{Error, Result};
use crate::libtorch::Autocast;
use crate::model;
use crate::prediction::Prediction;
use crate::schedule::{self, Level, NoiseSchedule};
use crate::time::Conditioning;
use crate::timestep_map::{self, Identity, TimestepMap};
use lipscope_core::cli::args::Precision;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use tch::Kind;

/// The resolved settings of a training run.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Name of the variant.
    pub variant: String,
    /// How it noises and conditions.
    pub recipe: Recipe,
    /// The network's configuration.
    pub architecture: Value,
    /// Where its first weights come from: `seed`, or the SHA-256 of a checkpoint.
    pub first_weights: String,
    /// The data: source, number, shape, fingerprint.
    pub data: Value,
    /// Shape of one sample.
    pub shape: Vec<i64>,
    /// Whether half of the samples are mirrored.
    pub flip: bool,
    /// What the network predicts.
    pub prediction: Prediction,
    /// Weights of the loss over timesteps.
    pub weighting: Weighting,
    /// End of what counts as near 0.
    pub until: usize,
    /// Optimiser steps.
    pub steps: u64,
    /// Samples per step.
    pub batch: u64,
    /// Parts that a step's batch is cut into.
    pub accumulate: u64,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// What follows the warm-up.
    pub rate_schedule: RateSchedule,
    /// Steps over which the rate rises.
    pub warmup: u64,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f64,
    /// Norm that gradients are scaled down to; `None` for none.
    pub clip_norm: Option<f64>,
    /// Decays of the averages of the weights; the first is the default of the checkpoint.
    pub ema: Vec<f64>,
    /// Seed of all streams.
    pub seed: u64,
    /// Whether images lie channels last in memory.
    pub channels_last: bool,
    /// dtype of weights and arithmetic, where it is not float32.
    #[serde(skip_serializing_if = "Precision::is_default")]
    pub dtype: Precision,
    /// dtype of products and convolutions, where it is not that of the weights.
    pub autocast: Option<Autocast>,
    /// Device of the run: other devices round differently.
    pub device: String,
}

/// A plan's recipe, built.
#[derive(Debug, Clone)]
pub struct Run {
    /// What noises.
    pub schedule: Arc<dyn NoiseSchedule>,
    /// α, σ at every t of the grid, as the variant noises.
    pub levels: Vec<Level>,
    /// The network's condition at every t of the grid.
    pub conditions: Vec<f64>,
}

impl Plan {
    /// Builds the recipe.
    pub fn run(&self) -> Result<Run> {
        let schedule = schedule::parse(&self.recipe.schedule)?;
        let timesteps = schedule.timesteps();
        let map: Arc<dyn TimestepMap> = match &self.recipe.share {
            Some(share) => timestep_map::parse(share, timesteps)?,
            None => Arc::new(Identity),
        };
        let conditioning: Conditioning =
            self.recipe.condition.as_deref().map(str::parse).transpose()?.unwrap_or_default();
        let grid = || (0..timesteps).map(|t| t as f64);
        let noised = |t| if self.recipe.noised_at_condition { map.condition(t) } else { t };
        Ok(Run {
            levels: grid().map(|t| schedule.level(noised(t))).collect(),
            conditions: grid().map(|t| conditioning.coordinate(&*schedule, map.condition(t))).collect(),
            schedule,
        })
    }

    /// dtype of the weights.
    pub fn kind(&self) -> Kind {
        model::kind(self.dtype)
    }

    /// As JSON, for the state, the checkpoint and `--dry-run`.
    pub fn to_json(&self) -> Result<Value> {
        serde_json::to_value(self)
            .map_err(|e| Error::mismatch(format!("the plan cannot be written ({e})"), "Report this."))
    }

    /// The learning rate of a step.
    pub fn rate(&self, step: u64) -> f64 {
        self.rate_schedule.rate(self.learning_rate, step, self.warmup, self.steps)
    }

    /// The first setting in which an earlier run's plan differs. More or fewer steps are no difference where the rate
    /// does not depend on their number.
    pub fn differs(&self, earlier: &Value) -> Result<Option<String>> {
        let mine = self.to_json()?;
        let keys = mine.as_object().into_iter().chain(earlier.as_object()).flat_map(|object| object.keys());
        let free = |key: &str| key == "steps" && self.rate_schedule == RateSchedule::Constant;
        Ok(keys.filter(|key| !free(key)).find(|key| mine.get(key.as_str()) != earlier.get(key.as_str())).cloned())
    }
}
