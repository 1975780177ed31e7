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
pub use rows::Rows;

use crate::checkpoint::{Reference, sha256_of};
use crate::data::{DataSpec, LoadOptions, MixtureParameters, SampleShape, Samples, ScaleOverride};
use crate::draws::CleanSamples;
use crate::error::Result;
use crate::train;
use lipscope_core::cli::args::DataLimits;
use lipscope_core::options::DataOptions;
use ndarray::Array2;
use serde_json::{Value, json};
use std::sync::Arc;
use tch::Device;

/// Pictures that are decoded unless the user says otherwise: more than a measurement draws.
const MOST_IMAGES: usize = 4096;

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
            Whole::Density(_) => None,
        }
    }
}

/// Everything that data is.
#[derive(Clone)]
pub enum Whole {
    /// A set: its samples, one per row.
    Rows(Arc<Array2<f32>>),
    /// A density in closed form; a Gaussian is a mixture of one.
    Density(Arc<MixtureParameters>),
}

fn load(
    spec: &DataSpec,
    want: SampleShape,
    options: &DataOptions,
    most_images: Option<usize>,
    device: Device,
) -> Result<(Arc<Array2<f32>>, CleanData)> {
    // Stored latents are no pictures: they are taken as they are.
    let stored_latents = options.latent_scale.is_some() && options.encoder.is_none();
    let scale = options.scale.or(stored_latents.then_some(ScaleOverride::None));
    let asked = options.data_limit.as_ref().map(DataLimits::single).transpose()?;
    // `all` is an answer too: of a folder of pictures it takes away the usual limit.
    let limit = asked.unwrap_or(most_images.filter(|_| matches!(spec, DataSpec::Images(_))));
    // What fits the encoder is for the encoder to say.
    let want = if options.encoder.is_some() { SampleShape::default() } else { want };
    let mut samples = spec.load(&LoadOptions { want, scale, limit })?;
    let latents = latents::encode(&mut samples, options, device)?;
    let Samples { images, shape, scaling, labels, warnings, description, sha256 } = samples;
    let images = Arc::new(images);
    let mut description = json!({
        "source": spec.to_string(),
        "description": description,
        "samples": images.nrows(),
        "shape": shape,
        "scaling": scaling.to_string(),
        "sha256": sha256,
    });
    if let Some(object) = description.as_object_mut() {
        object.extend(latents);
    }
    let data = CleanData {
        source: Arc::new(Rows::new(Arc::clone(&images), labels)),
        shape: shape.iter().map(|n| *n as i64).collect(),
        description,
        warnings,
        whole: Whole::Rows(Arc::clone(&images)),
    };
    Ok((images, data))
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
        _ => load(spec, want, options, Some(MOST_IMAGES), device).map(|(_, data)| data),
    }
}

/// Training data: all rows of a set, or a density to draw from, and what the plan says about it.
pub fn open_training(spec: &DataSpec, options: &DataOptions) -> Result<(train::Data, CleanData)> {
    match spec {
        DataSpec::Gaussian(_) | DataSpec::Mixture(_) | DataSpec::EightGaussians => {
            let ideal = open_ideal(spec, options, Device::Cpu)?;
            Ok((train::Data::Drawn(Arc::clone(&ideal.data.source)), ideal.data))
        }
        _ => {
            let want = SampleShape { sample: options.shape.clone(), ..SampleShape::default() };
            load(spec, want, options, None, Device::Cpu).map(|(images, data)| (train::Data::Rows(images), data))
        }
    }
}
