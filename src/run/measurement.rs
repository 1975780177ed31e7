//! `measure`, `compare` and `theory`: one curve per model and quantity, on the same x_t.

use super::closed_form::{self, Expectation, Expected, WithAuxiliaries};
use super::finish::{finish, is_short};
use super::record::Recorder;
use super::setup::{self, Completed, Setup};
use super::several::{self, Ideals, guided, limits, own_samples, said_as_asked};
use super::{
    Folder, Plan, Store, Watch, attribution, before_weights, enumerated, interrupted, memorisation, provenance,
    rounding, terminal, warnings,
};
use crate::clean_data::{self, CleanData};
use crate::compare::empty_curve;
use crate::data::DataSpec;
use crate::device;
use crate::draws::{CleanSamples, Draws};
use crate::error::{Error, Result};
use crate::ideal::{Gaussian, IdealJumps};
use crate::jumps;
use crate::measure::{Estimated, Settings, Subject, Sweep, curves};
use crate::model::{Derivatives, Model, Opened, RowCount};
use crate::of::{self, Of};
use crate::process::{ForwardProcess, ProcessSpec};
use crate::report::{self, Curve, ModelReport, Report, Warning};
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
const THEORY: &str = "theory";

/// A measurement, resolved and checked, with its models; nothing is measured yet.
pub struct Measurement {
    plan: Plan,
    models: Vec<Model>,
    /// The clean samples; `None` where the first model has to make them.
    source: Option<Arc<dyn CleanSamples>>,
    automatic_batch: bool,
    device: Device,
    warnings: Vec<Warning>,
    /// The network whose rounding is measured after the curves, where that was asked for.
    rounding: Option<dtypes::Subject>,
    /// The data, where the expectation over it has a closed form.
    gaussian: Option<Gaussian>,
    /// Model by model its own clean samples, where they are not those of all; empty where all have the same.
    sources: Vec<Option<Arc<dyn CleanSamples>>>,
    /// Model by model the moments of its data, where the plan tells how much of it is left and they are known.
    moments: Vec<DataMoments>,
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
        let mut measurement = Self::resolve(THEORY, completed, options, (setup.seed, arithmetic.0))?;
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
        Self::resolve(command, Completed { models, data, warnings: Vec::new() }, options, (seed, device))
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
        let mut opened = setup::open_all(checkpoints, labels, &options.data, overrides, arithmetic.0)?;
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
        let mut measurement = Self::resolve(command, completed, options, (setup.seed, arithmetic.0))?;
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
        (seed, device): (u64, Device),
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
        let batch = setup::batch(options.batch, &shape, device);
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

    /// Measures what the store does not hold yet, and gives the report. Without a store nothing is kept.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where the watcher stopped it: a partial report is in the store's folder then.
    pub fn run(self, mut store: Option<&mut Store>, watch: &dyn Watch) -> Result<Report> {
        let mut report = self.empty_report()?;
        if let Some(gaussian) = &self.gaussian {
            store.map_or(Ok(()), |store| store.end_of_shard(false))?;
            self.closed_form(&mut report, gaussian);
            return Ok(report);
        }
        if self.is_enumerated() {
            return Ok(self.enumerated(report));
        }
        let Measurement { plan, models, source, warnings, rounding, automatic_batch, moments, sources, .. } = self;
        let batch = (plan.batch, plan.seed);
        let is_shard = store.as_ref().is_some_and(|store| store.shard().is_some());
        let draws = clean_data::draws(&models, source.as_ref(), batch, store.as_deref_mut(), watch)?;
        let Some(draws) = draws else { return Err(interrupted(store.as_deref())) };
        let by_row = Draws { noises: plan.noises, ..draws.clone() };
        let subject = |(place, model): (usize, Model)| Subject {
            response: model.response.asked_for(plan.of, &plan.guidance),
            estimators: plan.estimators(),
            source: sources.get(place).cloned().flatten(),
        };
        let subjects: Vec<Subject> = models.into_iter().enumerate().map(subject).collect();
        let settings = Settings { rule: plan.samples, batch: plan.batch, probe: automatic_batch && !is_shard };
        let mut sweep = Sweep::new(&subjects, &by_row, &settings);
        report.warnings = warnings;
        watch.begin(plan.timesteps.len() as u64, "timesteps");
        let mut recorder = Recorder::new(&mut report, &subjects, &plan, store.as_deref_mut(), watch);
        let resolution = recorder.measure(&mut sweep, draws.expected())?;
        let smaller = recorder.smaller_batch;
        watch.end();
        report.warnings.extend(smaller.map(|batch| Warning::SmallerBatch { batch }));
        report.resolution = resolution;
        let stop = |report: &Report, store: Option<&mut Store>| -> Error {
            let kept =
                store.map(|store| store.publish(&report::files(report, &[])?).map(|()| interrupted(Some(store))));
            kept.transpose().map_or_else(|error| error, |error| error.unwrap_or_else(|| interrupted(None)))
        };
        if is_short(&report, &plan) {
            return Err(stop(&report, store));
        }
        store.as_deref_mut().map_or(Ok(()), |store| store.end_of_shard(false))?;
        if !memorisation::add(&mut report, &subjects, (&plan, &draws), store.as_deref_mut(), watch)? {
            return Err(stop(&report, store));
        }
        if let Some(subject) = rounding {
            let Some(found) = rounding::measure(subject, &draws, &report, &plan, store.as_deref_mut(), watch)? else {
                return Err(stop(&report, store));
            };
            report.provenance.wall_seconds += found.wall_seconds;
            report.rounding = Some(found);
        }
        if let Some(attribute) = plan.attribute {
            let to_store = store.as_deref_mut();
            if !attribution::measure(attribute, &subjects, &draws, &mut report, (&plan, to_store, watch))? {
                return Err(stop(&report, store));
            }
        }
        let processes: Vec<&dyn ForwardProcess> = subjects.iter().map(|subject| subject.response.process()).collect();
        finish(&mut report, &plan, &processes, &moments);
        Ok(report)
    }

    /// The curves of a model before the first point: of each block, or of each guidance scale, one for each estimator.
    fn empty_curves(&self, model: &Model) -> Vec<Curve> {
        let (estimators, of) = (self.plan.estimators(), self.plan.of);
        let scales = &self.plan.guidance;
        if scales.is_empty() {
            return curves(&estimators, &*model.response).iter().map(|curve| empty_curve(curve, of)).collect();
        }
        let blocks = || scales.iter().map(|&scale| Some(of::scale_name(scale)));
        let each =
            estimators.iter().flat_map(|estimator| blocks().map(|block| Estimated { estimator: &**estimator, block }));
        each.map(|curve| empty_curve(&curve, of)).collect()
    }

    /// The report before the first point.
    fn empty_report(&self) -> Result<Report> {
        let curves = |model: &Model| self.empty_curves(model);
        let model = |model: &Model| ModelReport {
            label: model.label.clone(),
            model: model.description.clone(),
            curves: curves(model),
            spent: report::Spent::default(),
            own_weights: Vec::new(),
            summary: Vec::new(),
            attribution: None,
        };
        Ok(Report {
            schema_version: report::SCHEMA_VERSION,
            complete: false,
            command: self.plan.command.into(),
            provenance: provenance(self.plan.to_json()?, device::name(self.device)),
            models: self.models.iter().map(model).collect(),
            comparison: Vec::new(),
            resolution: None,
            rounding: None,
            warnings: Vec::new(),
        })
    }

    /// Whether its expectations are those over all states.
    fn is_enumerated(&self) -> bool {
        self.plan.command == THEORY && self.models.iter().all(|model| model.response.by_enumeration().is_some())
    }

    /// The report with the expectations over all states.
    fn enumerated(self, mut report: Report) -> Report {
        let Measurement { plan, models, warnings, moments, .. } = self;
        let asked = |model: Model| model.response.asked_for(plan.of, &plan.guidance);
        let responses: Vec<Box<dyn Response>> = models.into_iter().map(asked).collect();
        let ideals: Vec<&IdealJumps> = responses.iter().filter_map(|response| response.by_enumeration()).collect();
        report.resolution = enumerated::fill(&mut report.models, &ideals, &plan);
        report.warnings = warnings;
        let processes: Vec<&dyn ForwardProcess> = responses.iter().map(|response| response.process()).collect();
        finish(&mut report, &plan, &processes, &moments);
        report
    }

    /// The expectations themselves, where the data is Gaussian.
    fn expected<'a>(&self, gaussian: &Gaussian, response: &'a dyn Response) -> Option<Box<dyn Expected + 'a>> {
        if let Some(linear) = response.process().linear_gaussian() {
            return Some(Box::new(WithAuxiliaries::new(gaussian, linear, response.timestep_map())));
        }
        Some(Box::new(Expectation::new(gaussian, response.as_denoiser()?, self.plan.of)))
    }

    /// Fills them in.
    fn closed_form(&self, report: &mut Report, gaussian: &Gaussian) {
        let (Some(model), Some(entry)) = (self.models.first(), report.models.first_mut()) else { return };
        let Some(expected) = self.expected(gaussian, &*model.response) else { return };
        report.resolution = closed_form::fill(&*expected, entry, &self.plan);
        report.warnings = self.warnings.clone();
        finish(report, &self.plan, &[model.response.process()], &self.moments);
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
