//! From checkpoint arguments to models and data that fit each other.

use crate::checkpoint::Request;
use crate::clean_data::{self, CleanData};
use crate::data::{DataSpec, SampleShape};
use crate::device::{self, DeviceChoice};
use crate::error::{Error, Result};
use crate::model::{self, DataRows, Derivatives, Model, Opened, Said, Setting};
use crate::report::{Warning, slug};
use lipscope_core::cli::args::{BatchSize, Precision, Share};
use lipscope_core::options::{DataOptions, Overrides};
use std::path::PathBuf;
use tch::{Device, Kind};

/// Elements of a batch on the CPU and on a GPU: enough to fill it, little enough for its memory.
const CPU_BATCH_ELEMENTS: i64 = 1 << 20;
const GPU_BATCH_ELEMENTS: i64 = 1 << 24;

/// Where a run computes, and its seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup {
    /// Device of all models.
    pub device: DeviceChoice,
    /// CPU threads; `None` for this process's share of the machine ([`device::set_threads`]).
    pub threads: Option<usize>,
    /// Seed of all random streams.
    pub seed: u64,
    /// The device of those who do the work, where it is not done here: batches are cut for it.
    pub cut_for: Option<DeviceChoice>,
}

impl Setup {
    /// The device that batches are cut for, where `own` is this process's.
    pub fn cut_for(&self, own: Device) -> Device {
        match self.cut_for {
            None => own,
            Some(DeviceChoice::Cuda(index)) => Device::Cuda(index),
            Some(DeviceChoice::Mps) => Device::Mps,
            Some(DeviceChoice::Auto | DeviceChoice::Cpu) => Device::Cpu,
        }
    }

    /// The device, and the dtype of networks there; sets the number of threads.
    pub fn arithmetic(&self, dtype: Precision) -> Result<(Device, Kind)> {
        let device = device::resolve(self.device)?;
        device::set_threads(self.threads)?;
        let kind = model::kind(dtype);
        if kind == Kind::Double && device == Device::Mps {
            return Err(Error::unsupported("--dtype f64 on mps", "mps has no float64", "Use --device cpu."));
        }
        Ok((device, kind))
    }
}

/// Opens checkpoints for a device and a dtype of networks, with a label each as far as there are labels.
pub fn open_all<S: AsRef<str>>(
    arguments: &[S],
    labels: &[String],
    data: &DataOptions,
    options: &Overrides,
    (device, kind): (Device, Kind),
) -> Result<Vec<Opened>> {
    if labels.len() > arguments.len() {
        return Err(Error::argument(
            "--label",
            labels.join(" "),
            format!("there are {} models", arguments.len()),
            "Give one label per model, in their order.",
        ));
    }
    let said = Said::new(options, data)?;
    let request = Request { kind: Some(kind), ..said.request(device) };
    let opened = arguments.iter().enumerate();
    opened.map(|(i, name)| Opened::open(name.as_ref(), labels.get(i).map(String::as_str), data, &request)).collect()
}

/// Models that are ready to be used, and their clean samples.
pub struct Completed {
    /// The models, in the order in which they were opened.
    pub models: Vec<Model>,
    /// `--data`, the data of a closed form or a checkpoint's reference samples; `None` where none of them is there.
    pub data: Option<CleanData>,
    /// What a reader must know.
    pub warnings: Vec<Warning>,
}

/// Completes opened models: data, shapes, schedules. `shares` has one entry per model.
pub fn complete(
    mut opened: Vec<Opened>,
    shares: &[Option<&Share>],
    (data_options, options): (&DataOptions, &Overrides),
    (device, kind): (Device, Kind),
    derivatives: Derivatives,
) -> Result<Completed> {
    distinct_labels(&mut opened);
    let data = choose_data(&mut opened, data_options, device)?;
    let shape = match &data {
        Some(data) => data.shape.clone(),
        None => own_shape(&opened, data_options)?,
    };
    let ideal_process = opened.iter().find_map(Opened::process);
    let labels = data.as_ref().and_then(|data| data.source.labels());
    let count = data.as_ref().and_then(|data| data.source.count()).into();
    let rows = DataRows { count, limit: data_options.limit()? };
    let overrides = &options.with_columns_of(data_options)?;
    let setting = Setting { shape: &shape, overrides, labels, data: rows, device, kind, derivatives, ideal_process };
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

/// `--data`, else the data of a closed form, else a checkpoint's reference samples, else nothing: then the first model
/// makes samples.
fn choose_data(opened: &mut [Opened], options: &DataOptions, device: Device) -> Result<Option<CleanData>> {
    let Some(spec) = &options.source else {
        let closed_form = opened.iter_mut().find_map(Opened::take_data);
        return Ok(closed_form.or_else(|| opened.iter().find_map(Opened::reference)));
    };
    if *spec == DataSpec::Model {
        return Ok(None);
    }
    let mut want = opened
        .iter()
        .map(Opened::want)
        .find(|want| want.sample.is_some() || want.channels.is_some() || want.row.is_some());
    if let Some(shape) = &options.shape {
        let resizable = want.as_ref().is_some_and(|want| want.resizable);
        want = Some(SampleShape { sample: Some(shape.clone()), resizable, ..SampleShape::default() });
    }
    clean_data::open(spec, want.unwrap_or_default(), options, device).map(Some)
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
        _ if want.row.is_some() => shape.len() == 2 && shape.last().copied() == want.row,
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let more = want.channels.or(want.sample.as_ref().and_then(|sample| sample.first().copied()));
    let next = match more.zip(shape.first()) {
        Some((takes, has)) if shape.len() == 3 && takes > *has => {
            "Give data of the model's shape; images:DIR is cropped and resized to it. Where the other channels are a condition \
             (a small picture, a mask), give that with --concat FILE."
        }
        _ => "Give data of the model's shape; images:DIR is cropped and resized to it.",
    };
    Err(Error::mismatch(format!("{} takes samples {want}, and the data has {shape:?}", opened.label), next))
}

/// The batch that `--batch` asks for.
pub fn batch(asked: BatchSize, shape: &[i64], device: Device) -> u64 {
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
pub fn default_folder<'a>(command: &str, labels: impl Iterator<Item = &'a str>) -> PathBuf {
    let name: Vec<String> = labels.map(slug).collect();
    PathBuf::from("lipscope-out").join(format!("{command}-{}", name.join("-vs-")))
}
