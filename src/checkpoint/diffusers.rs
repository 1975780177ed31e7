//! A diffusers `UNet2DModel`: its own folder (`config.json` beside the weights), or a pipeline's folder with `unet/` and
//! `scheduler/`.

use super::weights::{Reference, choose, reference};
use super::{Checkpoint, Declared, Format, Request, Sidecar, Source, scheduler_config, sha256};
use crate::error::{Error, Result};
use crate::network::unet2d::{UNet2d, UNet2dConfig};
use crate::nn::Weights;
use crate::tensor_file;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};

pub(super) const FORMAT: Format = Format {
    name: "diffusers",
    about: "a diffusers folder with a UNet2DModel (its own, or a pipeline's with unet/ and scheduler/)",
    recognises: |source| source.sniffed.is_none() && model_folder(source.path).is_some(),
    open,
};

/// Weights as diffusers names them, the preferred first.
const WEIGHTS: [&str; 4] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.fp16.bin",
];

/// A configuration is a few kilobytes.
const MOST_CONFIG_BYTES: u64 = 4 << 20;

/// The folder with the network's config.json: the path itself, or its `unet/`.
fn model_folder(path: &Path) -> Option<PathBuf> {
    [path.join("unet"), path.to_path_buf()].into_iter().find(|folder| folder.join("config.json").is_file())
}

/// The scheduler's configuration of the pipeline that holds `model`.
fn scheduler_path(model: &Path) -> Option<PathBuf> {
    let beside = |folder: &Path| folder.join("scheduler").join("scheduler_config.json");
    let own = [model.join("scheduler_config.json"), beside(model)];
    own.into_iter().chain(model.parent().map(beside)).find(|path| path.is_file())
}

fn open(source: &Source, request: &Request) -> Result<Checkpoint> {
    let Some(mut folder) = model_folder(source.path) else {
        return Err(Error::file(
            source.path,
            "there is no config.json here",
            "Give the model's or the pipeline's folder.",
        ));
    };
    let own = own_description(source.path)?;
    let training = own.as_ref().and_then(|own| own.training.as_ref());
    let chosen = choose(training, request.weights, source.path)?;
    if let (Some(set), Some(training)) = (chosen, training)
        && set != training.weights
    {
        folder = source.path.join(set_folder(set));
    }
    let config_path = folder.join("config.json");
    let config_json = read_json(&config_path)?;
    refuse_other_classes(&config_json, &config_path)?;
    let config = UNet2dConfig::from_json(&config_json, &config_path)?;
    let weights_path = weights_path(&folder)?;
    let tensors = read_weights(&weights_path, request.device)?;
    let weights = Weights::new(tensors, &weights_path);
    let network = UNet2d::new(&config, &weights)?;
    weights.finish()?;
    let declared = match own {
        Some(own) => own.declared(source.path)?,
        None => declared(&folder, &config)?,
    };
    Ok(Checkpoint {
        path: source.path.to_path_buf(),
        format: FORMAT.name.into(),
        sha256: sha256(&weights_path)?,
        network: Box::new(network),
        declared,
        reference: own_samples(source.path)?,
        left_out: Vec::new(),
    })
}

/// The description that `lipscope train` lays beside the pipeline's parts.
pub(super) const DESCRIPTION: &str = "lipscope.json";
/// Its reference samples.
pub(super) const SAMPLES: &str = "reference_samples.safetensors";

/// The folder of a set of weights that is not the default.
pub(super) fn set_folder(set: &str) -> String {
    format!("unet_{set}")
}

fn own_description(folder: &Path) -> Result<Option<Sidecar>> {
    let path = folder.join(DESCRIPTION);
    if !path.is_file() {
        return Ok(None);
    }
    Sidecar::from_json(&read_json(&path)?.to_string(), &path).map(Some)
}

fn own_samples(folder: &Path) -> Result<Option<Reference>> {
    let path = folder.join(SAMPLES);
    if !path.is_file() {
        return Ok(None);
    }
    reference(&tensor_file::read(&path)?.arrays, &path)
}

fn declared(folder: &Path, config: &UNet2dConfig) -> Result<Declared> {
    let mut declared = match scheduler_path(folder) {
        Some(path) => scheduler_config::read(&read_json(&path)?, &path)?,
        None => Declared::default(),
    };
    declared.sample_shape = config.sample_size.map(|[height, width]| vec![config.in_channels, height, width]);
    Ok(declared)
}

fn refuse_other_classes(config: &Value, path: &Path) -> Result<()> {
    match config.get("_class_name").and_then(Value::as_str) {
        None | Some("UNet2DModel") => Ok(()),
        Some(other) => Err(Error::file(
            path,
            format!("the model is a {other}"),
            "Of diffusers' models UNet2DModel is loaded natively; export others to TorchScript.",
        )),
    }
}

fn weights_path(folder: &Path) -> Result<PathBuf> {
    WEIGHTS.iter().map(|name| folder.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        Error::file(
            folder,
            format!("there are no weights beside config.json ({})", WEIGHTS.join(", ")),
            "Download the whole folder; sharded weights have to be saved as one file.",
        )
    })
}

fn read_weights(path: &Path, device: Device) -> Result<BTreeMap<String, Tensor>> {
    let named = tensor_file::read(path)?;
    let mut tensors = BTreeMap::new();
    for (name, array) in named.arrays {
        let tensor = array.into_tensor()?.f_to_device(device).map_err(|e| Error::torch("moving weights", &e))?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// Reads a JSON file of moderate size.
fn read_json(path: &Path) -> Result<Value> {
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, "opening", &e))?.len();
    if size > MOST_CONFIG_BYTES {
        return Err(Error::file(path, format!("{size} bytes are too many for a configuration"), "Check the file."));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "reading", &e))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::file(path, format!("it is not JSON ({e})"), "Save it again."))
}
