//! What is evaluated: models that make samples, and files that hold some; and the data that they are compared with.

use crate::checkpoint::{self, Request};
use crate::clean_data::CleanData;
use crate::data::{DataSpec, LoadOptions, SampleShape};
use crate::error::{Error, Result};
use crate::model::{Derivatives, Model, Opened, Said};
use crate::report::Warning;
use crate::run::before_weights;
use crate::run::setup::{self, Completed};
use crate::tensor_file::{self, Format};
use lipscope_core::cli::args::EvaluateArgs;
use lipscope_core::options::DataOptions;
use ndarray::Array2;
use serde_json::{Value, json};
use std::path::Path;
use tch::{Device, Kind};

/// Fewer samples of the data than this are worth a warning.
const FEW: usize = 1000;

/// One of those that are evaluated.
pub(super) struct Subject {
    /// Name in tables and figures.
    pub label: String,
    /// Where its samples come from.
    pub origin: Origin,
}

/// Where samples come from.
pub(super) enum Origin {
    /// A model makes them.
    Model(Box<Model>),
    /// A file holds them, one flattened sample per row.
    Samples(Array2<f32>, Value),
}

/// All of them, and their data.
pub(super) struct Subjects {
    /// In the order in which they were named; the first is the baseline.
    pub all: Vec<Subject>,
    /// Real samples; `None` where only statistics of them are given.
    pub data: Option<CleanData>,
    /// Shape of one sample.
    pub shape: Vec<i64>,
    /// What a reader must know.
    pub warnings: Vec<Warning>,
}

impl Subjects {
    /// Opens models, data and files of samples.
    pub fn open(args: &EvaluateArgs, (device, kind): (Device, Kind)) -> Result<Self> {
        let names = &args.checkpoints;
        if args.label.len() > names.len() {
            let allowed = format!("there are {} models", names.len());
            let next = "Give one label per model, in their order.";
            return Err(Error::argument("--label", args.label.join(" "), allowed, next));
        }
        let ready: Vec<Option<DataSpec>> = names.iter().map(|name| ready_samples(name)).collect::<Result<_>>()?;
        let only_ready = ready.iter().all(Option::is_some) && args.data.source.is_none();
        if only_ready && args.reference.is_none() {
            let problem = "samples alone do not say what they should be like";
            return Err(Error::mismatch(problem, "Give the data with --data, or its statistics with --reference."));
        }
        let said = Said::new(&args.model, &args.data)?;
        let request = Request { kind: Some(kind), ..said.request(device) };
        let models: Vec<&String> =
            names.iter().zip(&ready).filter(|(_, ready)| ready.is_none()).map(|(name, _)| name).collect();
        before_weights::denoisers("evaluating samples", &models, &args.model, &args.data)?;
        let mut opened = Vec::new();
        for (i, name) in names.iter().enumerate().filter(|(i, _)| ready[*i].is_none()) {
            let label = args.label.get(i).map(String::as_str);
            opened.push(Opened::open(name, label, &args.data, &request)?);
        }
        let shares = vec![args.model.share.as_ref(); opened.len()];
        // Statistics say nothing about the shape of a sample: the samples do.
        let completed = if only_ready {
            Completed { models: Vec::new(), data: None, warnings: Vec::new() }
        } else {
            setup::complete(opened, &shares, (&args.data, &args.model), (device, kind), Derivatives::default())?
        };
        let Completed { mut models, data, mut warnings } = completed;
        models.iter_mut().for_each(Model::follow_time);
        warnings.extend(models.iter().filter_map(Model::sampling_note));
        let mut shape = shape(&models, data.as_ref()).or(args.data.shape.clone());
        let mut models = models.into_iter();
        let mut all: Vec<Subject> = Vec::new();
        for (i, name) in names.iter().enumerate() {
            if let Some(spec) = &ready[i] {
                let (subject, own) = read_samples((name, spec), args.label.get(i), &args.data, &shape, &mut warnings)?;
                shape.get_or_insert(own);
                all.push(subject);
            } else if let Some(model) = models.next() {
                all.push(Subject { label: model.label.clone(), origin: Origin::Model(Box::new(model)) });
            }
        }
        distinct_labels(&mut all);
        warnings.extend(data.as_ref().filter(|_| args.reference.is_none()).and_then(few));
        Ok(Subjects { all, data, shape: shape.unwrap_or_default(), warnings })
    }

    /// Those that make samples.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.all.iter().filter_map(|subject| match &subject.origin {
            Origin::Model(model) => Some(&**model),
            Origin::Samples(..) => None,
        })
    }

    /// Everything that their samples depend on, for the plan.
    pub fn describe(&self) -> Vec<Value> {
        let describe = |subject: &Subject| {
            let mut value = match &subject.origin {
                Origin::Model(model) => serde_json::to_value(&model.description).unwrap_or_default(),
                Origin::Samples(_, description) => description.clone(),
            };
            if let Some(object) = value.as_object_mut() {
                object.insert("label".into(), subject.label.clone().into());
            }
            value
        };
        self.all.iter().map(describe).collect()
    }

    /// The data, for the plan.
    pub fn describe_data(&self) -> Value {
        self.data.as_ref().map(|data| data.description.clone()).unwrap_or_default()
    }
}

/// The samples that an argument stands for: a file of arrays that is no checkpoint, or pictures; `None` for models.
fn ready_samples(name: &str) -> Result<Option<DataSpec>> {
    let path = Path::new(name);
    if name.starts_with("images:") || (!path.exists() && name.contains('#')) {
        return name.parse().map(Some);
    }
    if path.is_dir() {
        let pictures = || DataSpec::Images(path.into());
        let is_model = checkpoint::format(path)?.is_some();
        return Ok((!is_model).then(pictures).filter(|pictures| pictures.own_shape().is_ok()));
    }
    if !path.is_file() {
        return Ok(None);
    }
    let arrays = match tensor_file::sniff(path)?.format {
        Format::Npy | Format::Npz | Format::Safetensors => true,
        // One array alone is no network.
        Format::TorchSave | Format::TorchSaveLegacy => tensor_file::entries(path).is_ok_and(|l| l.entries.len() == 1),
        _ => false,
    };
    Ok((arrays && checkpoint::format(path)?.is_none()).then(|| DataSpec::File(path.into(), None)))
}

fn shape(models: &[Model], data: Option<&CleanData>) -> Option<Vec<i64>> {
    let own = models.first().map(|model| model.response.sample_shape().to_vec());
    own.or_else(|| data.map(|data| data.shape.clone()))
}

/// Ready samples, of the shape that the others have or else of their own.
fn read_samples(
    (name, spec): (&str, &DataSpec),
    label: Option<&String>,
    options: &DataOptions,
    shape: &Option<Vec<i64>>,
    warnings: &mut Vec<Warning>,
) -> Result<(Subject, Vec<i64>)> {
    let sample = match shape {
        Some(shape) => Some(shape.clone()),
        None => spec.own_shape()?,
    };
    let want = SampleShape { sample, ..SampleShape::default() };
    // Pictures are bytes, whatever the data is.
    let scale = options.scale.filter(|_| !matches!(spec, DataSpec::Images(_)));
    let samples = spec.load(&LoadOptions { want, scale, ..LoadOptions::default() })?;
    warnings.extend(samples.warnings.into_iter().map(|message| Warning::Data { message }));
    let description = json!({
        "source": name,
        "format": "samples",
        "description": samples.description,
        "samples": samples.images.nrows(),
        "scaling": samples.scaling.to_string(),
        "sha256": samples.sha256,
    });
    let (path, array) = match spec {
        DataSpec::File(path, array) => (path.as_path(), array.as_deref()),
        DataSpec::Images(folder) => (folder.as_path(), None),
        _ => (Path::new(name), None),
    };
    let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
    let stem = stem.unwrap_or_default().to_string_lossy().into_owned();
    let stem = array.map_or_else(|| stem.clone(), |array| format!("{stem}#{array}"));
    let own = samples.shape.iter().map(|n| *n as i64).collect();
    Ok((Subject { label: label.cloned().unwrap_or(stem), origin: Origin::Samples(samples.images, description) }, own))
}

/// Labels name rows of tables, so they must differ, also from the data's own row.
fn distinct_labels(all: &mut [Subject]) {
    for i in 0..all.len() {
        let (before, rest) = all.split_at_mut(i);
        let taken = |name: &str| name == super::row::DATA || before.iter().any(|other| other.label == name);
        if taken(&rest[0].label) {
            let plain = rest[0].label.clone();
            let fresh = (2..).map(|n| format!("{plain} ({n})")).find(|name| !taken(name));
            rest[0].label = fresh.unwrap_or(plain);
        }
    }
}

/// What a checkpoint carries is enough to measure a curve on, and hardly to judge samples by.
fn few(data: &CleanData) -> Option<Warning> {
    let count = data.rows()?;
    let carried = data.description.get("source").is_some_and(|source| source == "reference samples");
    let message = if carried {
        format!(
            "no --data: samples are compared with the {count} that the checkpoint carries, which are too few to tell close \
             models apart and bias every distance. Give the training data with --data."
        )
    } else {
        format!("the data has {count} samples: distances are biased, and fine differences do not show.")
    };
    (count < FEW).then_some(Warning::Data { message })
}
