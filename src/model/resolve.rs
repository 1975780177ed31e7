//! From what a file says to a model: completed by defaults, overridden by the user, with what was assumed.

use super::Model;
use super::condition::{Conditioned, condition, in_words};
use super::rows::DataRows;
use super::usual_time;
use crate::checkpoint::{Checkpoint, Declared};
use crate::clean_data::Ideal;
use crate::denoiser::{AskedNetwork, AuxiliaryNetwork, NetworkDenoiser, PlainNetwork};
use crate::device::dtype_name;
use crate::error::{Error, Result};
use crate::estimator::Quantities;
use crate::guidance::Guidance;
use crate::ideal::{IdealDenoiser, IdealJumps, IdealNoise};
use crate::jumps::{NetworkJumps, Output};
use crate::lora::Lora;
use crate::network::Probe;
use crate::of::Of;
use crate::prediction::Prediction;
use crate::process;
use crate::process::ProcessSpec;
use crate::report::{Basis, ModelDescription, Origin, Warning};
use crate::response::Response;
use crate::time::Conditioning;
use crate::timestep_map::{Identity, TimestepMap};
use lipscope_core::cli::args::{ModuleOutput, Share};
use lipscope_core::options::Overrides;
use lipscope_core::process::not_gaussian;
use std::fmt;
use std::sync::Arc;
use tch::{Device, Kind};

/// The schedule where neither file nor user names one.
pub const DEFAULT_SCHEDULE: &str = "linear";

/// What models are completed for.
pub struct Setting<'a> {
    /// Shape of one sample.
    pub shape: &'a [i64],
    /// What overrides or completes the checkpoint's own word.
    pub overrides: &'a Overrides,
    /// The classes of the data, where it has classes.
    pub labels: Option<&'a [i64]>,
    /// The rows of the data.
    pub data: DataRows,
    /// Where the arithmetic runs.
    pub device: Device,
    /// dtype of networks.
    pub kind: Kind,
    /// The derivatives that are wanted.
    pub derivatives: Derivatives,
    /// The process of closed forms, where the command line names none.
    pub ideal_process: Option<ProcessSpec>,
}

/// Which derivatives of a network are wanted, so that ways to them are found before anything is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Derivatives {
    /// ∂/∂t.
    pub in_time: bool,
    /// J·v.
    pub in_x: bool,
}

impl Derivatives {
    /// ∂/∂t alone.
    pub const IN_TIME: Self = Derivatives { in_time: true, in_x: false };

    /// What a measurement needs.
    pub fn of(quantities: Quantities) -> Self {
        let along = quantities == Quantities::Path;
        Derivatives { in_time: quantities.has_derivative() || along, in_x: quantities.has_jacobian() }
    }
}

fn map(share: Option<&Share>, timesteps: usize) -> Result<Arc<dyn TimestepMap>> {
    share.map_or_else(|| Ok(Arc::new(Identity) as Arc<dyn TimestepMap>), |share| share.map(timesteps))
}

pub(super) fn resolve_ideal(
    ideal: Ideal,
    argument: &str,
    label: String,
    setting: &Setting,
    share: Option<&Share>,
) -> Result<Model> {
    let Setting { shape, overrides, device, derivatives: Derivatives { in_time, in_x }, .. } = *setting;
    let spec = match (&overrides.schedule, &setting.ideal_process) {
        (Some(spec), _) | (None, Some(spec)) => spec.clone(),
        (None, None) => DEFAULT_SCHEDULE.parse()?,
    };
    let map = map(share, spec.timesteps())?;
    let jumps = matches!(spec, ProcessSpec::Jump(_));
    let description = ModelDescription {
        source: argument.to_string(),
        sha256: ideal.data.description.get("sha256").and_then(|v| v.as_str()).map(str::to_string),
        format: "closed-form".into(),
        architecture: if jumps { "exact law of the data" } else { "ideal denoiser" }.into(),
        parameters: 0,
        prediction: if jumps { Output::LogRatio.name() } else { Prediction::Epsilon.name() }.into(),
        conditioning: process::of_spec(&spec).conditioning().to_string(),
        dtype: dtype_name(Kind::Double).into(),
        derivative: (in_time && !in_x).then(|| "closed form".into()),
        ..describe(&spec, &*map, shape)
    };
    let response: Box<dyn Response> = match &spec {
        ProcessSpec::Gaussian(named) => Box::new(IdealDenoiser {
            distribution: ideal.distribution,
            process: Arc::clone(&named.schedule).into(),
            map,
            sample_shape: shape.to_vec(),
            device,
        }),
        ProcessSpec::Jump(jump) => {
            let law = crate::jumps::law(&ideal.data, jump)?;
            let (process, sample_shape) = (Arc::clone(jump), shape.to_vec());
            Box::new(IdealJumps { law, process, map, sample_shape, device, of: Of::Rate })
        }
        ProcessSpec::LinearGaussian(process) => Box::new(IdealNoise {
            distribution: ideal.distribution,
            process: Arc::clone(process),
            map,
            sample_shape: shape.to_vec(),
            device,
        }),
        ProcessSpec::Unnoised(_) => {
            let what = format!("a closed form without noise ({spec})");
            return Err(Error::unsupported(
                what,
                "there is no denoiser where nothing is noised",
                "Measure a checkpoint.",
            ));
        }
    };
    Ok(Model { label, description, response, clip: None, thresholds: false, warnings: Vec::new() })
}

/// A checkpoint that is completed: a model whose network has not yet become a response.
pub(super) struct Resolved {
    model: Model<AskedNetwork>,
    spec: ProcessSpec,
    predicted: Predicted,
    guidance: Option<Guidance>,
    output: Option<ModuleOutput>,
}

impl Resolved {
    /// The model.
    ///
    /// # Errors
    /// Guidance under a process that has none.
    pub fn into_model(self) -> Result<Model> {
        let Resolved { model, spec, predicted, guidance, output } = self;
        let Model { label, description, response: asked, clip, thresholds, mut warnings } = model;
        let response: Box<dyn Response> = match (&spec, predicted) {
            (ProcessSpec::Gaussian(named), Predicted::Noise(prediction)) => {
                let process = Arc::clone(&named.schedule).into();
                Box::new(NetworkDenoiser { asked, process, prediction, guidance })
            }
            (other, _) if guidance.is_some() => {
                let allowed = "it combines predictions of Gaussian noise, x_t = α x₀ + σ ε";
                let next = "Leave out --guidance, or export a module that guides itself.";
                return Err(Error::unsupported(format!("--guidance under the process {other}"), allowed, next));
            }
            (ProcessSpec::Jump(jump), Predicted::Jumps(output)) => {
                Box::new(NetworkJumps { asked, process: Arc::clone(jump), output, of: Of::Rate }.checked()?)
            }
            (ProcessSpec::LinearGaussian(process), Predicted::Noise(prediction)) => {
                // Of an architecture that lipscope knows, so is what it predicts.
                let known = asked.network.config().is_some();
                let network = AuxiliaryNetwork::new(asked, Arc::clone(process), prediction, output.as_ref())?;
                let named = output.is_some_and(|output| !output.variables.is_empty());
                if let ([one], false) = (&network.names()[..], named || known) {
                    let (what, flag) =
                        (format!("that its output is the noise of {one} alone"), format!("--output {one}=0"));
                    warnings.push(Warning::Assumed { model: label.clone(), what, flag });
                }
                Box::new(network)
            }
            _ => Box::new(PlainNetwork { asked, process: process::of_spec(&spec) }),
        };
        Ok(Model { label, description, response, clip, thresholds, warnings })
    }

    /// Its network as a denoiser.
    ///
    /// # Errors
    /// The process is not Gaussian.
    pub fn into_denoiser(self) -> Result<NetworkDenoiser> {
        let Resolved { model, spec, predicted, guidance, .. } = self;
        let process = Arc::clone(&spec.gaussian("ε(x, t)")?.schedule).into();
        let Predicted::Noise(prediction) = predicted else { return Err(not_gaussian("ε(x, t)", spec.name())) };
        Ok(NetworkDenoiser { asked: model.response, process, prediction, guidance })
    }
}

/// What a network outputs, in terms of its forward process.
#[derive(Clone, Copy)]
enum Predicted {
    /// Under Gaussian noise.
    Noise(Prediction),
    /// Under a jump process.
    Jumps(Output),
    /// What is measured as it is.
    Itself,
}

impl Predicted {
    /// Whether the network sees another x at another t.
    fn scales_input(self) -> bool {
        matches!(self, Predicted::Noise(prediction) if prediction.scales_input())
    }
}

impl fmt::Display for Predicted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Predicted::Noise(prediction) => prediction.fmt(f),
            Predicted::Jumps(output) => f.write_str(output.name()),
            Predicted::Itself => Of::Output.fmt(f),
        }
    }
}

/// Variables can be named where there are several.
fn refuse_variables(spec: &ProcessSpec, output: Option<&ModuleOutput>) -> Result<()> {
    match output {
        Some(output) if !output.variables.is_empty() && !matches!(spec, ProcessSpec::LinearGaussian(_)) => {
            let allowed = format!("under {spec} the prediction has no variables to choose from");
            Err(Error::argument(
                "--output",
                output,
                allowed,
                "Give a place or a key; or name the process, --schedule cld.",
            ))
        }
        _ => Ok(()),
    }
}

/// What a network predicts, and who says so.
fn predicted(
    spec: &ProcessSpec,
    overrides: &Overrides,
    declared: &Declared,
    assumed: &mut dyn FnMut(&str, &str),
) -> Result<(Predicted, Origin)> {
    let origin = origin(overrides.prediction.is_some(), "--prediction", &declared.said_in.prediction);
    let asked = overrides.prediction.or(declared.prediction);
    match (spec, overrides.prediction) {
        (ProcessSpec::Unnoised(_), Some(prediction)) => {
            let allowed = format!("under {spec} the network's output is measured as it is");
            Err(Error::argument("--prediction", prediction, allowed, "Leave out --prediction."))
        }
        (ProcessSpec::Unnoised(_), None) => Ok((Predicted::Itself, Origin::Flag("--schedule".into()))),
        (ProcessSpec::Jump(jump), _) => Ok((Predicted::Jumps(Output::new(asked, jump)?), origin)),
        (ProcessSpec::LinearGaussian(_), _) => {
            if let Some(other) = asked.filter(|named| !matches!(named, Prediction::Epsilon | Prediction::Mixed)) {
                let allowed = format!("under {spec} it is epsilon or mixed");
                return Err(Error::argument("--prediction", other, allowed, "Give --prediction epsilon or mixed."));
            }
            if asked.is_none() {
                assumed("epsilon prediction", "--prediction");
            }
            Ok((Predicted::Noise(asked.unwrap_or_default()), origin))
        }
        (ProcessSpec::Gaussian(_), _) => {
            let prediction = asked.unwrap_or_else(|| {
                assumed("epsilon prediction", "--prediction");
                Prediction::Epsilon
            });
            Ok((Predicted::Noise(prediction), origin))
        }
    }
}

pub(super) fn resolve_file(
    file: Checkpoint,
    loras: &[Lora],
    label: String,
    setting: &Setting,
    share: Option<&Share>,
) -> Result<Resolved> {
    let Setting { shape, overrides, device, kind, .. } = *setting;
    let Checkpoint { path, format, sha256, mut network, declared, left_out, weights, notes, .. } = file;
    let mut warnings: Vec<Warning> = Warning::left_out(&label, &left_out).into_iter().collect();
    warnings.extend(notes.into_iter().map(|message| Warning::Note { model: label.clone(), message }));
    let mut assumed = |what: &str, flag: &str| {
        warnings.push(Warning::Assumed { model: label.clone(), what: what.into(), flag: flag.into() });
    };
    usual_time::check(&network.takes(), &declared, overrides)?;
    let said_in = &declared.said_in;
    let schedule_from = origin(overrides.schedule.is_some(), "--schedule", &said_in.schedule);
    let spec = match overrides.schedule.clone().or(declared.schedule.clone()) {
        Some(spec) => spec,
        None => {
            assumed("the linear schedule of DDPM with T = 1000", "--schedule");
            DEFAULT_SCHEDULE.parse()?
        }
    };
    refuse_variables(&spec, overrides.output.as_ref())?;
    let (predicted, prediction_from) = predicted(&spec, overrides, &declared, &mut assumed)?;
    let process = process::of_spec(&spec);
    let time_from = match origin(overrides.time_input.is_some(), "--time-input", &said_in.conditioning) {
        Origin::Assumed if network.config().is_some() => Origin::Architecture,
        Origin::Assumed if process.conditioning() != Conditioning::default() => Origin::Flag("--schedule".into()),
        from => from,
    };
    let conditioning = overrides.time_input.or(declared.conditioning).unwrap_or_else(|| process.conditioning());
    let last = (spec.timesteps() - 1) as f64;
    let told = |t: f64| process::told(&*process, conditioning, t);
    let basis = Basis {
        weights,
        told: [told(0.0)?, told(last)?].map(|told| Some(told).filter(|told| told.is_finite())),
        time: time_from,
        schedule: schedule_from,
        prediction: prediction_from,
        ignored: declared.ignored,
    };
    let declared_share: Option<Share> = declared.share.as_deref().map(str::parse).transpose()?;
    let map = map(share.or(declared_share.as_ref()), spec.timesteps())?;
    let Conditioned { asked: given, guidance, assumed: assumed_numbers } = condition(&*network, setting)?;
    if let Some(numbers) = assumed_numbers {
        assumed(&numbers.what, numbers.flag);
    }
    if let ProcessSpec::Jump(jump) = &spec {
        network.take_symbols(jump.graph.states() as i64)?;
    }
    network.to(device, kind)?;
    for lora in loras {
        lora.merge(&*network)?;
        warnings.push(Warning::Note { model: label.clone(), message: lora.note() });
    }
    if matches!(kind, Kind::Half | Kind::BFloat16) && network.config().is_none() {
        warnings.push(Warning::HalfPrecisionTime { model: label.clone(), dtype: dtype_name(kind).into() });
    }
    let example = given.example(device, kind)?;
    // The first timestep and the middle one, which a trained network tells apart.
    let times = [told(0.0)?, told((spec.timesteps() / 2) as f64)?];
    let beside = given.channels_beside();
    let state = process.state_shape(shape);
    let full = widened(&state, beside);
    // The output may hold fewer variables than the state: one at least.
    let beside = beside + state.first().copied().unwrap_or(0) - shape.first().copied().unwrap_or(0);
    let moving = &given.moving();
    let answers_x = !matches!(spec, ProcessSpec::Unnoised(_));
    let probe = Probe { sample_shape: &full, times, condition: &example, device, kind, beside, moving, answers_x };
    network.prepare(&probe)?;
    let Derivatives { in_time, in_x } = setting.derivatives;
    if in_time {
        network.prepare_rate(&probe)?;
    }
    // c_in(t) x moves with t.
    if in_x || in_time && predicted.scales_input() && given.clock.t_moves {
        network.prepare_jacobian(&probe)?;
    }
    let derivative = match network.jacobian_route().filter(|_| in_x) {
        Some(route) if in_time => Some(format!("∂/∂t by {}; ∂/∂x by {route}", network.rate_route())),
        Some(route) => Some(route),
        None => (in_time && !in_x).then(|| network.rate_route()),
    };
    warnings.extend(network.notes().into_iter().map(|message| Warning::Note { model: label.clone(), message }));
    let description = ModelDescription {
        source: path.display().to_string(),
        sha256,
        format,
        architecture: network.architecture(),
        lora: loras.iter().map(Lora::description).collect(),
        parameters: network.parameters().iter().map(|(_, tensor)| tensor.numel() as u64).sum(),
        prediction: predicted.to_string(),
        conditioning: conditioning.to_string(),
        asked: in_words(&given, guidance.as_ref(), setting.labels),
        clock: (!given.clock.is_plain()).then(|| given.clock.clone()),
        basis: Some(basis),
        dtype: dtype_name(kind).into(),
        derivative,
        ..describe(&spec, &*map, shape)
    };
    let asked = AskedNetwork { network, map, conditioning, given, sample_shape: shape.to_vec(), device, kind };
    let (clip, thresholds) = (declared.clip, declared.thresholds);
    let model = Model { label, description, response: asked, clip, thresholds, warnings };
    Ok(Resolved { model, spec, predicted, guidance, output: overrides.output.clone() })
}

/// The shape of what a network gets, with the channels beside x.
pub fn widened(sample: &[i64], beside: i64) -> Vec<i64> {
    let first = sample.first().map(|channels| channels + beside);
    first.into_iter().chain(sample.iter().skip(1).copied()).collect()
}

/// Who says something: the command line before the file.
fn origin(overridden: bool, flag: &str, file: &Option<String>) -> Origin {
    match (overridden, file) {
        (true, _) => Origin::Flag(flag.into()),
        (false, Some(part)) => Origin::File(part.clone()),
        (false, None) => Origin::Assumed,
    }
}

/// The part of a description that schedule, map and shape give.
fn describe(spec: &ProcessSpec, map: &dyn TimestepMap, shape: &[i64]) -> ModelDescription {
    ModelDescription {
        source: String::new(),
        sha256: None,
        format: String::new(),
        architecture: String::new(),
        lora: Vec::new(),
        parameters: 0,
        sample_shape: shape.to_vec(),
        prediction: String::new(),
        schedule: spec.name().into(),
        timesteps: spec.timesteps(),
        conditioning: String::new(),
        asked: None,
        clock: None,
        basis: None,
        boundaries: map.boundaries().to_vec(),
        dtype: String::new(),
        derivative: None,
    }
}
