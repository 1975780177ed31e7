//! A network over symbols as SEDD and MDLM keep it: a folder of the Hugging Face hub, `config.json` beside `model.safetensors` or
//! `pytorch_model.bin`; the folder of a run, `.hydra/config.yaml` and `checkpoints-meta/checkpoint.pth` (SEDD) or
//! `checkpoints/last.ckpt` (MDLM); or one of these files of weights.
//!
//! The weights are a state dict ([`super::state_dict`]), averages before others; the configuration says how the network is
//! built and used.

use super::declared::{SaidIn, USUAL};
use super::{Checkpoint, Declared, Format, Request, Source, state_dict};
use crate::error::{Error, Result};
use crate::network::recognise::Told;
use crate::network::sedd::{KEYS, Noise, Settings, is_training};
use crate::tensor_file::{self, Format as File};
use crate::yaml;
use lipscope_core::python_json;
use serde_json::Value;
use std::path::{Path, PathBuf};

pub(super) const FORMAT: Format = Format {
    name: "sedd",
    about: "a folder of SEDD or MDLM: config.json and model.safetensors or pytorch_model.bin, or a run with .hydra/config.yaml",
    recognises: |source| place(source).is_some(),
    declared: |source, request| {
        let trained = Trained::of(source, request)?;
        Ok(trained.of_file((state_dict::FORMAT.declared)(&trained.weights()?, &trained.request(request))?))
    },
    open,
};

const HUB: &str = "config.json";
const RUN: &str = ".hydra/config.yaml";
/// What lies beside each, in the order in which it is taken.
const HUB_WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
const RUN_WEIGHTS: [&str; 3] = [RUN_STATE, "checkpoints/last.ckpt", "checkpoints/best.ckpt"];
/// The state of a run of SEDD.
const RUN_STATE: &str = "checkpoints-meta/checkpoint.pth";

/// Where a configuration and its weights lie.
struct Place {
    folder: PathBuf,
    /// [`HUB`] or [`RUN`].
    part: &'static str,
    /// The file that was given, where it is one of weights.
    file: Option<PathBuf>,
}

/// The folder that is given, or that a file of weights is a part of.
fn place(source: &Source) -> Option<Place> {
    let trained = |folder: &Path, part| read(&folder.join(part)).is_ok_and(|config| is_training(&config));
    let Some(sniffed) = &source.sniffed else {
        let folder = source.path.to_path_buf();
        let is_run = folder.join(RUN).is_file() && (folder.join(RUN_STATE).is_file() || trained(&folder, RUN));
        let part = if trained(&folder, HUB) { HUB } else { Some(RUN).filter(|_| is_run)? };
        return Some(Place { folder, part, file: None });
    };
    if !matches!(sniffed.format, File::TorchSave | File::TorchSaveLegacy | File::Safetensors) {
        return None;
    }
    // Of `FILE` the folder is `.`.
    let beside = source.path.parent()?.join(".");
    let (folder, part) =
        [(beside.clone(), HUB), (beside.join(".."), RUN)].into_iter().find(|(f, part)| trained(f, part))?;
    let is_weights = (state_dict::FORMAT.recognises)(source);
    is_weights.then(|| Place { folder, part, file: Some(source.path.to_path_buf()) })
}

fn read(path: &Path) -> Result<Value> {
    let next = "Copy it anew from where the network was trained.";
    if yaml::is_name(path) { yaml::read(path, next) } else { python_json::read(path, next) }
}

/// A configuration and its weights.
struct Trained {
    part: &'static str,
    weights: PathBuf,
    /// What no shape tells and the configuration does.
    told: Told,
    /// Whether it names the noise, which MDLM's on the hub do not.
    names_noise: bool,
}

impl Trained {
    /// The configuration, checked, and where its weights are.
    fn of(source: &Source, request: &Request) -> Result<Self> {
        let Some(Place { folder, part, file }) = place(source) else {
            return Err(Error::file(source.path, "there is no configuration of SEDD or MDLM here", "Give its folder."));
        };
        let path = folder.join(part);
        let config = read(&path)?;
        let wrong = |e: Error| Error::file(&path, e.problem(), e.next());
        let settings = Settings::read(&|key| config.get(key)).map_err(wrong)?.ok_or_else(|| {
            let problem = "it is no configuration of SEDD or MDLM: there is no `graph.type` and no `parameterization`";
            Error::file(&path, problem, "Give the configuration that the network was trained with.")
        })?;
        if let (Noise::Other(noise), false) = (&settings.noise, request.said.schedule) {
            let next = "Give --schedule, absorb:symbols=V with noise=log-linear or noise=geometric,min=1e-4,max=20.";
            return Err(Error::file(&path, format!("its noise is {noise}, which is not known here"), next));
        }
        let weights = match file {
            Some(file) => file,
            None => weights(&folder, part)?,
        };
        let keys = KEYS.iter().filter_map(|key| Some((key.to_string(), config.get(*key)?.clone())));
        let told = Told::new(keys.collect());
        Ok(Trained { part, weights, told, names_noise: config.get("noise").is_some() })
    }

    /// What a state dict says with this configuration, as said by it.
    fn of_file(&self, declared: Declared) -> Declared {
        let schedule = if self.names_noise { self.part } else { USUAL };
        let said_in = SaidIn {
            schedule: declared.schedule.is_some().then(|| schedule.into()),
            // Log-ratios too, which have no name among predictions.
            prediction: Some(self.part.into()),
            conditioning: declared.conditioning.is_some().then(|| USUAL.into()),
        };
        Declared { said_in, ..declared }
    }

    fn weights(&self) -> Result<Source<'_>> {
        Ok(Source { path: &self.weights, sniffed: Some(tensor_file::sniff(&self.weights)?) })
    }

    fn request<'a>(&'a self, request: &Request<'a>) -> Request<'a> {
        Request { told: Some(&self.told), ..*request }
    }
}

fn weights(folder: &Path, part: &str) -> Result<PathBuf> {
    let names: &[&str] = if part == HUB { &HUB_WEIGHTS } else { &RUN_WEIGHTS };
    let found = names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let problem = format!("there are no weights beside its {part}: none of {}", names.join(", "));
        Error::file(folder, problem, "Was the download or the copy interrupted? Or give the file of weights itself.")
    })
}

fn open(source: &Source, request: &Request) -> Result<Checkpoint> {
    let trained = Trained::of(source, request)?;
    let checkpoint = (state_dict::FORMAT.open)(&trained.weights()?, &trained.request(request))?;
    Ok(Checkpoint {
        path: source.path.to_path_buf(),
        format: FORMAT.name.into(),
        declared: trained.of_file(checkpoint.declared),
        ..checkpoint
    })
}
