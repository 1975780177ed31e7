//! What a checkpoint says about its own use. Whatever it leaves out the command line fills in.

use crate::error::{Error, Result};
use crate::network::{self, Takes};
use crate::prediction::Prediction;
use crate::process::ProcessSpec;
use crate::report::WeightsUsed;
use crate::time::Conditioning;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// What a checkpoint says; `None` where it is silent.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Noise schedule, or another forward process.
    pub schedule: Option<ProcessSpec>,
    /// Prediction type.
    pub prediction: Option<Prediction>,
    /// Timestep map, as `--share` takes it.
    pub share: Option<String>,
    /// The number that the network gets for t.
    pub conditioning: Option<Conditioning>,
    /// Shape of one sample.
    pub sample_shape: Option<Vec<i64>>,
    /// x̂₀ is clamped to ± this when sampling.
    pub clip: Option<f64>,
    /// Whether its own sampler thresholds x̂₀ by each sample's quantile, which is not done here.
    pub thresholds: bool,
    /// How it was trained, where lipscope trained it.
    pub training: Option<Training>,
    /// Keys that were left out because they only concern how samples are made.
    pub ignored: Vec<String>,
    /// What the network takes besides x and t.
    pub takes: Option<Takes>,
    /// In which part of the checkpoint each of these stands.
    pub said_in: SaidIn,
}

/// The part of a checkpoint in which something is said, such as `scheduler_config.json`.
#[derive(Debug, Clone, Default)]
pub struct SaidIn {
    /// Of the schedule.
    pub schedule: Option<String>,
    /// Of the prediction type.
    pub prediction: Option<String>,
    /// Of the number that the network gets for t.
    pub conditioning: Option<String>,
}

/// What stands for the part where something is said, where an architecture's trainers all do so.
pub(super) const USUAL: &str = "as its trainers do";

impl Declared {
    /// The same, all of it said in `part`.
    pub(super) fn said_in(self, part: &str) -> Declared {
        let said_in = SaidIn {
            schedule: self.schedule.is_some().then(|| part.into()),
            prediction: self.prediction.is_some().then(|| part.into()),
            conditioning: self.conditioning.is_some().then(|| part.into()),
        };
        Declared { said_in, ..self }
    }

    /// What the networks of an architecture were trained on, whose configuration this is.
    pub(super) fn of_architecture(config: &Value) -> Result<Declared> {
        let class = config.get("_class_name").and_then(Value::as_str);
        let architecture = network::ARCHITECTURES.iter().find(|architecture| class == Some(architecture.class_name));
        let Some(on) = architecture.and_then(|architecture| architecture.trained_on) else {
            return Ok(Declared::default());
        };
        Ok(Declared {
            schedule: Some(on.schedule.parse()?),
            prediction: Some(on.prediction.parse()?),
            conditioning: Some(on.time_input.parse()?),
            ..Declared::default()
        }
        .said_in(USUAL))
    }

    /// What is said here, and where nothing is said what `other` says.
    pub fn or(self, other: Declared) -> Declared {
        Declared {
            schedule: self.schedule.or(other.schedule),
            prediction: self.prediction.or(other.prediction),
            share: self.share.or(other.share),
            conditioning: self.conditioning.or(other.conditioning),
            sample_shape: self.sample_shape.or(other.sample_shape),
            clip: self.clip.or(other.clip),
            thresholds: self.thresholds || other.thresholds,
            training: self.training.or(other.training),
            ignored: if self.ignored.is_empty() { other.ignored } else { self.ignored },
            takes: self.takes.or(other.takes),
            said_in: SaidIn {
                schedule: self.said_in.schedule.or(other.said_in.schedule),
                prediction: self.said_in.prediction.or(other.said_in.prediction),
                conditioning: self.said_in.conditioning.or(other.said_in.conditioning),
            },
        }
    }
}

/// How a checkpoint came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The variant, such as `ddpm` or `e-tsdm`.
    pub variant: String,
    /// Name of the weights that are meant unless others are asked for.
    pub weights: String,
    /// Names of all sets of weights in the file.
    pub all_weights: Vec<String>,
    /// Steps taken.
    pub steps: u64,
    /// The resolved plan of the run.
    pub plan: Value,
    /// Versions of lipscope and libtorch.
    pub versions: Value,
}

impl Training {
    /// The set of weights that was chosen, where there are several.
    pub(super) fn used(&self, chosen: Option<&str>) -> Option<WeightsUsed> {
        let name = chosen.unwrap_or(&self.weights).to_string();
        (self.all_weights.len() > 1).then(|| WeightsUsed { name, all: self.all_weights.clone() })
    }
}

/// `lipscope.json`: among a TorchScript module's extra files, in a diffusers folder, in a safetensors file's metadata.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sidecar {
    /// As `--schedule` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// As `--prediction` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<String>,
    /// As `--share` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// As `--condition` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Shape of one sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<i64>>,
    /// x̂₀ is clamped to ± this when sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// The configuration that the network is built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Value>,
    /// How it was trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
}

impl Sidecar {
    /// From the text of `lipscope.json`, found in the file at `path`.
    pub fn from_json(text: &str, path: &Path) -> Result<Self> {
        let json = lipscope_core::python_json::parse(text.as_bytes()).map_err(|e| bad(path, e.to_string()))?;
        let sidecar: Sidecar = serde_json::from_value(json).map_err(|e| bad(path, e.to_string()))?;
        match sidecar.shape.as_ref().filter(|shape| shape.is_empty() || shape.iter().any(|n| *n < 1)) {
            Some(shape) => Err(bad(path, format!("shape is {shape:?}"))),
            None => Ok(sidecar),
        }
    }

    /// As text.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|e| {
            Error::mismatch(format!("the checkpoint's description cannot be written ({e})"), "Report this.")
        })
    }

    /// In lipscope's terms; `path` is for messages.
    pub fn declared(self, path: &Path) -> Result<Declared> {
        let within = |e: Error| bad(path, e.to_string());
        let takes = self.architecture.map(|config| network::takes(&config, path)).transpose()?;
        Ok(Declared {
            schedule: self.schedule.map(|text| text.parse()).transpose().map_err(within)?,
            prediction: self.prediction.map(|text| text.parse()).transpose().map_err(within)?,
            share: self.share,
            conditioning: self.condition.map(|text| text.parse()).transpose().map_err(within)?,
            sample_shape: self.shape,
            clip: self.clip,
            training: self.training,
            takes,
            ..Declared::default()
        }
        .said_in("lipscope.json"))
    }
}

fn bad(path: &Path, problem: String) -> Error {
    Error::file(
        path,
        format!("its lipscope.json cannot be used: {}", lipscope_core::error::quoted(&problem)),
        "It takes schedule, prediction, share, condition, shape and clip, each as on the command line.",
    )
}
