//! A model of diffusers: its own folder (`config.json` beside the weights), a pipeline's folder with `unet/` or
//! `transformer/`, and `scheduler/`, or a file of weights with a `config.json` beside it.

mod places;
mod shards;
mod stored;

use super::sets::{self, Names, Set};
use super::weights::{Reference, choose, reference};
use super::{Checkpoint, Declared, Format, Request, Sidecar, Source, Training, scheduler_config};
use crate::error::{Error, Result};
use crate::network;
use crate::nn::Weights;
use crate::report::WeightsUsed;
use crate::tensor_file::{self, Format as File};
use lipscope_core::python_json;
use places::Candidate;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stored::Stored;

pub(super) const FORMAT: Format = Format {
    name: "diffusers",
    about: "a diffusers folder (a model's own, or a pipeline's with unet/ or transformer/, and scheduler/)",
    recognises: |source| !folders(source).is_empty(),
    declared,
    open,
};

/// What `lipscope.json` or the scheduler says, and the network's configuration.
fn declared(source: &Source, request: &Request) -> Result<Declared> {
    let folders = folders(source);
    let said = match (own_description(source.path)?, folders.first()) {
        (Some(own), _) => own.declared(source.path)?,
        (None, Some(folder)) => scheduled(folder, request)?,
        (None, None) => Declared::default(),
    };
    let takes = |folder: &PathBuf| network::takes(&configuration(folder)?.0, &folder.join("config.json"));
    Ok(Declared { takes: folders.first().map(takes).transpose()?.or(said.takes), ..said })
}

/// The folders of the model's configuration: below the path, at it, or around the file of weights that it is.
fn folders(source: &Source) -> Vec<PathBuf> {
    match &source.sniffed {
        None => places::model_folders(source.path),
        Some(sniffed) if matches!(sniffed.format, File::TorchSave | File::TorchSaveLegacy | File::Safetensors) => {
            let folder = source.path.parent().map(|parent| parent.join(".")).unwrap_or_default();
            let config = read_json(&folder.join("config.json")).unwrap_or_default();
            // A configuration of something else says nothing about this file.
            let class = config.get(CLASS).and_then(Value::as_str);
            let known = network::ARCHITECTURES.iter().any(|architecture| class == Some(architecture.class_name));
            let described = !super::safetensors::describes_itself(source);
            Some(folder).filter(|_| known && described).into_iter().collect()
        }
        Some(_) => Vec::new(),
    }
}

/// The key of a configuration that names its class.
const CLASS: &str = "_class_name";

/// The scheduler's configuration of the pipeline that holds `model`. Trainers keep the model in `checkpoint-N/unet`, and
/// the pipeline around all such folders.
fn scheduler_path(model: &Path) -> Option<PathBuf> {
    let beside = |folder: &Path| folder.join("scheduler").join("scheduler_config.json");
    let own = [model.join("scheduler_config.json"), beside(model)];
    let is_step = |folder: &&Path| folder.file_name().is_some_and(|name| is_training_step(&name.to_string_lossy()));
    let around = model.ancestors().take(2).filter(is_step).filter_map(Path::parent);
    let all = own.into_iter().chain(model.parent().map(beside)).chain(around.map(beside));
    all.into_iter().find(|path| path.is_file())
}

/// The step in the name of a trainer's folder, `checkpoint-500`.
pub(super) fn training_step(name: &str) -> Option<u64> {
    name.strip_prefix("checkpoint")?.trim_start_matches(['-', '_']).parse().ok()
}

fn is_training_step(name: &str) -> bool {
    training_step(name).is_some()
}

fn open(source: &Source, request: &Request) -> Result<Checkpoint> {
    let path = source.path;
    let own = own_description(path)?;
    let training = own.as_ref().and_then(|own| own.training.as_ref());
    let (all, described) = (weights(source, request, training)?, training.is_some());
    let asked = request.weights.filter(|_| !described);
    let Some((candidate, answered)) = places::choose(&all, asked) else {
        return Err(Error::file(path, "there is no config.json here", "Give the model's or the pipeline's folder."));
    };
    if own.is_none() {
        refuse_part(candidate)?;
    }
    let (config, anchor) = configuration(&candidate.folder)?;
    let stored = Stored::open(&candidate.file)?;
    let chosen = chosen_set(candidate, &stored, anchor.as_deref(), asked.filter(|_| !answered), all.len() == 1)?;
    let (tensors, left_out) = match request.headers_only {
        true => (stored.shapes(&chosen.set)?, Vec::new()),
        false => stored.read(&chosen.set, request)?,
    };
    let config_path = candidate.folder.join("config.json");
    let network = network::build(&config, &Weights::new(tensors, stored.path()), &config_path)?;
    let declared = match own {
        Some(own) => own.declared(path)?,
        None => Declared { sample_shape: network.input_shape().sample, ..scheduled(&candidate.folder, request)? },
    };
    let place = places::used(&all, candidate).filter(|_| !described);
    let own = declared.training.as_ref().map(|training| choose(Some(training), request.weights, path)).transpose()?;
    let trained = declared.training.as_ref().and_then(|training| training.used(own.flatten()));
    Ok(Checkpoint {
        path: path.to_path_buf(),
        format: FORMAT.name.into(),
        sha256: if request.headers_only { None } else { Some(stored.sha256()?) },
        network,
        declared,
        reference: own_samples(path)?,
        left_out,
        weights: chosen.used.or(place).or(trained),
        notes: Vec::new(),
    })
}

/// The weights that may be meant.
fn weights(source: &Source, request: &Request, training: Option<&Training>) -> Result<Vec<Candidate>> {
    let path = source.path;
    if let Some(training) = training {
        let chosen = choose(Some(training), request.weights, path)?;
        let other = chosen.filter(|set| *set != training.weights).map(set_folder);
        return places::candidates(&[path.join(other.as_deref().unwrap_or("unet"))]);
    }
    if source.sniffed.is_some() {
        return Ok(vec![places::candidate(path)]);
    }
    let folders = places::model_folders(path);
    // Asked before weights are looked for.
    folders.iter().try_for_each(|folder| configuration(folder).map(|_| ()))?;
    places::candidates(&folders)
}

/// Refuses a part of what `lipscope train` wrote: how it is to be used stands beside it.
fn refuse_part(candidate: &Candidate) -> Result<()> {
    let real = candidate.folder.canonicalize().unwrap_or_else(|_| candidate.folder.clone());
    match real.parent() {
        Some(whole) if whole.join(DESCRIPTION).is_file() => {
            let problem = format!("it is a part of a checkpoint whose {DESCRIPTION} says how it is used");
            Err(Error::file(&candidate.folder, problem, format!("Give the checkpoint itself, {}.", whole.display())))
        }
        _ => Ok(()),
    }
}

/// A set of weights of a file, and which it is where there are several.
struct Chosen {
    set: Set,
    used: Option<WeightsUsed>,
}

/// The set of weights that is meant among those of a file, which all have the parameter `anchor`.
fn chosen_set(
    candidate: &Candidate,
    stored: &Stored,
    anchor: Option<&str>,
    asked: Option<&str>,
    alone: bool,
) -> Result<Chosen> {
    let entries = stored.entries()?;
    let mut sets = sets::find(&Names::new(&entries), anchor.as_slice());
    if sets.is_empty() {
        let problem = format!("the parameter `{}` is missing", anchor.unwrap_or_default());
        let next = "The weights do not belong to this configuration; check that both come from the same model.";
        return Err(Error::file(stored.path(), problem, next));
    }
    sets.iter_mut().for_each(|set| set.average |= candidate.average);
    let references: Vec<&Set> = sets.iter().collect();
    if let (Some(asked), true, [only]) = (asked, alone, &references[..]) {
        let fits = match asked {
            "ema" => only.average,
            "raw" | "model" => !only.average,
            _ => only.name() == asked,
        };
        if !fits {
            let problem = "it holds one set of weights, with no names to choose from";
            return Err(Error::file(stored.path(), problem, "Leave out --weights."));
        }
    }
    let place = sets::choose(&references, asked, stored.path())?;
    let names: Vec<String> = references.iter().map(|set| set.name()).collect();
    let used = names.get(place).and_then(|name| sets::used(&names, name));
    Ok(Chosen { set: sets.swap_remove(place), used })
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

/// What the scheduler beside a model says; without one, what all networks of its class were trained on. Where the command line says both schedule and prediction type, a file that
/// cannot be read does no harm.
fn scheduled(folder: &Path, request: &Request) -> Result<Declared> {
    let Some(path) = scheduler_path(folder) else {
        return Declared::of_architecture(&read_json(&folder.join("config.json"))?);
    };
    let said = request.said;
    match read_json(&path) {
        Ok(config) => scheduler_config::read(&config, &path, said),
        Err(_) if said.schedule && said.prediction => Ok(Declared::default()),
        Err(error) => Err(error),
    }
}

/// The configuration of a folder, checked before gigabytes of weights are read for it, and the name of the first parameter
/// that its network needs.
fn configuration(folder: &Path) -> Result<(Value, Option<String>)> {
    let path = folder.join("config.json");
    let config = known_class(read_json(&path)?, &path)?;
    let nothing = Weights::new(BTreeMap::new(), &path);
    let error = network::build(&config, &nothing, &path).err();
    match (error, nothing.first_asked()) {
        (Some(error), None) => Err(error),
        (_, first) => Ok((config, first)),
    }
}

/// The configuration of a class that is loaded natively. The oldest files leave the class out.
fn known_class(mut config: Value, path: &Path) -> Result<Value> {
    if let Some(object) = config.as_object_mut() {
        object.entry(CLASS).or_insert_with(|| "UNet2DModel".into());
    }
    let known: Vec<&str> = network::ARCHITECTURES.iter().map(|architecture| architecture.class_name).collect();
    match config.get(CLASS).and_then(Value::as_str) {
        Some(other) if !known.contains(&other) => Err(Error::file(
            path,
            format!("the model is a {other}"),
            format!("Loaded natively are {}; export others to TorchScript.", known.join(", ")),
        )),
        _ => Ok(config),
    }
}

fn read_json(path: &Path) -> Result<Value> {
    python_json::read(path, "Save or download it again.")
}
