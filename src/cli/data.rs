//! From `--data` to a source of clean samples.

use super::args::DataOptions;
use super::latents;
use crate::checkpoint::{Reference, sha256_of};
use crate::data::{
    DataSpec, GaussianParameters, GaussianSpec, LoadOptions, MixtureParameters, SampleShape, Samples, ScaleOverride,
    Spread, eight_gaussians,
};
use crate::draws::CleanSamples;
use crate::error::{Error, Result};
use crate::ideal::{Distribution, Finite, Gaussian, Mixture};
use crate::train;
use ndarray::{Array1, Array2};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::sync::Arc;
use tch::{Device, Tensor};

/// Pictures that are decoded unless the user says otherwise: more than a measurement draws.
const MOST_IMAGES: usize = 4096;

/// Clean samples, and what the report says about them.
pub(super) struct Data {
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

impl Data {
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
pub(super) enum Whole {
    /// A set: its samples, one per row.
    Rows(Arc<Array2<f32>>),
    /// A density in closed form; a Gaussian is a mixture of one.
    Density(Arc<MixtureParameters>),
}

/// The rows of a data set, drawn uniformly with replacement.
pub(super) struct Rows {
    rows: Arc<Array2<f32>>,
    moments: [f64; 2],
}

impl Rows {
    /// All rows of a data set.
    pub fn new(rows: Arc<Array2<f32>>) -> Self {
        let mean = |of: fn(f64) -> f64| rows.iter().map(|x| of(f64::from(*x))).sum::<f64>() / rows.len().max(1) as f64;
        let moments = [mean(|x| x), mean(|x| x * x)];
        Rows { rows, moments }
    }
}

impl CleanSamples for Rows {
    fn draw(&self, rng: &mut ChaCha8Rng, out: &mut [f32]) {
        let row = self.rows.row(rng.random_range(0..self.rows.nrows()));
        out.iter_mut().zip(row).for_each(|(to, from)| *to = *from);
    }

    fn moments(&self) -> Option<[f64; 2]> {
        Some(self.moments)
    }
}

/// A distribution whose ideal denoiser is known, and its samples.
pub(super) struct Ideal {
    /// The closed form.
    pub distribution: Box<dyn Distribution>,
    /// The same as a Gaussian, where it is one.
    pub gaussian: Option<Gaussian>,
    /// Its samples.
    pub data: Data,
}

fn load(
    spec: &DataSpec,
    want: SampleShape,
    options: &DataOptions,
    most_images: Option<usize>,
    device: Device,
) -> Result<(Arc<Array2<f32>>, Data)> {
    // Stored latents are no pictures: they are taken as they are.
    let stored_latents = options.latent_scale.is_some() && options.encoder.is_none();
    let scale = options.scale.or(stored_latents.then_some(ScaleOverride::None));
    let limit = options.data_limit.or(most_images.filter(|_| matches!(spec, DataSpec::Images(_))));
    if limit == Some(0) {
        return Err(Error::argument("--data-limit", 0, "it is at least 1", "Give the number of samples to use."));
    }
    // What fits the encoder is for the encoder to say.
    let want = if options.encoder.is_some() { SampleShape::default() } else { want };
    let mut samples = spec.load(&LoadOptions { want, scale, limit })?;
    let latents = latents::encode(&mut samples, options, device)?;
    let Samples { images, shape, scaling, warnings, description, sha256, .. } = samples;
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
    let data = Data {
        source: Arc::new(Rows::new(Arc::clone(&images))),
        shape: shape.iter().map(|n| *n as i64).collect(),
        description,
        warnings,
        whole: Whole::Rows(Arc::clone(&images)),
    };
    Ok((images, data))
}

/// The reference samples of the checkpoint `of`.
pub(super) fn reference(reference: &Reference, of: &str) -> Data {
    let Reference { images, shape } = reference;
    let numbers: Vec<f64> = images.iter().map(|x| f64::from(*x)).collect();
    let rows = Arc::new(images.clone());
    Data {
        source: Arc::new(Rows::new(Arc::clone(&rows))),
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
pub(super) fn open(spec: &DataSpec, want: SampleShape, options: &DataOptions, device: Device) -> Result<Data> {
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
pub(super) fn open_training(spec: &DataSpec, options: &DataOptions) -> Result<(train::Data, Data)> {
    match spec {
        DataSpec::Gaussian(_) | DataSpec::Mixture(_) | DataSpec::EightGaussians => {
            let ideal = open_ideal(spec, options, Device::Cpu)?;
            Ok((train::Data::Drawn(Arc::clone(&ideal.data.source)), ideal.data))
        }
        _ => {
            let want = SampleShape { sample: options.shape.clone(), channels: None, resizable: false };
            load(spec, want, options, None, Device::Cpu).map(|(images, data)| (train::Data::Rows(images), data))
        }
    }
}

/// A vector of the right length takes the model's shape.
fn reshape(from: &[i64], to: Vec<i64>, spec: &DataSpec) -> Result<Vec<i64>> {
    if from.iter().product::<i64>() == to.iter().product::<i64>() {
        return Ok(to);
    }
    Err(Error::mismatch(
        format!("{spec} draws samples of shape {from:?}, and the model takes {to:?}"),
        "Give data with as many elements as the model takes.",
    ))
}

/// The ideal denoiser's distribution for a data source.
pub(super) fn open_ideal(spec: &DataSpec, options: &DataOptions, device: Device) -> Result<Ideal> {
    let asked = options.shape.clone();
    let mut ideal = match spec {
        DataSpec::Gaussian(parameters) => gaussian(parameters, spec, device)?,
        DataSpec::Mixture(path) => mixture(&MixtureParameters::read(path)?, spec, device)?,
        DataSpec::EightGaussians => mixture(&eight_gaussians(), spec, device)?,
        DataSpec::Model => {
            return Err(Error::argument(
                "--data",
                spec,
                "an ideal denoiser needs data with a known distribution",
                "Give digits, a file, a folder, gaussian:… or mixture:FILE.",
            ));
        }
        _ => {
            let want = SampleShape { sample: asked.clone(), channels: None, resizable: false };
            let (images, data) = load(spec, want, options, Some(MOST_IMAGES), device)?;
            let (rows, dim) = images.dim();
            let flat = images.as_standard_layout();
            let tensor = Tensor::from_slice(flat.as_slice().unwrap_or_default()).reshape([rows as i64, dim as i64]);
            return Ok(Ideal { distribution: Box::new(Finite::new(&tensor, device)?), gaussian: None, data });
        }
    };
    if let Some(shape) = asked {
        ideal.data.shape = reshape(&ideal.data.shape, shape, spec)?;
    }
    Ok(ideal)
}

fn gaussian(parameters: &GaussianSpec, spec: &DataSpec, device: Device) -> Result<Ideal> {
    let read = match parameters {
        GaussianSpec::Isotropic { mean, std, dim } => GaussianParameters {
            mean: Array1::from_elem(*dim, *mean),
            spread: Spread::Diagonal(Array2::from_elem((1, *dim), *std)),
        },
        GaussianSpec::File(path) => GaussianParameters::read(path)?,
    };
    let build = || component(&read.mean.to_vec(), &read.spread, 0, device);
    let gaussian = build()?;
    let (mean, variance) = gaussian.moments();
    let source = Arc::new(gaussian.samples());
    let numbers = [mean, variance].concat();
    let distribution = Box::new(build()?);
    let density = MixtureParameters {
        weights: Array1::ones(1),
        means: read.mean.insert_axis(ndarray::Axis(0)),
        spread: read.spread,
    };
    let data = parametric(source, density, spec, &numbers);
    Ok(Ideal { data, distribution, gaussian: Some(gaussian) })
}

fn mixture(parameters: &MixtureParameters, spec: &DataSpec, device: Device) -> Result<Ideal> {
    let rows = parameters.means.rows().into_iter().enumerate();
    let components: Vec<Gaussian> =
        rows.map(|(k, mean)| component(&mean.to_vec(), &parameters.spread, k, device)).collect::<Result<_>>()?;
    let mut numbers = parameters.weights.to_vec();
    for component in &components {
        let (mean, variance) = component.moments();
        numbers.extend(mean.into_iter().chain(variance));
    }
    let mixture = Mixture::new(&parameters.weights.to_vec(), components);
    let data = parametric(Arc::new(mixture.samples()), parameters.clone(), spec, &numbers);
    Ok(Ideal { distribution: Box::new(mixture), gaussian: None, data })
}

fn component(mean: &[f64], spread: &Spread, k: usize, device: Device) -> Result<Gaussian> {
    match spread {
        Spread::Diagonal(std) => {
            let variance: Vec<f64> = std.row(k).iter().map(|std| std * std).collect();
            Ok(Gaussian::diagonal(mean, &variance, device))
        }
        Spread::Full(covariance) => {
            let flat: Vec<f64> = covariance.index_axis(ndarray::Axis(0), k).iter().copied().collect();
            Gaussian::full(mean, &flat, device)
        }
    }
}

fn parametric(source: Arc<dyn CleanSamples>, density: MixtureParameters, spec: &DataSpec, numbers: &[f64]) -> Data {
    let dim = density.means.ncols() as i64;
    let description = json!({ "source": spec.to_string(), "shape": [dim], "sha256": sha256_of(numbers) });
    Data { source, shape: vec![dim], description, warnings: Vec::new(), whole: Whole::Density(Arc::new(density)) }
}
