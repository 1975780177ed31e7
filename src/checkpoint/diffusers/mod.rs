//! A model of diffusers: its own folder (`config.json` beside the weights), or a pipeline's folder with `unet/` or
//! `transformer/`, and `scheduler/`.

mod files;
mod shards;

use super::weights::{Reference, choose, reference};
use super::{Checkpoint, Declared, Format, Request, Sidecar, Source, scheduler_config, sha256};
use crate::error::{Error, Result};
use crate::network;
use crate::nn::Weights;
use crate::tensor_file;
use files::{read_file, read_json};
use serde_json::Value;
use shards::Index;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};

pub(super) const FORMAT: Format = Format {
    name: "diffusers",
    about: "a diffusers folder (a model's own, or a pipeline's with unet/ or transformer/, and scheduler/)",
    recognises: |source| source.sniffed.is_none() && model_folder(source.path).is_some(),
    declared: |source, _| match (own_description(source.path)?, model_folder(source.path)) {
        (Some(own), _) => own.declared(source.path),
        (None, Some(folder)) => scheduled(&folder),
        (None, None) => Ok(Declared::default()),
    },
    open,
};

/// Weights as diffusers names them, the preferred first; an index lists the files that they are spread over.
const WEIGHTS: [&str; 8] = [
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.bin.index.json",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.safetensors.index.fp16.json",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.bin.index.fp16.json",
    "diffusion_pytorch_model.fp16.bin",
];

/// The folder with the network's config.json: the path itself, or its `unet/` or `transformer/`.
fn model_folder(path: &Path) -> Option<PathBuf> {
    [path.join("unet"), path.join("transformer"), path.to_path_buf()]
        .into_iter()
        .find(|folder| folder.join("config.json").is_file())
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
    let config = known_class(config_json, &config_path)?;
    check(&config, &config_path)?;
    let weights = Stored::find(&folder)?;
    let network = network::build(&config, &Weights::new(weights.read(request.device)?, weights.path()), &config_path)?;
    let declared = match own {
        Some(own) => own.declared(source.path)?,
        None => Declared { sample_shape: network.input_shape().sample, ..scheduled(&folder)? },
    };
    Ok(Checkpoint {
        path: source.path.to_path_buf(),
        format: FORMAT.name.into(),
        sha256: weights.sha256()?,
        network,
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

/// What the scheduler beside a model says.
fn scheduled(folder: &Path) -> Result<Declared> {
    match scheduler_path(folder) {
        Some(path) => scheduler_config::read(&read_json(&path)?, &path),
        None => Ok(Declared::default()),
    }
}

/// The configuration of a class that is loaded natively. The oldest files leave the class out.
fn known_class(mut config: Value, path: &Path) -> Result<Value> {
    let key = "_class_name";
    if let Some(object) = config.as_object_mut() {
        object.entry(key).or_insert_with(|| "UNet2DModel".into());
    }
    let known: Vec<&str> = network::ARCHITECTURES.iter().map(|architecture| architecture.class_name).collect();
    match config.get(key).and_then(Value::as_str) {
        Some(other) if !known.contains(&other) => Err(Error::file(
            path,
            format!("the model is a {other}"),
            format!("Loaded natively are {}; export others to TorchScript.", known.join(", ")),
        )),
        _ => Ok(config),
    }
}

/// Finds what is wrong with a configuration before gigabytes of weights are read for it.
fn check(config: &Value, path: &Path) -> Result<()> {
    let nothing = Weights::new(BTreeMap::new(), path);
    match network::build(config, &nothing, path) {
        Err(error) if !nothing.was_asked() => Err(error),
        _ => Ok(()),
    }
}

/// Where the weights of a model are: in one file, or spread over several that an index lists.
enum Stored {
    File(PathBuf),
    Shards(Index),
}

impl Stored {
    fn find(folder: &Path) -> Result<Self> {
        let Some(path) = WEIGHTS.iter().map(|name| folder.join(name)).find(|path| path.is_file()) else {
            return Err(Error::file(
                folder,
                format!("there are no weights beside config.json ({})", WEIGHTS.join(", ")),
                "Download the whole folder.",
            ));
        };
        let is_index = path.extension().is_some_and(|extension| extension == "json");
        Ok(if is_index { Stored::Shards(Index::read(&path)?) } else { Stored::File(path) })
    }

    /// The file that was found, for messages.
    fn path(&self) -> &Path {
        match self {
            Stored::File(path) => path,
            Stored::Shards(index) => &index.path,
        }
    }

    fn read(&self, device: Device) -> Result<BTreeMap<String, Tensor>> {
        match self {
            Stored::File(path) => read_file(path, device),
            Stored::Shards(index) => index.tensors(device),
        }
    }

    fn sha256(&self) -> Result<String> {
        match self {
            Stored::File(path) => sha256(path),
            Stored::Shards(index) => index.sha256(),
        }
    }
}
