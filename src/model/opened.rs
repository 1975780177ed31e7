//! A checkpoint argument that is opened and not yet completed.

use super::Model;
use super::closed_form::resolve_ideal;
use super::resolve::{Setting, resolve_file, widened};
use crate::checkpoint::{self, Checkpoint, Request};
use crate::clean_data::{self, CleanData, Ideal};
use crate::data::SampleShape;
use crate::denoiser::NetworkDenoiser;
use crate::error::Result;
use crate::lora::Lora;
use crate::process::ProcessSpec;
use lipscope_core::cli::args::Share;
use lipscope_core::options::DataOptions;
use std::path::Path;
use std::sync::Arc;

const IDEAL: &str = "ideal:";

/// A checkpoint argument, opened but not yet completed.
pub struct Opened {
    /// As it was typed.
    pub argument: String,
    /// Name in tables and figures.
    pub label: String,
    origin: Origin,
    /// Adaptations that are merged into its weights.
    loras: Vec<Lora>,
    /// Channels of the network's input that are a condition.
    beside: i64,
}

enum Origin {
    File(Box<Checkpoint>),
    Ideal(Box<Ideal>),
}

impl Opened {
    /// Opens a file, a folder, or `ideal:DATA`.
    pub fn open(argument: &str, label: Option<&str>, data: &DataOptions, request: &Request) -> Result<Self> {
        let mut loras = Vec::new();
        let (origin, name) = match argument.strip_prefix(IDEAL) {
            Some(spec) => {
                let ideal = clean_data::open_ideal(&spec.parse()?, data, request.device)?;
                (Origin::Ideal(Box::new(ideal)), format!("ideal {spec}"))
            }
            None => {
                let path = Path::new(argument);
                // Read before gigabytes of weights are.
                loras = Lora::open_all(request.lora)?;
                let file = checkpoint::open(path, request)?;
                file.refuse_condition_channels(request.said.beside)?;
                (Origin::File(Box::new(file)), file_name(path))
            }
        };
        let (label, beside) = (label.map_or(name, str::to_string), request.said.beside);
        Ok(Opened { argument: argument.into(), label, origin, loras, beside })
    }

    /// Whether an argument names a closed form.
    pub fn is_ideal(argument: &str) -> bool {
        argument.starts_with(IDEAL)
    }

    /// An ideal denoiser that is already there.
    pub fn ideal(argument: &str, label: &str, ideal: Ideal) -> Self {
        Opened {
            argument: argument.into(),
            label: label.into(),
            origin: Origin::Ideal(Box::new(ideal)),
            loras: Vec::new(),
            beside: 0,
        }
    }

    /// The same as it is on disk.
    pub fn forget_loras(&mut self) {
        self.loras.clear();
    }

    /// What its samples must look like, as far as it knows.
    pub fn want(&self) -> SampleShape {
        match &self.origin {
            Origin::Ideal(ideal) => SampleShape { sample: Some(ideal.data.shape.clone()), ..SampleShape::default() },
            Origin::File(file) => {
                let input = file.network.input_shape();
                let sample = file.declared.sample_shape.clone().or(input.sample);
                // Of a state with auxiliary variables a sample is one.
                let variables = match &file.declared.schedule {
                    Some(ProcessSpec::LinearGaussian(process)) => process.variables() as i64,
                    _ => 1,
                };
                let of_x = |channels: i64| (channels - self.beside) / variables;
                let sample =
                    sample.map(|sample| widened(&sample, sample.first().map_or(0, |first| of_x(*first) - first)));
                let channels = input.channels.map(of_x);
                SampleShape { sample, channels, resizable: input.resizable, row: input.row }
            }
        }
    }

    /// The forward process that a checkpoint names.
    pub fn process(&self) -> Option<ProcessSpec> {
        match &self.origin {
            Origin::File(file) => file.declared.schedule.clone(),
            Origin::Ideal(_) => None,
        }
    }

    /// The reference samples of a checkpoint that has them.
    pub fn reference(&self) -> Option<CleanData> {
        match &self.origin {
            Origin::File(file) => {
                file.reference.as_ref().map(|reference| clean_data::reference(reference, &self.argument))
            }
            Origin::Ideal(_) => None,
        }
    }

    /// The data that belongs to a closed form; `None` for a checkpoint.
    pub fn take_data(&mut self) -> Option<CleanData> {
        match &mut self.origin {
            Origin::File(_) => None,
            Origin::Ideal(ideal) => Some(CleanData {
                source: Arc::clone(&ideal.data.source),
                shape: ideal.data.shape.clone(),
                description: ideal.data.description.clone(),
                warnings: std::mem::take(&mut ideal.data.warnings),
                whole: ideal.data.whole.clone(),
            }),
        }
    }

    /// Completes it; `share` is laid over it.
    pub fn resolve(self, setting: &Setting, share: Option<&Share>) -> Result<Model> {
        match self.origin {
            Origin::Ideal(ideal) => resolve_ideal(*ideal, &self.argument, self.label, setting, share),
            Origin::File(file) => resolve_file(*file, &self.loras, self.label, setting, share)?.into_model(),
        }
    }

    /// The network of a checkpoint with all that belongs to it; `None` for a closed form.
    pub fn resolve_network(self, setting: &Setting, share: Option<&Share>) -> Result<Option<NetworkDenoiser>> {
        match self.origin {
            Origin::Ideal(_) => Ok(None),
            Origin::File(file) => {
                resolve_file(*file, &self.loras, self.label, setting, share)?.into_denoiser().map(Some)
            }
        }
    }
}

/// The file's name without its extension; for a pipeline's `unet` or `transformer` the pipeline's name.
fn file_name(path: &Path) -> String {
    let named = |path: &Path| {
        let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
        name.map(|name| name.to_string_lossy().into_owned())
    };
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    match named(&resolved) {
        Some(name) if ["unet", "transformer"].contains(&name.as_str()) => {
            resolved.parent().and_then(named).unwrap_or(name)
        }
        Some(name) => name,
        None => "model".into(),
    }
}
