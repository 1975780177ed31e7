//! Checkpoints, recognised by content: a network, and what the file says about how to use it.
//!
//! A new format is one file with a [`Format`] and one line in [`FORMATS`].

mod declared;
mod diffusers;
mod digest;
mod lerobot;
mod persistent;
mod safetensors;
mod scheduler_config;
mod sedd;
mod sets;
pub mod state_dict;
mod torchscript;
mod unrecognised;
mod weights;
mod write;

pub use declared::{Declared, SaidIn, Sidecar, Training};
pub(crate) use digest::hexadecimal;
pub use digest::{sha256, sha256_of};
pub use weights::Reference;
pub(crate) use write::safetensors_bytes;
pub use write::{Content, WRITERS, WeightSet, Writer};

use crate::error::{Error, Result};
use crate::hub;
use crate::network::Network;
use crate::network::recognise::Told;
use crate::report::WeightsUsed;
use crate::tensor_file::{self, Sniffed};
use lipscope_core::cli::args::{Inputs, LoraSpec, ModuleOutput, OutputTensor};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use tch::{Device, Kind};
use unrecognised::unrecognised;

/// A network as it was found on disk.
pub struct Checkpoint {
    /// The path as given.
    pub path: PathBuf,
    /// Name of the recognised format, and which of several sets of weights it is.
    pub format: String,
    /// SHA-256 of the weights file; `None` where its numbers were not read.
    pub sha256: Option<String>,
    /// The network, on the device asked for.
    pub network: Box<dyn Network>,
    /// What the file says about its use.
    pub declared: Declared,
    /// Clean samples in the file.
    pub reference: Option<Reference>,
    /// Python objects that the file names and that were neither made nor run, such as `argparse.Namespace`.
    pub left_out: Vec<String>,
    /// Which set of weights it is, where it is one of several.
    pub weights: Option<WeightsUsed>,
    /// What a reader must know of it.
    pub notes: Vec<String>,
}

impl Checkpoint {
    /// Refuses a network that takes more channels than it answers with, but for the `beside` that are known to be a condition:
    /// noise must not be laid over one.
    pub fn refuse_condition_channels(&self, beside: i64) -> Result<()> {
        let config = self.network.config().unwrap_or_default();
        let number = |key: &str| config.get(key).and_then(serde_json::Value::as_i64);
        match (number("in_channels"), number("out_channels")) {
            (Some(inputs), _) if inputs <= beside => Err(Error::argument(
                "--concat",
                format!("{beside} channels"),
                format!("the network takes {inputs} channels in all, x among them"),
                "Give fewer, or leave it out.",
            )),
            (Some(inputs), Some(outputs)) if outputs < inputs - beside => {
                Err(crate::network::torchscript::conditioned(&self.path, inputs, outputs))
            }
            _ => Ok(()),
        }
    }
}

/// How a checkpoint is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Where its tensors go.
    pub device: Device,
    /// The dtype that its network will have, so that weights are in memory in that one only; `None` for the file's own.
    pub kind: Option<Kind>,
    /// Which of several sets of weights, as `--weights` takes it.
    pub weights: Option<&'a str>,
    /// What the user says of the network, as `--config` takes it.
    pub told: Option<&'a Told>,
    /// Inputs of a TorchScript module, as `--inputs` takes them.
    pub inputs: Option<&'a Inputs>,
    /// Which output of a TorchScript module counts, as `--output` takes it.
    pub output: Option<&'a ModuleOutput>,
    /// What the user says anyway, so that the file need not.
    pub said: Overridden,
    /// What is merged into its weights.
    pub lora: &'a [LoraSpec],
    /// Whether names, shapes and types of weights are enough. Formats that may hold gigabytes then read no numbers.
    pub headers_only: bool,
}

/// What the command line says about the use of a network: then nothing that a file says of it can stop a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overridden {
    /// Whether `--schedule` was given.
    pub schedule: bool,
    /// Whether `--prediction` was given.
    pub prediction: bool,
    /// How many channels `--concat` lays beside x.
    pub beside: i64,
}

impl Request<'_> {
    /// The default weights, on `device`.
    pub fn on(device: Device) -> Self {
        Request {
            device,
            kind: None,
            weights: None,
            told: None,
            inputs: None,
            output: None,
            said: Overridden::default(),
            lora: &[],
            headers_only: false,
        }
    }
}

/// What is on disk, looked at once.
pub struct Source<'a> {
    /// The path as given.
    pub path: &'a Path,
    /// What the file is; `None` for a folder.
    pub sniffed: Option<Sniffed>,
}

/// One format of the family.
pub struct Format {
    /// Its name in reports.
    pub name: &'static str,
    /// One line on what it is.
    pub about: &'static str,
    /// Whether this is one.
    pub recognises: fn(&Source) -> bool,
    /// Reads what it says about its use, without the weights.
    pub declared: fn(&Source, &Request) -> Result<Declared>,
    /// Reads it.
    pub open: fn(&Source, &Request) -> Result<Checkpoint>,
}

/// The family.
pub const FORMATS: &[Format] = &[
    torchscript::FORMAT,
    lerobot::FORMAT,
    sedd::FORMAT,
    diffusers::FORMAT,
    safetensors::FORMAT,
    persistent::FORMAT,
    state_dict::FORMAT,
];

/// Opens a checkpoint, a file, a folder or a model of the Hub that is in the cache; its weights must be finite.
pub fn open(path: &Path, request: &Request) -> Result<Checkpoint> {
    let local = hub::local(path)?;
    let source = look(&local)?;
    let Some(format) = FORMATS.iter().find(|format| (format.recognises)(&source)) else {
        return Err(unrecognised(&source));
    };
    let told = request.told.cloned().unwrap_or_default();
    let mut checkpoint = (format.open)(&source, &Request { told: Some(&told), ..*request })?;
    if let Cow::Owned(local) = &local {
        checkpoint.path = hub::named(path, local);
    }
    told.refuse_unused()?;
    // Which variables its one output is of may be said of a native network too.
    let other = |output: &ModuleOutput| {
        output.variables.is_empty() || !matches!(output.tensor, None | Some(OutputTensor::Place(0)))
    };
    if checkpoint.network.config().is_some() && (request.inputs.is_some() || request.output.is_some_and(other)) {
        let problem = format!("{} is loaded natively, and its inputs are known", path.display());
        return Err(Error::mismatch(problem, "Leave out --inputs and --output; they are for TorchScript modules."));
    }
    if checkpoint.sha256.is_some() {
        refuse_non_finite(&checkpoint)?;
    }
    Ok(checkpoint)
}

/// What a checkpoint says about its use, from its configuration and headers: no weights are read.
///
/// # Errors
/// It is no checkpoint, or its description is damaged.
pub fn declared(path: &Path, request: &Request) -> Result<Declared> {
    let local = hub::local(path)?;
    let source = look(&local)?;
    let Some(format) = FORMATS.iter().find(|format| (format.recognises)(&source)) else {
        return Err(unrecognised(&source));
    };
    let told = request.told.cloned().unwrap_or_default();
    let declared = (format.declared)(&source, &Request { told: Some(&told), ..*request })?;
    told.refuse_unused()?;
    Ok(declared)
}

/// The name of the format that what is at `path` has; `None` where it is no checkpoint.
pub fn format(path: &Path) -> Result<Option<&'static str>> {
    let local = hub::local(path)?;
    let source = look(&local)?;
    Ok(FORMATS.iter().find(|format| (format.recognises)(&source)).map(|format| format.name))
}

fn look(path: &Path) -> Result<Source<'_>> {
    let metadata = std::fs::metadata(path).map_err(|e| unrecognised::cannot_open(path, &e))?;
    let sniffed = if metadata.is_dir() { None } else { Some(tensor_file::sniff(path)?) };
    Ok(Source { path, sniffed })
}

fn refuse_non_finite(checkpoint: &Checkpoint) -> Result<()> {
    let _no_grad = tch::no_grad_guard();
    let bad = checkpoint
        .network
        .parameters()
        .into_iter()
        .find(|(_, tensor)| tensor.is_floating_point() && !all_finite(tensor));
    match bad {
        None => Ok(()),
        Some((name, _)) => Err(Error::file(
            &checkpoint.path,
            format!("the parameter `{name}` holds NaN or infinite values"),
            "Training may have diverged; use an earlier checkpoint.",
        )),
    }
}

/// NaN and ±∞ times 0 are NaN, so one sum tells, without a tensor of flags; in the tensor's own dtype, because for another
/// libtorch would first make a copy of it in that one.
fn all_finite(tensor: &tch::Tensor) -> bool {
    (tensor * 0.0).sum(tensor.kind()).double_value(&[]) == 0.0
}
