//! From `--data` to a source of clean samples, and to the ideal denoiser of what is known in closed form.

mod ideal;
mod latents;
mod moments;
mod own;
mod rows;

use ideal::reshape;
pub use ideal::{Ideal, open_ideal};
pub use moments::moments;
pub use own::{draws, model_samples};
use rows::OnDisk;
pub use rows::Rows;

use crate::checkpoint::{Reference, sha256_of};
use crate::data::{DataSpec, Indexed, LoadOptions, MixtureParameters, SampleShape, Samples, ScaleOverride, Set};
use crate::draws::CleanSamples;
use crate::error::{Error, Result};
use crate::train;
use lipscope_core::cli::args::DataLimits;
use lipscope_core::options::DataOptions;
use ndarray::Array2;
use serde_json::{Value, json};
use std::sync::Arc;
use tch::Device;

/// Pictures of a folder that all but a training takes unless `--data-limit` says otherwise: more than a measurement draws,
/// and few enough to be read once before it.
const SOME_IMAGES: usize = 4096;

/// Clean samples, and what the report says about them.
pub struct CleanData {
    /// Draws x₀.
    pub source: Arc<dyn CleanSamples>,
    /// Shape of one sample.
    pub shape: Vec<i64>,
    /// Origin, scaling, number and fingerprint, for the plan.
    pub description: Value,
    /// What a user should know.
    pub warnings: Vec<String>,
    /// All of it, for those who need more than draws.
    pub whole: Whole,
}

impl CleanData {
    /// The clean samples of a source, in the shape that `options` ask for or that they have; on the CPU.
    ///
    /// # Errors
    /// The source cannot be read, or is `model`, which is no source of its own.
    pub fn open(spec: &DataSpec, options: &DataOptions) -> Result<Self> {
        open(spec, SampleShape { sample: options.shape.clone(), ..SampleShape::default() }, options, Device::Cpu)
    }

    /// Number of samples; `None` for a density.
    pub fn rows(&self) -> Option<usize> {
        match &self.whole {
            Whole::Rows(rows) => Some(rows.nrows()),
            Whole::Indexed(rows) => Some(rows.len()),
            Whole::Density(_) => None,
        }
    }
}

/// Everything that data is.
#[derive(Clone)]
pub enum Whole {
    /// A set: its samples, one per row.
    Rows(Arc<Array2<f32>>),
    /// A set that is not held in memory.
    Indexed(Arc<Indexed>),
    /// A density in closed form; a Gaussian is a mixture of one.
    Density(Arc<MixtureParameters>),
}

fn load(
    spec: &DataSpec,
    want: SampleShape,
    options: &DataOptions,
    some_images: Option<usize>,
    device: Device,
) -> Result<CleanData> {
    // Stored latents are no pictures: they are taken as they are.
    let stored_latents = options.latent_scale.is_some() && options.encoder.is_none();
    let scale = options.scale.or(stored_latents.then_some(ScaleOverride::None));
    let asked = options.data_limit.as_ref().map(DataLimits::single).transpose()?;
    // `all` is an answer too: of a folder of pictures it takes away the usual limit.
    let limit = asked.unwrap_or(some_images.filter(|_| matches!(spec, DataSpec::Images(_))));
    // What fits the encoder is for the encoder to say.
    let want = if options.encoder.is_some() { SampleShape::default() } else { want };
    let memory = options.data_memory.unwrap_or_default();
    let set = spec.open(&LoadOptions { want, scale, limit, memory })?;
    let (set, latents) = latents::encode(set, options, device)?;
    let mut data = match set {
        Set::Held(samples) => held(spec, samples),
        Set::Indexed(indexed) => on_disk(spec, indexed)?,
    };
    if let Some(object) = data.description.as_object_mut() {
        object.extend(latents);
    }
    Ok(data)
}

fn held(spec: &DataSpec, samples: Samples) -> CleanData {
    let Samples { images, shape, scaling, labels, warnings, description, sha256 } = samples;
    let images = Arc::new(images);
    CleanData {
        source: Arc::new(Rows::new(Arc::clone(&images), labels)),
        shape: shape.iter().map(|n| *n as i64).collect(),
        description: json!({
            "source": spec.to_string(),
            "description": description,
            "samples": images.nrows(),
            "shape": shape,
            "scaling": scaling.to_string(),
            "sha256": sha256,
        }),
        warnings,
        whole: Whole::Rows(images),
    }
}

/// The same of a set on disk; word for word, where it is small enough to be read whole.
fn on_disk(spec: &DataSpec, mut indexed: Indexed) -> Result<CleanData> {
    let survey = indexed.survey()?;
    let mut description = json!({
        "source": spec.to_string(),
        "description": indexed.description,
        "samples": indexed.len(),
        "shape": indexed.shape,
        "scaling": indexed.scaling.to_string(),
        "sha256": survey.sha256,
    });
    if let (Some(object), Some(covers)) = (description.as_object_mut(), survey.covers) {
        object.insert("sha256_covers".into(), covers.into());
    }
    let warnings = std::mem::take(&mut indexed.warnings);
    let indexed = Arc::new(indexed);
    Ok(CleanData {
        source: Arc::new(OnDisk { data: Arc::clone(&indexed), moments: survey.moments }),
        shape: indexed.shape.iter().map(|n| *n as i64).collect(),
        description,
        warnings,
        whole: Whole::Indexed(indexed),
    })
}

/// The reference samples of the checkpoint `of`.
pub fn reference(reference: &Reference, of: &str) -> CleanData {
    let Reference { images, shape } = reference;
    let numbers: Vec<f64> = images.iter().map(|x| f64::from(*x)).collect();
    let rows = Arc::new(images.clone());
    CleanData {
        source: Arc::new(Rows::new(Arc::clone(&rows), None)),
        whole: Whole::Rows(rows),
        shape: shape.clone(),
        description: json!({
            "source": "reference samples",
            "description": format!("the clean samples that {of} carries"),
            "samples": images.nrows(),
            "shape": shape,
            "sha256": sha256_of(&numbers),
        }),
        warnings: Vec::new(),
    }
}

/// Clean samples for a network that takes `want`; `model` is not a source of its own and is handled by the caller.
pub fn open(spec: &DataSpec, want: SampleShape, options: &DataOptions, device: Device) -> Result<CleanData> {
    match spec {
        DataSpec::Gaussian(_) | DataSpec::Mixture(_) | DataSpec::EightGaussians => {
            let mut ideal = open_ideal(spec, options, Device::Cpu)?;
            if let Some(shape) = want.sample {
                ideal.data.shape = reshape(&ideal.data.shape, shape, spec)?;
            }
            Ok(ideal.data)
        }
        _ => load(spec, want, options, Some(SOME_IMAGES), device),
    }
}

/// Training data: all rows of a set, or a density to draw from, and what the plan says about it.
///
/// # Errors
/// The data cannot be read, or has more samples than an epoch can shuffle.
pub fn open_training(spec: &DataSpec, options: &DataOptions) -> Result<(train::Data, CleanData)> {
    let data = match spec {
        DataSpec::Gaussian(_) | DataSpec::Mixture(_) | DataSpec::EightGaussians => {
            open_ideal(spec, options, Device::Cpu)?.data
        }
        _ => {
            let want = SampleShape { sample: options.shape.clone(), ..SampleShape::default() };
            load(spec, want, options, None, Device::Cpu)?
        }
    };
    if data.rows().is_some_and(|rows| rows > train::MOST_ROWS) {
        let problem =
            format!("{spec} has {} samples, and training takes {}", data.rows().unwrap_or(0), train::MOST_ROWS);
        return Err(Error::mismatch(problem, "Use fewer by --data-limit."));
    }
    let rows = match &data.whole {
        Whole::Rows(rows) => train::Data::Rows(Arc::clone(rows)),
        Whole::Indexed(rows) => train::Data::Indexed(Arc::clone(rows)),
        Whole::Density(_) => train::Data::Drawn(Arc::clone(&data.source)),
    };
    Ok((rows, data))
}
