//! Networks that NVlabs' `torch_utils.persistence` pickled: EDM's and EDM2's `network-snapshot-*.pkl` and EDM's
//! `training-state-*.pt`.
//!
//! An object of these is saved with its class as source text and the arguments of its constructor. The text stays where it is;
//! the class's name and the arguments are the configuration, and the attributes of the preconditioning around the network
//! say how it is used ([`crate::preconditioning`]).

use super::weights::placed;
use super::{Checkpoint, Declared, Format, Request, Source, sha256};
use crate::error::{Error, Result};
use crate::network;
use crate::nn::Weights;
use crate::preconditioning::{CNoise, Edm};
use crate::prediction::Prediction;
use crate::tensor_file::{self, Format as File, Value};
use crate::time::{Axis, Conditioning};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::path::Path;
use tch::Tensor;

pub(super) const FORMAT: Format = Format {
    name: "persistent pickle",
    about: "a network-snapshot-*.pkl or training-state-*.pt of EDM or EDM2",
    recognises,
    declared,
    open,
};

/// Where the object lies: averages in a snapshot, the network in a training state, or alone.
const PLACES: [&str; 3] = ["ema", "net", ""];

/// A class that makes a denoiser of a network.
struct Preconditioning {
    class: &'static str,
    /// The attribute that is the network.
    network: &'static str,
    declared: fn(&Attributes) -> Result<Declared>,
}

const PRECONDITIONINGS: [Preconditioning; 5] = [
    Preconditioning { class: "EDMPrecond", network: "model", declared: edm },
    Preconditioning { class: "VPPrecond", network: "model", declared: vp },
    Preconditioning { class: "VEPrecond", network: "model", declared: ve },
    Preconditioning { class: "iDDPMPrecond", network: "model", declared: iddpm },
    Preconditioning { class: "Precond", network: "unet", declared: edm },
];

/// Classes of networks, with the names that [`network::ARCHITECTURES`] knows them by.
const NETWORKS: [(&str, &str); 3] = [("SongUNet", "SongUNet"), ("DhariwalUNet", "DhariwalUNet"), ("UNet", "EDM2UNet")];

/// An object that was found.
struct Found<'a> {
    place: &'static str,
    preconditioning: &'static Preconditioning,
    attributes: Attributes<'a>,
}

/// What a pickled object was filled with.
struct Attributes<'a> {
    object: &'a Value,
    path: &'a Path,
}

impl<'a> Attributes<'a> {
    fn damaged(&self, problem: String) -> Error {
        Error::file(self.path, problem, "Is it a snapshot as the original code wrote it?")
    }

    fn number(&self, name: &str) -> Result<f64> {
        let number = self.object.get(name).and_then(Value::as_f64);
        number.ok_or_else(|| self.damaged(format!("its preconditioning has no number `{name}`")))
    }

    /// Class and state of a part of a module.
    fn module(&self, name: &str) -> Result<(&'a str, &'a Value)> {
        match self.object.get("_modules").and_then(|modules| modules.get(name)) {
            Some(object @ Value::Opaque { name, state: Some(_) }) => Ok((name, object)),
            _ => Err(self.damaged(format!("its preconditioning has no network `{name}`"))),
        }
    }
}

fn recognises(source: &Source) -> bool {
    let kinds = [File::Pickle, File::TorchSave, File::TorchSaveLegacy];
    source.sniffed.as_ref().is_some_and(|sniffed| kinds.contains(&sniffed.format))
        && tensor_file::entries(source.path)
            .is_ok_and(|listing| listing.tree.as_ref().is_some_and(|tree| find(tree, source.path).is_some()))
}

fn find<'a>(tree: &'a Value, path: &'a Path) -> Option<Found<'a>> {
    PLACES.into_iter().find_map(|place| {
        let object = if place.is_empty() { tree } else { tree.get(place)? };
        let Value::Opaque { name, .. } = object else { return None };
        let preconditioning = PRECONDITIONINGS.iter().find(|known| *known.class == **name)?;
        Some(Found { place, preconditioning, attributes: Attributes { object, path } })
    })
}

fn not_there(path: &Path) -> Error {
    Error::file(path, "it holds no network of EDM or EDM2", "Check the file.")
}

fn declared(source: &Source, _request: &Request) -> Result<Declared> {
    let listing = tensor_file::entries(source.path)?;
    let found = listing.tree.as_ref().and_then(|tree| find(tree, source.path)).ok_or_else(|| not_there(source.path))?;
    Ok(Declared { takes: Some(network::takes(&found.config()?, source.path)?), ..found.declared()? })
}

fn open(source: &Source, request: &Request) -> Result<Checkpoint> {
    let path = source.path;
    let listing = tensor_file::entries(path)?;
    let found = listing.tree.as_ref().and_then(|tree| find(tree, path)).ok_or_else(|| not_there(path))?;
    found.refuse_other(request.weights)?;
    let (config, prefix) = (found.config()?, found.prefix());
    let named = tensor_file::read_selected(path, &|name| name.starts_with(&prefix))?;
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for (name, array) in named.arrays {
        let own = name.get(prefix.len()..).unwrap_or_default().to_string();
        tensors.insert(own, placed(&array, request)?);
    }
    let weights = Weights::new(tensors, path);
    let network = network::build(&config, &weights, path)?;
    weights.finish()?;
    Ok(Checkpoint {
        path: path.into(),
        format: format!("{}, {}", FORMAT.name, found.preconditioning.class),
        sha256: Some(sha256(path)?),
        network,
        declared: found.declared()?,
        reference: None,
        // Modules and dicts of the original code are what was read.
        left_out: Vec::new(),
        weights: None,
        notes: Vec::new(),
    })
}

impl Found<'_> {
    /// What stands before the names of the network's parameters.
    fn prefix(&self) -> String {
        let parts = [self.place, self.preconditioning.network].into_iter().filter(|part| !part.is_empty());
        parts.map(|part| format!("{part}.")).collect()
    }

    fn refuse_other(&self, asked: Option<&str>) -> Result<()> {
        match asked.filter(|asked| *asked != self.place) {
            None => Ok(()),
            Some(asked) => {
                let holds = format!("{} holds one set of weights, `{}`", self.attributes.path.display(), self.place);
                Err(Error::argument("--weights", asked, holds, "Leave it out."))
            }
        }
    }

    /// The configuration that [`network::build`] takes: the arguments of the network's constructor.
    fn config(&self) -> Result<Json> {
        let attributes = &self.attributes;
        let (class, object) = attributes.module(self.preconditioning.network)?;
        let Some((_, name)) = NETWORKS.iter().find(|(known, _)| *known == class) else {
            let known: Vec<&str> = NETWORKS.iter().map(|(known, _)| *known).collect();
            let what = format!("the network `{class}` in {}", attributes.path.display());
            let allowed = format!("of these files {} are opened", known.join(", "));
            return Err(Error::unsupported(what, allowed, "Export it to TorchScript."));
        };
        let mut config = Map::new();
        config.insert("_class_name".into(), (*name).into());
        for (key, value) in entries(object.get("_init_kwargs").unwrap_or(&Value::None)) {
            let json = json(value)
                .ok_or_else(|| attributes.damaged(format!("`{key}` of its {class} is no number, text or list")))?;
            config.insert(key.into(), json);
        }
        Ok(config.into())
    }

    fn declared(&self) -> Result<Declared> {
        let number = |name| self.attributes.number(name).map(|number| number as i64);
        let (channels, size) = (number("img_channels")?, number("img_resolution")?);
        let declared = (self.preconditioning.declared)(&self.attributes)?;
        Ok(Declared { sample_shape: Some(vec![channels, size, size]), ..declared })
    }
}

/// Of a dict, or of an object that is one.
fn entries(value: &Value) -> Vec<(&str, &Value)> {
    match value {
        Value::Dict(entries) => entries.iter().map(|(key, value)| (&**key, value)).collect(),
        Value::Opaque { state: Some(state), .. } => entries(state),
        _ => Vec::new(),
    }
}

fn json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::None => Json::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Str(text) => (**text).into(),
        Value::List(items) => items.iter().map(json).collect::<Option<Vec<Json>>>()?.into(),
        _ => return None,
    })
}

fn used(schedule: &str, prediction: Prediction, conditioning: Conditioning) -> Result<Declared> {
    Ok(Declared {
        schedule: Some(schedule.parse()?),
        prediction: Some(prediction),
        conditioning: Some(conditioning),
        ..Declared::default()
    }
    .said_in("its preconditioning"))
}

/// The grid of the paper's sampler, where the network supports it; EDM2's preconditioning does not say what it supports.
fn edm(attributes: &Attributes) -> Result<Declared> {
    let supported = |name, default| attributes.object.get(name).and_then(Value::as_f64).unwrap_or(default);
    let (min, max) = (supported("sigma_min", 0.0).max(0.002), supported("sigma_max", 80.0).min(80.0));
    let prediction = Prediction::Edm(Edm { sigma_data: attributes.number("sigma_data")? });
    used(&format!("edm:sigma-min={min},sigma-max={max}"), prediction, Conditioning::EDM)
}

fn vp(attributes: &Attributes) -> Result<Declared> {
    let (beta_min, steps) = (attributes.number("beta_min")?, attributes.number("M")?);
    let beta_max = beta_min + attributes.number("beta_d")?;
    let schedule = format!("vp:beta-min={beta_min},beta-max={beta_max}");
    used(&schedule, Prediction::Vp, Conditioning::Noise(CNoise::Vp { beta_min, beta_max, steps }))
}

fn ve(attributes: &Attributes) -> Result<Declared> {
    let (min, max) = (attributes.number("sigma_min")?, attributes.number("sigma_max")?);
    used(&format!("ve:sigma-min={min},sigma-max={max}"), Prediction::Ve, Conditioning::Noise(CNoise::Ve))
}

/// Its grid of u is that of the cosine schedule counted from the noise, and c_noise the step; C₁ is the least that ᾱ keeps in
/// one step, 1 − max β.
fn iddpm(attributes: &Attributes) -> Result<Declared> {
    let number = |name| attributes.number(name);
    let (s, max_beta, steps) = (number("C_2")?, 1.0 - number("C_1")?, number("M")?);
    let schedule = format!("cosine:s={s},max-beta={max_beta},timesteps={steps}");
    used(&schedule, Prediction::Vp, Conditioning::scaled(Axis::Step, 1.0))
}
