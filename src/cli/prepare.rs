//! From arguments to everything that a job needs; nothing is measured or written yet.

use super::args::{BatchSize, DataOptions, Global, ModelOptions, Options, Precision, Share};
use super::clean_samples;
use super::data::{self, Data};
use super::model::{self, Model, Opened, Setting};
use super::plan::{Plan, Wanted};
use super::said::Said;
use crate::data::{DataSpec, SampleShape};
use crate::device;
use crate::draws::{CleanSamples, Draws};
use crate::error::{Error, Result};
use crate::estimator::Quantities;
use crate::report::{FigureFormat, Warning, slug};
use crate::rounding;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tch::{Device, Kind};

/// Elements of a batch on the CPU and on a GPU: enough to fill it, little enough for its memory.
const CPU_BATCH_ELEMENTS: i64 = 1 << 20;
const GPU_BATCH_ELEMENTS: i64 = 1 << 24;

/// Everything that a job needs.
pub(super) struct Prepared {
    /// What is measured.
    pub plan: Plan,
    /// On what; the first is the baseline.
    pub models: Vec<Model>,
    /// The clean samples; `None` where the first model has to make them.
    pub source: Option<Arc<dyn CleanSamples>>,
    /// Samples per network call.
    pub batch: u64,
    /// Whether their number was left to the program.
    pub automatic_batch: bool,
    /// Device of all models.
    pub device: Device,
    /// What is known to be worth a warning so far.
    pub warnings: Vec<Warning>,
    /// Folder for the files.
    pub out: PathBuf,
    /// Figures to draw.
    pub formats: Vec<FigureFormat>,
    /// Whether to go on from what is in `out`.
    pub resume: bool,
    /// The network whose rounding is measured after the curves, where that was asked for.
    pub rounding: Option<rounding::Subject>,
}

/// The device and dtype of a run; sets the number of threads.
pub(super) fn arithmetic(global: &Global, dtype: Precision) -> Result<(Device, Kind)> {
    let device = device::resolve(global.device)?;
    if let Some(threads) = global.threads {
        device::set_threads(threads)?;
    }
    let kind = model::kind(dtype);
    if kind == Kind::Double && device == Device::Mps {
        return Err(Error::unsupported("--dtype f64 on mps", "mps has no float64", "Use --device cpu."));
    }
    Ok((device, kind))
}

/// Opens checkpoints, with a label each as far as there are labels.
pub(super) fn open_all<S: AsRef<str>>(
    arguments: &[S],
    labels: &[String],
    data: &DataOptions,
    options: &ModelOptions,
    device: Device,
) -> Result<Vec<Opened>> {
    if labels.len() > arguments.len() {
        return Err(Error::argument(
            "--label",
            labels.join(" "),
            format!("there are {} models", arguments.len()),
            "Give one label per model, in their order.",
        ));
    }
    let said = Said::new(options)?;
    let request = said.request(device);
    let opened = arguments.iter().enumerate();
    opened.map(|(i, name)| Opened::open(name.as_ref(), labels.get(i).map(String::as_str), data, &request)).collect()
}

/// Models that are ready to be used, and their clean samples.
pub(super) struct Completed {
    /// The models, in the order in which they were opened.
    pub models: Vec<Model>,
    /// `--data`, the data of a closed form or a checkpoint's reference samples; `None` where none of them is there.
    pub data: Option<Data>,
    /// What a reader must know.
    pub warnings: Vec<Warning>,
}

/// Completes opened models: data, shapes, schedules. `shares` has one entry per model.
pub(super) fn complete(
    mut opened: Vec<Opened>,
    shares: &[Option<&Share>],
    (data_options, options): (&DataOptions, &ModelOptions),
    (device, kind): (Device, Kind),
    derivative: bool,
) -> Result<Completed> {
    distinct_labels(&mut opened);
    let data = choose_data(&mut opened, data_options, device)?;
    let shape = match &data {
        Some(data) => data.shape.clone(),
        None => own_shape(&opened, data_options)?,
    };
    let ideal_schedule = opened.iter().find_map(Opened::schedule);
    let setting = Setting { shape: &shape, options, device, kind, derivative, ideal_schedule };
    let mut models = Vec::with_capacity(opened.len());
    for (opened, share) in opened.into_iter().zip(shares) {
        fits(&opened, &shape)?;
        models.push(opened.resolve(&setting, *share)?);
    }
    let mut warnings: Vec<Warning> = models.iter_mut().flat_map(|model| std::mem::take(&mut model.warnings)).collect();
    let said = data.as_ref().map(|data| data.warnings.as_slice()).unwrap_or_default();
    warnings.extend(said.iter().map(|message| Warning::Data { message: message.clone() }));
    Ok(Completed { models, data, warnings })
}

/// Completes opened models and makes the plan of a measurement.
pub(super) fn prepare(
    command: &'static str,
    opened: Vec<Opened>,
    shares: &[Option<&Share>],
    (options, model_options): (&Options, &ModelOptions),
    (device, kind): (Device, Kind),
    seed: u64,
) -> Result<Prepared> {
    let wanted = Wanted::parse(options)?;
    let completed = complete(opened, shares, (&options.data, model_options), (device, kind), wanted.derivative())?;
    let Completed { models, data, mut warnings } = completed;
    let description = match &data {
        Some(data) => data.description.clone(),
        None => clean_samples::model_samples(&models),
    };
    let shape = models.first().map(|model| model.denoiser.sample_shape().to_vec()).unwrap_or_default();
    let plan = wanted.resolve(command, &models, description, seed)?;
    warnings.extend(plan_warnings(&plan, &models));
    Ok(Prepared {
        batch: batch(options.batch, &shape, device),
        automatic_batch: options.batch == BatchSize::Auto,
        out: options.out.clone().unwrap_or_else(|| default_out(command, &models)),
        source: data.map(|data| data.source),
        resume: options.resume,
        rounding: None,
        plan,
        models,
        device,
        warnings,
        formats: options.figures.plot.clone().unwrap_or_default(),
    })
}

/// `--data`, else the data of a closed form, else a checkpoint's reference samples, else nothing: then the first model
/// makes samples.
fn choose_data(opened: &mut [Opened], options: &DataOptions, device: Device) -> Result<Option<Data>> {
    let Some(spec) = &options.source else {
        let closed_form = opened.iter_mut().find_map(Opened::take_data);
        return Ok(closed_form.or_else(|| opened.iter().find_map(Opened::reference)));
    };
    if *spec == DataSpec::Model {
        return Ok(None);
    }
    let mut want = opened.iter().map(Opened::want).find(|want| want.sample.is_some() || want.channels.is_some());
    if let Some(shape) = &options.shape {
        let resizable = want.as_ref().is_some_and(|want| want.resizable);
        want = Some(SampleShape { sample: Some(shape.clone()), channels: None, resizable });
    }
    data::open(spec, want.unwrap_or_default(), options, device).map(Some)
}

fn own_shape(opened: &[Opened], options: &DataOptions) -> Result<Vec<i64>> {
    let shape = options.shape.clone().or_else(|| opened.iter().find_map(|opened| opened.want().sample));
    let shape = shape.ok_or_else(|| {
        let label = opened.first().map_or("the model", |opened| opened.label.as_str());
        Error::mismatch(
            format!("{label} does not say what a sample looks like, and no data was given to tell"),
            "Give --data (real samples), or --shape C,H,W to measure on samples that the model makes itself.",
        )
    })?;
    if shape.iter().any(|n| *n < 1) {
        return Err(Error::argument("--shape", format!("{shape:?}"), "every size is at least 1", "Such as 3,32,32."));
    }
    Ok(shape)
}

/// A network that is not fully convolutional takes its own shape only.
fn fits(opened: &Opened, shape: &[i64]) -> Result<()> {
    let want = opened.want();
    let fits = match (&want.sample, want.channels) {
        (Some(sample), _) if !want.resizable => sample == shape,
        (_, Some(channels)) => shape.first() == Some(&channels) && shape.len() == 3,
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let wants = want.sample.map_or_else(|| format!("{} channels", want.channels.unwrap_or(0)), |s| format!("{s:?}"));
    Err(Error::mismatch(
        format!("{} takes samples of shape {wants}, and the data has {shape:?}", opened.label),
        "Give data of the model's shape; images:DIR is cropped and resized to it.",
    ))
}

fn plan_warnings(plan: &Plan, models: &[Model]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if plan.left_out > 0 {
        warnings.push(Warning::NoNextTimestep { count: plan.left_out });
    }
    if models.windows(2).any(|pair| pair[0].description.schedule != pair[1].description.schedule) {
        warnings.push(Warning::SchedulesDiffer);
    }
    let shared = models.iter().filter(|model| !model.description.boundaries.is_empty());
    let shared = shared.map(|model| model.label.clone());
    if plan.quantity.has_derivative() {
        warnings.extend(shared.map(|model| Warning::DerivativeBlindToJumps { model }));
    } else if plan.quantity == Quantities::Path {
        warnings.extend(shared.map(|model| Warning::PathUndefinedAtJumps { model }));
    }
    warnings
}

/// The batch that `--batch` asks for.
pub(super) fn batch(asked: BatchSize, shape: &[i64], device: Device) -> u64 {
    let (elements, most) = if device == Device::Cpu { (CPU_BATCH_ELEMENTS, 64) } else { (GPU_BATCH_ELEMENTS, 256) };
    match asked {
        BatchSize::Fixed(batch) => batch,
        BatchSize::Auto => (elements / shape.iter().product::<i64>().max(1)).clamp(1, most) as u64,
    }
}

/// Labels name rows of tables, so they must differ.
fn distinct_labels(opened: &mut [Opened]) {
    for i in 1..opened.len() {
        let (before, rest) = opened.split_at_mut(i);
        let taken = |name: &str| before.iter().any(|other| other.label == name);
        if taken(&rest[0].label) {
            let plain = rest[0].label.clone();
            let fresh = (2..).map(|n| format!("{plain} ({n})")).find(|name| !taken(name));
            rest[0].label = fresh.unwrap_or(plain);
        }
    }
}

/// The folder where none was named.
pub(super) fn default_out(command: &str, models: &[Model]) -> PathBuf {
    let name: Vec<String> = models.iter().map(|model| slug(&model.label)).collect();
    PathBuf::from("lipscope-out").join(format!("{command}-{}", name.join("-vs-")))
}

impl Prepared {
    /// The draws; where the first model makes its own samples this is where it does so. `None` if interrupted.
    pub fn draws(&self, quiet: bool, stopped: &Arc<AtomicBool>) -> Result<Option<Draws>> {
        clean_samples::draws(&self.models, self.source.as_ref(), (self.batch, self.plan.seed), quiet, stopped)
    }
}
