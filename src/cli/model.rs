//! From a checkpoint argument to a denoiser: what the file says, completed and overridden by the command line.

use super::args::{DataOptions, ModelOptions};
use super::condition::{condition, in_words};
use super::data::{self, Ideal};
use crate::checkpoint::{self, Checkpoint, NamedSchedule, Request};
use crate::data::SampleShape;
use crate::denoiser::{Denoiser, NetworkDenoiser};
use crate::device::dtype_name;
use crate::error::{Error, Result};
use crate::ideal::IdealDenoiser;
use crate::network::Probe;
use crate::prediction::Prediction;
use crate::report::{ModelDescription, Warning};
use crate::time::{Axis, Conditioning};
use crate::timestep_map::{self, Identity, TimestepMap};
use std::path::Path;
use std::sync::Arc;
use tch::{Device, Kind};

const IDEAL: &str = "ideal:";
const DEFAULT_SCHEDULE: &str = "linear";

/// A checkpoint argument, opened but not yet completed.
pub(super) struct Opened {
    /// As it was typed.
    pub argument: String,
    /// Name in tables and figures.
    pub label: String,
    origin: Origin,
}

enum Origin {
    File(Box<Checkpoint>),
    Ideal(Box<Ideal>),
}

/// A model, ready to be measured.
pub(super) struct Model<D = Box<dyn Denoiser>> {
    /// Name in tables and figures.
    pub label: String,
    /// What the report says about it.
    pub description: ModelDescription,
    /// The model.
    pub denoiser: D,
    /// x̂₀ is clamped to ± this when it makes samples.
    pub clip: Option<f64>,
    /// What a reader must know.
    pub warnings: Vec<Warning>,
}

impl Opened {
    /// Opens a file, a folder, or `ideal:DATA`.
    pub fn open(argument: &str, label: Option<&str>, data: &DataOptions, request: &Request) -> Result<Self> {
        let (origin, name) = match argument.strip_prefix(IDEAL) {
            Some(spec) => {
                let ideal = data::open_ideal(&spec.parse()?, data, request.device)?;
                (Origin::Ideal(Box::new(ideal)), format!("ideal {spec}"))
            }
            None => {
                let path = Path::new(argument);
                (Origin::File(Box::new(checkpoint::open(path, request)?)), file_name(path))
            }
        };
        Ok(Opened { argument: argument.into(), label: label.map_or(name, str::to_string), origin })
    }

    /// An ideal denoiser that is already there.
    pub fn ideal(argument: &str, label: &str, ideal: Ideal) -> Self {
        Opened { argument: argument.into(), label: label.into(), origin: Origin::Ideal(Box::new(ideal)) }
    }

    /// What its samples must look like, as far as it knows.
    pub fn want(&self) -> SampleShape {
        match &self.origin {
            Origin::Ideal(ideal) => SampleShape { sample: Some(ideal.data.shape.clone()), ..SampleShape::default() },
            Origin::File(file) => {
                let input = file.network.input_shape();
                let sample = file.declared.sample_shape.clone().or(input.sample);
                SampleShape { sample, channels: input.channels, resizable: input.resizable }
            }
        }
    }

    /// The schedule that a checkpoint names.
    pub fn schedule(&self) -> Option<NamedSchedule> {
        match &self.origin {
            Origin::File(file) => file.declared.schedule.clone(),
            Origin::Ideal(_) => None,
        }
    }

    /// The reference samples of a checkpoint that has them.
    pub fn reference(&self) -> Option<data::Data> {
        match &self.origin {
            Origin::File(file) => file.reference.as_ref().map(|reference| data::reference(reference, &self.argument)),
            Origin::Ideal(_) => None,
        }
    }

    /// The data that belongs to a closed form; `None` for a checkpoint.
    pub fn take_data(&mut self) -> Option<data::Data> {
        match &mut self.origin {
            Origin::File(_) => None,
            Origin::Ideal(ideal) => Some(data::Data {
                source: Arc::clone(&ideal.data.source),
                shape: ideal.data.shape.clone(),
                description: ideal.data.description.clone(),
                warnings: std::mem::take(&mut ideal.data.warnings),
                whole: ideal.data.whole.clone(),
            }),
        }
    }

    /// Completes it; `share` is laid over it.
    pub fn resolve(self, setting: &Setting, share: Option<&str>) -> Result<Model> {
        match self.origin {
            Origin::Ideal(ideal) => resolve_ideal(*ideal, &self.argument, self.label, setting, share),
            Origin::File(file) => {
                let Model { label, description, denoiser, clip, warnings } =
                    resolve_file(*file, self.label, setting, share)?;
                Ok(Model { label, description, denoiser: Box::new(denoiser), clip, warnings })
            }
        }
    }

    /// The network of a checkpoint with all that belongs to it; `None` for a closed form.
    pub fn resolve_network(self, setting: &Setting, share: Option<&str>) -> Result<Option<NetworkDenoiser>> {
        match self.origin {
            Origin::Ideal(_) => Ok(None),
            Origin::File(file) => Ok(Some(resolve_file(*file, self.label, setting, share)?.denoiser)),
        }
    }
}

/// What models are completed for.
pub(super) struct Setting<'a> {
    /// Shape of one sample.
    pub shape: &'a [i64],
    /// What overrides or completes the checkpoint's own word.
    pub options: &'a ModelOptions,
    /// Where the arithmetic runs.
    pub device: Device,
    /// dtype of networks.
    pub kind: Kind,
    /// Whether ∂/∂t is wanted.
    pub derivative: bool,
    /// The schedule of closed forms, where the command line names none.
    pub ideal_schedule: Option<NamedSchedule>,
}

/// The file's name without its extension; for a pipeline's `unet` the pipeline's name.
fn file_name(path: &Path) -> String {
    let named = |path: &Path| {
        let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
        name.map(|name| name.to_string_lossy().into_owned())
    };
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    match named(&resolved) {
        Some(name) if name == "unet" => resolved.parent().and_then(named).unwrap_or(name),
        Some(name) => name,
        None => "model".into(),
    }
}

fn map(share: Option<&str>, timesteps: usize) -> Result<Arc<dyn TimestepMap>> {
    share.map_or_else(|| Ok(Arc::new(Identity) as Arc<dyn TimestepMap>), |text| timestep_map::parse(text, timesteps))
}

fn resolve_ideal(ideal: Ideal, argument: &str, label: String, setting: &Setting, share: Option<&str>) -> Result<Model> {
    let Setting { shape, options, device, .. } = *setting;
    let named = match (&options.schedule, &setting.ideal_schedule) {
        (None, Some(named)) => named.clone(),
        (asked, _) => NamedSchedule::parse(asked.as_deref().unwrap_or(DEFAULT_SCHEDULE))?,
    };
    let map = map(share, named.schedule.timesteps())?;
    let description = ModelDescription {
        source: argument.to_string(),
        sha256: ideal.data.description.get("sha256").and_then(|v| v.as_str()).map(str::to_string),
        format: "closed-form".into(),
        architecture: "ideal denoiser".into(),
        parameters: 0,
        prediction: Prediction::Epsilon.name().into(),
        conditioning: Axis::Step.name().into(),
        dtype: dtype_name(Kind::Double).into(),
        derivative: setting.derivative.then(|| "closed form".into()),
        ..describe(&named, &*map, shape)
    };
    let denoiser = IdealDenoiser {
        distribution: ideal.distribution,
        process: named.schedule.into(),
        map,
        sample_shape: shape.to_vec(),
        device,
    };
    Ok(Model { label, description, denoiser: Box::new(denoiser), clip: None, warnings: Vec::new() })
}

fn resolve_file(
    file: Checkpoint,
    label: String,
    setting: &Setting,
    share: Option<&str>,
) -> Result<Model<NetworkDenoiser>> {
    let Setting { shape, options, device, kind, .. } = *setting;
    let Checkpoint { path, format, sha256, mut network, declared, left_out, .. } = file;
    let mut warnings: Vec<Warning> = Warning::left_out(&label, &left_out).into_iter().collect();
    let mut assumed = |what: &str, flag: &str| {
        warnings.push(Warning::Assumed { model: label.clone(), what: what.into(), flag: flag.into() });
    };
    let named = match (&options.schedule, declared.schedule) {
        (Some(text), _) => NamedSchedule::parse(text)?,
        (None, Some(named)) => named,
        (None, None) => {
            assumed("the linear schedule of DDPM with T = 1000", "--schedule");
            NamedSchedule::parse(DEFAULT_SCHEDULE)?
        }
    };
    let prediction = match (&options.prediction, declared.prediction) {
        (Some(text), _) => text.parse()?,
        (None, Some(prediction)) => prediction,
        (None, None) => {
            assumed("epsilon prediction", "--prediction");
            Prediction::Epsilon
        }
    };
    let asked: Option<Conditioning> = options.condition.as_deref().map(str::parse).transpose()?;
    let conditioning = asked.or(declared.conditioning).unwrap_or_default();
    let map = map(share.or(declared.share.as_deref()), named.schedule.timesteps())?;
    let (asked, guidance) = condition(&*network, options, (device, kind))?;
    network.to(device, kind)?;
    if matches!(kind, Kind::Half | Kind::BFloat16) && network.config().is_none() {
        warnings.push(Warning::HalfPrecisionTime { model: label.clone(), dtype: dtype_name(kind).into() });
    }
    let example = asked.batch(2, device, kind)?;
    let times = conditioning.probes(&*named.schedule);
    let probe = Probe { sample_shape: shape, times, condition: &example, device, kind };
    network.prepare(&probe)?;
    if setting.derivative {
        network.prepare_rate(&probe)?;
    }
    let description = ModelDescription {
        source: path.display().to_string(),
        sha256: Some(sha256),
        format,
        architecture: network.architecture(),
        parameters: network.parameters().iter().map(|(_, tensor)| tensor.numel() as u64).sum(),
        prediction: prediction.name().into(),
        conditioning: conditioning.to_string(),
        asked: in_words(&asked, guidance.as_ref()),
        dtype: dtype_name(kind).into(),
        derivative: setting.derivative.then(|| network.rate_route().into()),
        ..describe(&named, &*map, shape)
    };
    let denoiser = NetworkDenoiser {
        network,
        process: named.schedule.into(),
        map,
        prediction,
        conditioning,
        asked,
        guidance,
        sample_shape: shape.to_vec(),
        device,
        kind,
    };
    Ok(Model { label, description, denoiser, clip: declared.clip, warnings })
}

/// The part of a description that schedule, map and shape give.
fn describe(named: &NamedSchedule, map: &dyn TimestepMap, shape: &[i64]) -> ModelDescription {
    ModelDescription {
        source: String::new(),
        sha256: None,
        format: String::new(),
        architecture: String::new(),
        parameters: 0,
        sample_shape: shape.to_vec(),
        prediction: String::new(),
        schedule: named.name.clone(),
        timesteps: named.schedule.timesteps(),
        conditioning: String::new(),
        asked: None,
        boundaries: map.boundaries().to_vec(),
        dtype: String::new(),
        derivative: None,
    }
}

/// The dtype that `--dtype` names.
pub(super) fn dtype(text: &str) -> Result<Kind> {
    match text {
        "f32" => Ok(Kind::Float),
        "f64" => Ok(Kind::Double),
        "bf16" => Ok(Kind::BFloat16),
        "f16" => Ok(Kind::Half),
        _ => Err(Error::argument("--dtype", text, "it is f32, f64, bf16 or f16", "Choose one of them.")),
    }
}
