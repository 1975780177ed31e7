//! `measure`, `compare` and `theory`: one curve per model and quantity, on the same x_t.

use super::setup::{self, Completed, Setup};
use super::several::{self, Ideals, guided, limits, own_samples, said_as_asked};
use super::{Folder, Plan, before_weights, rounding, terminal, warnings};
use crate::clean_data::{self, CleanData};
use crate::data::DataSpec;
use crate::draws::CleanSamples;
use crate::error::{Error, Result};
use crate::ideal::Gaussian;
use crate::jumps;
use crate::model::{Derivatives, Model, Opened, RowCount};
use crate::of::Of;
use crate::process::ProcessSpec;
use crate::report::Warning;
use crate::response::Response;
use crate::rounding as dtypes;
use crate::terminal::DataMoments;
use lipscope_core::cli::args::{BatchSize, DataLimits, Precision, Share};
use lipscope_core::options::{MeasureOptions, Overrides};
use std::path::Path;
use std::sync::Arc;
use tch::Device;

/// The command whose first model is a baseline that nothing is laid over.
const COMPARE: &str = "compare";

/// The command whose models are closed forms.
pub(super) const THEORY: &str = "theory";

/// A measurement, resolved and checked, with its models; nothing is measured yet.
pub struct Measurement {
    pub(super) plan: Plan,
    pub(super) models: Vec<Model>,
    /// The clean samples; `None` where the first model has to make them.
    pub(super) source: Option<Arc<dyn CleanSamples>>,
    pub(super) automatic_batch: bool,
    pub(super) device: Device,
    pub(super) warnings: Vec<Warning>,
    /// The network whose rounding is measured after the curves, where that was asked for.
    pub(super) rounding: Option<dtypes::Subject>,
    /// The data, where the expectation over it has a closed form.
    pub(super) gaussian: Option<Gaussian>,
    /// Model by model its own clean samples, where they are not those of all; empty where all have the same.
    pub(super) sources: Vec<Option<Arc<dyn CleanSamples>>>,
    /// Model by model the moments of its data, where the plan tells how much of it is left and they are known.
    pub(super) moments: Vec<DataMoments>,
}

impl Measurement {
    /// The curve of one checkpoint, or of `ideal:DATA`.
    ///
    /// # Errors
    /// Options that are wrong by themselves or for the schedule that the checkpoint names are refused before weights are
    /// read; then what [`Model::load`] refuses.
    pub fn of_checkpoint(
        checkpoint: &str,
        label: Option<&str>,
        options: &MeasureOptions,
        overrides: &Overrides,
        setup: &Setup,
    ) -> Result<Self> {
        let labels: Vec<String> = label.iter().map(|label| label.to_string()).collect();
        Self::open("measure", &[checkpoint], &labels, &[overrides.share.as_ref()], (options, overrides, setup))
    }

    /// The curves of several checkpoints on identical x_t; the first is the baseline. Foreign checkpoints do not say how
    /// they share: `overrides.share` is laid over the others, not over the baseline, and `overrides.lora` is merged into them.
    ///
    /// # Errors
    /// As [`Measurement::of_checkpoint`]; and models that do not fit each other.
    pub fn of_checkpoints<S: AsRef<str>>(
        checkpoints: &[S],
        labels: &[String],
        options: &MeasureOptions,
        overrides: &Overrides,
        setup: &Setup,
    ) -> Result<Self> {
        let share = |i: usize| overrides.share.as_ref().filter(|_| i > 0);
        let shares: Vec<Option<&Share>> = (0..checkpoints.len()).map(share).collect();
        Self::open(COMPARE, checkpoints, labels, &shares, (options, overrides, setup))
    }

    /// The curve of the ideal denoiser of `options.data`, in float64; one for each of several `data_limit`s, each on samples
    /// of its own data. For a Gaussian the expectation itself has a closed form; for mixtures and finite data sets the
    /// closed-form ε* is averaged over samples.
    ///
    /// # Errors
    /// As [`Measurement::of_checkpoint`]; and data without a known distribution.
    pub fn of_ideal(
        label: Option<&str>,
        options: &MeasureOptions,
        overrides: &Overrides,
        setup: &Setup,
    ) -> Result<Self> {
        let options = &symbols(options, overrides.schedule.as_ref());
        if let Some(of @ (Of::Output | Of::Guidance | Of::Spread)) = options.of {
            return Err(Error::unsupported(
                format!("--of {of} with theory"),
                "a closed form has no output of its own, no condition and no random input",
                "Use --of epsilon, score, x0 or excess.",
            ));
        }
        let overrides = &Overrides { dtype: Precision::F64, ..overrides.clone() };
        let arithmetic = setup.arithmetic(Precision::F64)?;
        let spec = options.data.source.clone().unwrap_or(DataSpec::Digits);
        let limits = limits(&spec, &options.data)?;
        let Ideals { opened, sources, wholes, gaussian } = Ideals::open(label, &spec, &limits, arithmetic.0)?;
        let unnoised = matches!(overrides.schedule, Some(ProcessSpec::Unnoised(_)));
        let gaussian = gaussian.filter(|_| !unnoised && !options.quantity.has_jacobian());
        let shares = vec![overrides.share.as_ref(); limits.len()];
        let derivatives = Derivatives::of(options.quantity);
        let data = limits.first().unwrap_or(&options.data);
        let completed = setup::complete(opened, &shares, (data, overrides), arithmetic, derivatives)?;
        let mut measurement = Self::resolve(THEORY, completed, options, Place::of(setup, arithmetic.0))?;
        if limits.len() > 1 {
            let list = options.data.data_limit.as_ref().map(DataLimits::to_string);
            measurement.plan.data["data_limit"] = list.into();
            measurement.sources = sources.into_iter().map(Some).collect();
            if !measurement.moments.is_empty() {
                measurement.moments = wholes.iter().map(clean_data::moments).collect::<Result<_>>()?;
            }
        }
        Ok(Measurement { gaussian, ..measurement })
    }

    /// The curves of models that are there, with clean samples of one's own; `None` has the first model make them.
    ///
    /// # Errors
    /// Options that do not fit the models.
    pub fn of_models(models: Vec<Model>, data: Option<CleanData>, options: &MeasureOptions, seed: u64) -> Result<Self> {
        let command = if models.len() > 1 { "compare" } else { "measure" };
        let device = models.first().map_or(Device::Cpu, |model| model.response.device());
        let place = Place { seed, device, cut_for: device };
        Self::resolve(command, Completed { models, data, warnings: Vec::new() }, options, place)
    }

    fn open<S: AsRef<str>>(
        command: &'static str,
        checkpoints: &[S],
        labels: &[String],
        shares: &[Option<&Share>],
        (options, overrides, setup): (&MeasureOptions, &Overrides, &Setup),
    ) -> Result<Self> {
        let (overrides, scales) = guided(command, options, overrides)?;
        let overrides = &overrides;
        let process = before_weights::check(checkpoints, shares, options, overrides)?;
        let options = &symbols(options, process.as_ref());
        let arithmetic = setup.arithmetic(overrides.dtype)?;
        let mut opened = setup::open_all(checkpoints, labels, &options.data, overrides, arithmetic)?;
        if command == COMPARE {
            opened.first_mut().into_iter().for_each(Opened::forget_loras);
        }
        let derivatives = Derivatives::of(options.quantity);
        let mut completed = setup::complete(opened, shares, (&options.data, overrides), arithmetic, derivatives)?;
        for model in &mut completed.models {
            said_as_asked(model, options.of.unwrap_or_default(), &scales);
        }
        if !scales.is_empty() && completed.data.is_none() {
            return Err(own_samples());
        }
        if options.attribute.is_some() && !scales.is_empty() {
            let what = "--attribute tells apart ∂ε/∂t of one guidance scale, and --guidance names several";
            return Err(Error::mismatch(what, "Give one of them."));
        }
        let mut measurement = Self::resolve(command, completed, options, Place::of(setup, arithmetic.0))?;
        let has_null = |model: &Model| model.response.as_denoiser().is_some_and(|denoiser| denoiser.has_null());
        if let Some(model) = measurement.models.iter().find(|model| !scales.is_empty() && !has_null(model)) {
            let what = format!("{} has no condition that --guidance could weigh", model.label);
            return Err(Error::mismatch(what, "Leave out --guidance."));
        }
        measurement.plan.guidance = scales;
        Ok(measurement)
    }

    fn resolve(
        command: &'static str,
        completed: Completed,
        options: &MeasureOptions,
        Place { seed, device, cut_for }: Place,
    ) -> Result<Self> {
        let Completed { models, data, mut warnings } = completed;
        check_data(&models, data.as_ref())?;
        let description = match &data {
            Some(data) => data.description.clone(),
            None => clean_data::model_samples(&models),
        };
        if data.is_none() {
            models.first().map_or(Ok(()), several::makes_samples)?;
            warnings.extend(models.first().and_then(Model::sampling_note));
        }
        let shape = models.first().map(|model| answer_shape(&*model.response)).unwrap_or_default();
        let batch = setup::batch(options.batch, &shape, cut_for);
        let plan = Plan::resolve(command, &models, description, options, (seed, batch))?;
        warnings.extend(warnings::of_plan(&plan, &models));
        let asked = data.as_ref().filter(|_| terminal::is_asked(&plan));
        let moments = asked.map(|data| clean_data::moments(&data.whole)).transpose()?;
        let moments = moments.map(|moments| vec![moments; models.len()]).unwrap_or_default();
        if terminal::is_asked(&plan) {
            warnings.extend(models.iter().filter_map(|m| terminal::refusal(&m.label, m.response.process())));
        }
        Ok(Measurement {
            moments,
            sources: Vec::new(),
            automatic_batch: options.batch == BatchSize::Auto,
            source: data.map(|data| data.source),
            rounding: None,
            gaussian: None,
            plan,
            models,
            device,
            warnings,
        })
    }

    /// Has the rounding of `checkpoint`, which is the measured one, told apart by dtype after the curves.
    ///
    /// # Errors
    /// The network cannot be had in float64.
    pub fn with_rounding(mut self, checkpoint: &str, options: &MeasureOptions, overrides: &Overrides) -> Result<Self> {
        let Some(model) = self.models.first() else {
            return Err(Error::mismatch("there is no model", "Give a checkpoint."));
        };
        if let Some(of) = options.of.filter(|of| !of.is_epsilon()) {
            return Err(Error::unsupported(
                format!("--rounding with --of {of}"),
                "it is the rounding of secants and derivatives of ε",
                "Leave out --rounding, or --of.",
            ));
        }
        let labels = self.source.as_ref().and_then(|source| source.labels());
        let rows: RowCount = self.source.as_ref().and_then(|source| source.count()).into();
        self.rounding = Some(rounding::open(checkpoint, model, options, overrides, (labels, rows), self.device)?);
        Ok(self)
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The folder that was named, else the default one.
    pub fn folder(&self, named: Option<&Path>) -> Folder {
        let labels = self.models.iter().map(|model| model.label.as_str());
        Folder::new(named, || setup::default_folder(self.plan.command, labels))
    }
}

/// Where a measurement computes, and the seed of its streams.
struct Place {
    seed: u64,
    device: Device,
    /// The device that batches are cut for.
    cut_for: Device,
}

impl Place {
    fn of(setup: &Setup, device: Device) -> Self {
        Place { seed: setup.seed, device, cut_for: setup.cut_for(device) }
    }
}

/// The same options where numbers of the data are symbols.
fn symbols(options: &MeasureOptions, process: Option<&ProcessSpec>) -> MeasureOptions {
    match process {
        Some(ProcessSpec::Jump(_)) => MeasureOptions { data: jumps::as_symbols(&options.data), ..options.clone() },
        _ => options.clone(),
    }
}

/// The shape that a batch has to hold of each sample: of symbols, a number for each.
fn answer_shape(response: &dyn Response) -> Vec<i64> {
    let symbols = response.process().jump().map(|jump| jump.graph.states() as i64);
    response.sample_shape().iter().copied().chain(symbols).collect()
}

/// Refuses data that a process does not take.
fn check_data(models: &[Model], data: Option<&CleanData>) -> Result<()> {
    let Some(jump) = models.iter().find_map(|model| model.response.process().jump()) else { return Ok(()) };
    let no_data = || {
        let problem = format!("under {} a model makes no samples of its own here, and no data was given", jump.name);
        Error::mismatch(problem, "Give --data FILE, whole numbers [N, L] in .npy, .npz or .safetensors.")
    };
    jumps::check(data.ok_or_else(no_data)?, jump)
}
