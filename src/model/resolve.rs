//! From what a file says to a model: completed by defaults, overridden by the user, with what was assumed.

use super::Model;
use super::condition::{Conditioned, condition, in_words};
use super::predicted::{predicted, refuse_variables};
use super::resolved::Resolved;
use super::rows::DataRows;
use super::{symbols, usual_time};
use crate::checkpoint::Checkpoint;
use crate::denoiser::AskedNetwork;
use crate::device::dtype_name;
use crate::error::Result;
use crate::estimator::Quantities;
use crate::lora::Lora;
use crate::network::Probe;
use crate::process::{self, ProcessSpec};
use crate::report::{Basis, ModelDescription, Origin, Warning};
use crate::time::Conditioning;
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

pub(super) fn map(share: Option<&Share>, timesteps: usize) -> Result<Arc<dyn TimestepMap>> {
    share.map_or_else(|| Ok(Arc::new(Identity) as Arc<dyn TimestepMap>), |share| share.map(timesteps))
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
    symbols::check(&network.takes(), &declared, overrides)?;
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
pub(super) fn origin(overridden: bool, flag: &str, file: &Option<String>) -> Origin {
    match (overridden, file) {
        (true, _) => Origin::Flag(flag.into()),
        (false, Some(part)) => Origin::File(part.clone()),
        (false, None) => Origin::Assumed,
    }
}

/// The part of a description that schedule, map and shape give.
pub(super) fn describe(spec: &ProcessSpec, map: &dyn TimestepMap, shape: &[i64]) -> ModelDescription {
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
