//! What a checkpoint says about its own use. Whatever it leaves out the command line fills in.

use crate::error::{Error, Result};
use crate::prediction::Prediction;
use crate::schedule::{self, NoiseSchedule};
use crate::time::Axis;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;

/// A schedule with the words that name it.
#[derive(Debug, Clone)]
pub struct NamedSchedule {
    /// As `--schedule` takes it, or a description where it came as a table.
    pub name: String,
    /// The schedule.
    pub schedule: Arc<dyn NoiseSchedule>,
}

impl NamedSchedule {
    /// The schedule that `text` names.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(NamedSchedule { name: text.to_string(), schedule: schedule::parse(text)? })
    }
}

/// What a checkpoint says; `None` where it is silent.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Noise schedule.
    pub schedule: Option<NamedSchedule>,
    /// Prediction type.
    pub prediction: Option<Prediction>,
    /// Timestep sharing, as `--share` takes it.
    pub share: Option<String>,
    /// The number that the network gets for t.
    pub conditioning: Option<Axis>,
    /// Shape of one sample.
    pub sample_shape: Option<Vec<i64>>,
    /// x̂₀ is clamped to ± this when sampling.
    pub clip: Option<f64>,
}

/// `lipscope.json` among a TorchScript module's extra files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sidecar {
    schedule: Option<String>,
    prediction: Option<String>,
    share: Option<String>,
    condition: Option<String>,
    shape: Option<Vec<i64>>,
    clip: Option<f64>,
}

impl Declared {
    /// From the text of `lipscope.json`, found in the file at `path`.
    pub fn from_json(text: &str, path: &Path) -> Result<Self> {
        let bad = |problem: String| {
            Error::file(
                path,
                format!("its lipscope.json cannot be used: {problem}"),
                "It takes schedule, prediction, share, condition, shape and clip, each as on the command line.",
            )
        };
        let sidecar: Sidecar = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
        if let Some(shape) = sidecar.shape.as_ref().filter(|shape| shape.is_empty() || shape.iter().any(|n| *n < 1)) {
            return Err(bad(format!("shape is {shape:?}")));
        }
        let within = |e: Error| bad(e.to_string());
        Ok(Declared {
            schedule: sidecar.schedule.map(|text| NamedSchedule::parse(&text)).transpose().map_err(within)?,
            prediction: sidecar.prediction.map(|text| text.parse()).transpose().map_err(within)?,
            share: sidecar.share,
            conditioning: sidecar.condition.map(|text| text.parse()).transpose().map_err(within)?,
            sample_shape: sidecar.shape,
            clip: sidecar.clip,
        })
    }
}
