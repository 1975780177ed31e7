//! The front door: from a file, a closed form or a function of one's own to a model that can be measured, compared and
//! sampled.
//!
//! file → network + schedule + timestep map + prediction + condition, with what was assumed and from where.

mod closed_form;
mod concatenated;
mod condition;
mod embeddings;
mod opened;
mod predicted;
mod resolve;
mod resolved;
mod rows;
mod symbols;
mod told;
mod usual_time;

pub use opened::Opened;
pub(crate) use resolve::widened;
pub use resolve::{DEFAULT_SCHEDULE, Derivatives, Setting};
pub use rows::{DataRows, RowCount};
pub use told::Said;

use crate::checkpoint::{Declared, Request};
use crate::denoiser::{AskedNetwork, Denoiser, NetworkDenoiser};
use crate::device;
use crate::error::{Error, Result};
use crate::guidance::Asked;
use crate::network::{Closure, Network};
use crate::prediction::Prediction;
use crate::report::{ModelDescription, Warning};
use crate::response::Response;
use crate::schedule::NamedSchedule;
use crate::time::Conditioning;
use crate::timestep_map::Identity;
use lipscope_core::cli::args::Precision;
use lipscope_core::options::{DataOptions, Overrides};
use lipscope_core::process::not_gaussian;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// A model, ready to be measured.
pub struct Model<R = Box<dyn Response>> {
    /// Name in tables and figures.
    pub label: String,
    /// What the report says about it.
    pub description: ModelDescription,
    /// f(x, t), ε(x, t) where noise is Gaussian, and everything that estimators ask.
    pub response: R,
    /// x̂₀ is clamped to ± this when it makes samples.
    pub clip: Option<f64>,
    /// Whether its own sampler thresholds x̂₀ by each sample's quantile, which is not done here.
    pub thresholds: bool,
    /// What a reader must know, such as what was assumed.
    pub warnings: Vec<Warning>,
}

impl Model {
    /// Loads a checkpoint on the CPU: a file or folder that `lipscope inspect` recognises, or `ideal:DATA`.
    ///
    /// # Errors
    /// The file is no checkpoint or damaged; it does not say what a sample looks like; or `overrides` do not fit it.
    pub fn load(path: &str, overrides: &Overrides) -> Result<Self> {
        let said = Said::new(overrides, &DataOptions::default())?;
        let request = Request { kind: Some(kind(overrides.dtype)), ..said.request(Device::Cpu) };
        let opened = Opened::open(path, None, &DataOptions::default(), &request)?;
        let shape = opened.want().sample.ok_or_else(|| {
            Error::mismatch(
                format!("{path} does not say what a sample looks like"),
                "Measure it with data of the right shape: Measurement::of_checkpoint with DataOptions.",
            )
        })?;
        let setting = Setting {
            shape: &shape,
            overrides,
            device: Device::Cpu,
            labels: None,
            data: DataRows { count: RowCount::Anew, limit: None },
            kind: kind(overrides.dtype),
            derivatives: Derivatives::IN_TIME,
            ideal_process: None,
        };
        opened.resolve(&setting, overrides.share.as_ref())
    }
}

impl Model<NetworkDenoiser> {
    /// A function f(x, t) of one's own, with x [B, …] and t `[B]`, both float32 on the CPU; it answers [B, …] of x's shape
    /// with what `prediction` names. It has secants and no exact derivatives.
    pub fn from_fn(
        label: &str,
        sample_shape: &[i64],
        schedule: NamedSchedule,
        prediction: Prediction,
        f: impl Fn(&Tensor, &Tensor) -> std::result::Result<Tensor, tch::TchError> + 'static,
    ) -> Self {
        let network = Closure::new(sample_shape, f);
        let description = ModelDescription {
            source: label.into(),
            sha256: None,
            format: "function".into(),
            architecture: network.architecture(),
            lora: Vec::new(),
            parameters: 0,
            sample_shape: sample_shape.to_vec(),
            prediction: prediction.to_string(),
            schedule: schedule.name.clone(),
            timesteps: schedule.schedule.timesteps(),
            conditioning: Conditioning::default().to_string(),
            asked: None,
            clock: None,
            basis: None,
            boundaries: Vec::new(),
            dtype: device::dtype_name(Kind::Float).into(),
            derivative: None,
        };
        let asked = AskedNetwork {
            network: Box::new(network),
            map: Arc::new(Identity),
            conditioning: Conditioning::default(),
            given: Asked::default(),
            sample_shape: sample_shape.to_vec(),
            device: Device::Cpu,
            kind: Kind::Float,
        };
        let response = NetworkDenoiser { asked, process: schedule.schedule.into(), prediction, guidance: None };
        Model { label: label.into(), description, response, clip: None, thresholds: false, warnings: Vec::new() }
    }
}

impl<R> Model<R> {
    /// Says of it that all arguments of time follow t, as they do where nothing is held.
    pub fn follow_time(&mut self) {
        if let Some(clock) = &mut self.description.clock {
            clock.t_moves = true;
            clock.others.iter_mut().for_each(|other| other.moves = true);
        }
    }

    /// What a reader of its samples must know.
    pub fn sampling_note(&self) -> Option<Warning> {
        let message = "its scheduler thresholds x̂₀ by a quantile of each sample (`thresholding`), which is not done here: x̂₀ is \
                       clamped to a fixed range, or not at all (--clip of sample and evaluate).";
        self.thresholds.then(|| Warning::Note { model: self.label.clone(), message: message.into() })
    }
}

impl<R: Response + 'static> Model<R> {
    /// The same with its type forgotten.
    pub fn boxed(self) -> Model {
        let Model { label, description, response, clip, thresholds, warnings } = self;
        Model { label, description, response: Box::new(response), clip, thresholds, warnings }
    }
}

impl Model {
    /// ε(x, t) and what samplers ask.
    ///
    /// # Errors
    /// It is no noise prediction: its forward process is not Gaussian.
    pub fn denoiser(&self) -> Result<&dyn Denoiser> {
        let refused = || not_gaussian(&format!("a sampler of {}", self.label), &self.description.schedule);
        self.response.as_denoiser().ok_or_else(refused)
    }
}

/// Refuses what a network cannot be asked for and what must be said about it, as far as it declares what it takes: before
/// its weights are read.
pub(crate) fn check_declared(declared: &Declared, overrides: &Overrides, limit: Option<usize>) -> Result<()> {
    let Some(takes) = &declared.takes else { return Ok(()) };
    symbols::check(takes, declared, overrides)?;
    condition::check(takes, overrides, limit)?;
    usual_time::check(takes, declared, overrides)
}

/// The dtype that `--dtype` names.
pub fn kind(dtype: Precision) -> Kind {
    match dtype {
        Precision::F32 => Kind::Float,
        Precision::F64 => Kind::Double,
        Precision::Bf16 => Kind::BFloat16,
        Precision::F16 => Kind::Half,
    }
}
