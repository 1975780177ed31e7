//! From what a file says to a model: completed by defaults, overridden by the user, with what was assumed.

use super::Model;
use super::condition::{Conditioned, condition, in_words};
use super::rows::DataRows;
use super::usual_time;
use crate::checkpoint::Checkpoint;
use crate::clean_data::Ideal;
use crate::denoiser::NetworkDenoiser;
use crate::device::dtype_name;
use crate::error::Result;
use crate::ideal::IdealDenoiser;
use crate::lora::Lora;
use crate::network::Probe;
use crate::estimator::Quantities;
use crate::prediction::Prediction;
use crate::report::{Basis, ModelDescription, Origin, Warning};
use crate::schedule::NamedSchedule;
use crate::time::Axis;
use crate::timestep_map::{Identity, TimestepMap};
use lipscope_core::cli::args::Share;
use lipscope_core::options::Overrides;
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
    /// The schedule of closed forms, where the command line names none.
    pub ideal_schedule: Option<NamedSchedule>,
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
    let named = match (&overrides.schedule, &setting.ideal_schedule) {
        (Some(named), _) | (None, Some(named)) => named.clone(),
        (None, None) => DEFAULT_SCHEDULE.parse()?,
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
        derivative: (in_time && !in_x).then(|| "closed form".into()),
        ..describe(&named, &*map, shape)
    };
    let denoiser = IdealDenoiser {
        distribution: ideal.distribution,
        process: named.schedule.into(),
        map,
        sample_shape: shape.to_vec(),
        device,
    };
    Ok(Model { label, description, denoiser: Box::new(denoiser), clip: None, thresholds: false, warnings: Vec::new() })
}

pub(super) fn resolve_file(
    file: Checkpoint,
    loras: &[Lora],
    label: String,
    setting: &Setting,
    share: Option<&Share>,
) -> Result<Model<NetworkDenoiser>> {
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
    let named = match overrides.schedule.clone().or(declared.schedule) {
        Some(named) => named,
        None => {
            assumed("the linear schedule of DDPM with T = 1000", "--schedule");
            DEFAULT_SCHEDULE.parse()?
        }
    };
    let prediction_from = origin(overrides.prediction.is_some(), "--prediction", &said_in.prediction);
    let prediction = overrides.prediction.or(declared.prediction).unwrap_or_else(|| {
        assumed("epsilon prediction", "--prediction");
        Prediction::Epsilon
    });
    let time_from = match origin(overrides.time_input.is_some(), "--time-input", &said_in.conditioning) {
        Origin::Assumed if network.config().is_some() => Origin::Architecture,
        from => from,
    };
    let conditioning = overrides.time_input.or(declared.conditioning).unwrap_or_default();
    let last = (named.schedule.timesteps() - 1) as f64;
    let basis = Basis {
        weights,
        told: [0.0, last].map(|t| Some(conditioning.coordinate(&*named.schedule, t)).filter(|told| told.is_finite())),
        time: time_from,
        schedule: schedule_from,
        prediction: prediction_from,
        ignored: declared.ignored,
    };
    let declared_share: Option<Share> = declared.share.as_deref().map(str::parse).transpose()?;
    let map = map(share.or(declared_share.as_ref()), named.schedule.timesteps())?;
    let Conditioned { asked, guidance, assumed: assumed_numbers } = condition(&*network, setting)?;
    if let Some(numbers) = assumed_numbers {
        assumed(&numbers.what, numbers.flag);
    }
    network.to(device, kind)?;
    for lora in loras {
        lora.merge(&*network)?;
        warnings.push(Warning::Note { model: label.clone(), message: lora.note() });
    }
    if matches!(kind, Kind::Half | Kind::BFloat16) && network.config().is_none() {
        warnings.push(Warning::HalfPrecisionTime { model: label.clone(), dtype: dtype_name(kind).into() });
    }
    let example = asked.example(device, kind)?;
    let times = conditioning.probes(&*named.schedule);
    let beside = asked.channels_beside();
    let full = widened(shape, beside);
    let moving = &asked.moving();
    let probe = Probe { sample_shape: &full, times, condition: &example, device, kind, beside, moving };
    network.prepare(&probe)?;
    let Derivatives { in_time, in_x } = setting.derivatives;
    if in_time {
        network.prepare_rate(&probe)?;
    }
    // c_in(t) x moves with t.
    if in_x || in_time && prediction.scales_input() && asked.clock.t_moves {
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
        prediction: prediction.to_string(),
        conditioning: conditioning.to_string(),
        asked: in_words(&asked, guidance.as_ref(), setting.labels),
        clock: (!asked.clock.is_plain()).then(|| asked.clock.clone()),
        basis: Some(basis),
        dtype: dtype_name(kind).into(),
        derivative,
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
    let thresholds = declared.thresholds;
    Ok(Model { label, description, denoiser, clip: declared.clip, thresholds, warnings })
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
fn describe(named: &NamedSchedule, map: &dyn TimestepMap, shape: &[i64]) -> ModelDescription {
    ModelDescription {
        source: String::new(),
        sha256: None,
        format: String::new(),
        architecture: String::new(),
        lora: Vec::new(),
        parameters: 0,
        sample_shape: shape.to_vec(),
        prediction: String::new(),
        schedule: named.name.clone(),
        timesteps: named.schedule.timesteps(),
        conditioning: String::new(),
        asked: None,
        clock: None,
        basis: None,
        boundaries: map.boundaries().to_vec(),
        dtype: String::new(),
        derivative: None,
    }
}
