//! A diffusion policy of LeRobot: a folder with `config.json`, which says `"type": "diffusion"`, and `model.safetensors`; or that
//! file.
//!
//! The weights are a state dict ([`super::state_dict`]); the configuration says how the network is used. The encoder of
//! pictures stays unused: an observation is what it gives, beside the robot's state.

use super::{Checkpoint, Declared, Format, Request, Source, scheduler_config, state_dict};
use crate::error::{Error, Result};
use crate::network::recognise::Told;
use crate::tensor_file;
use lipscope_core::python_json;
use serde_json::{Map, Value};
use std::path::PathBuf;

pub(super) const FORMAT: Format = Format {
    name: "lerobot",
    about: "a diffusion policy of LeRobot: config.json and model.safetensors",
    recognises: |source| policy(source).is_some(),
    declared: |source, request| {
        let policy = open_policy(source)?;
        Ok(policy.declared(request)?.or((state_dict::FORMAT.declared)(&policy.weights()?, &policy.request(request))?))
    },
    open,
};

/// Keys of the configuration that say how x_t and its prediction come about, as diffusers' schedulers have them.
const SCHEDULER: [&str; 7] = [
    "num_train_timesteps",
    "beta_schedule",
    "beta_start",
    "beta_end",
    "prediction_type",
    "clip_sample",
    "clip_sample_range",
];

/// A policy's two files.
struct Policy {
    config: Value,
    config_path: PathBuf,
    weights: PathBuf,
    /// What no shape tells and the configuration does.
    told: Told,
}

/// The folder of a diffusion policy, and its configuration.
fn policy(source: &Source) -> Option<(PathBuf, Value)> {
    let folder = match &source.sniffed {
        None => source.path.to_path_buf(),
        Some(sniffed) if sniffed.format == tensor_file::Format::Safetensors => source.path.parent()?.to_path_buf(),
        Some(_) => return None,
    };
    let config = python_json::read(&folder.join("config.json"), "").ok()?;
    let is_policy = config.get("type").and_then(Value::as_str) == Some("diffusion");
    is_policy.then_some((folder, config))
}

fn open_policy(source: &Source) -> Result<Policy> {
    let Some((folder, config)) = policy(source) else {
        return Err(Error::file(source.path, "there is no config.json of a diffusion policy here", "Give its folder."));
    };
    let weights = if source.sniffed.is_none() { folder.join("model.safetensors") } else { source.path.to_path_buf() };
    if !weights.is_file() {
        let next = "Give the folder pretrained_model/ of a checkpoint, which holds both.";
        return Err(Error::file(&folder, "there is no model.safetensors beside its config.json", next));
    }
    let groups = config.get("n_groups").map(|groups| ("n_groups".to_string(), groups.clone()));
    let told = Told::new(groups.into_iter().collect());
    Ok(Policy { config_path: folder.join("config.json"), config, weights, told })
}

impl Policy {
    /// How the network is used.
    fn declared(&self, request: &Request) -> Result<Declared> {
        let mut scheduler: Map<String, Value> = Map::new();
        for key in SCHEDULER {
            scheduler.extend(self.config.get(key).map(|value| (key.to_string(), value.clone())));
        }
        let declared =
            scheduler_config::read(&scheduler.into(), &self.config_path, request.said)?.said_in("config.json");
        let actions = self.config.pointer("/output_features/action/shape/0").and_then(Value::as_i64);
        let horizon = self.config.get("horizon").and_then(Value::as_i64);
        let sample_shape = horizon.zip(actions).map(|(horizon, actions)| vec![horizon, actions]);
        Ok(Declared { sample_shape, ..declared })
    }

    fn weights(&self) -> Result<Source<'_>> {
        Ok(Source { path: &self.weights, sniffed: Some(tensor_file::sniff(&self.weights)?) })
    }

    fn request<'a>(&'a self, request: &Request<'a>) -> Request<'a> {
        Request { told: Some(&self.told), headers_only: false, ..*request }
    }
}

fn open(source: &Source, request: &Request) -> Result<Checkpoint> {
    let policy = open_policy(source)?;
    let declared = policy.declared(request)?;
    let checkpoint = (state_dict::FORMAT.open)(&policy.weights()?, &policy.request(request))?;
    Ok(Checkpoint {
        path: source.path.to_path_buf(),
        format: FORMAT.name.into(),
        declared: declared.or(checkpoint.declared),
        ..checkpoint
    })
}
