//! Data with a known distribution, and its ideal denoiser.

use super::{CleanData, SOME_IMAGES, Whole, load};
use crate::checkpoint::sha256_of;
use crate::data::{
    ByteSize, DataSpec, GaussianParameters, GaussianSpec, Indexed, MixtureParameters, SampleShape, Spread,
    eight_gaussians,
};
use crate::draws::CleanSamples;
use crate::error::{Error, Result};
use crate::ideal::{Distribution, Finite, Gaussian, Mixture};
use lipscope_core::options::DataOptions;
use ndarray::{Array1, Array2};
use serde_json::json;
use std::sync::Arc;
use tch::{Device, Tensor};

/// A distribution whose ideal denoiser is known, and its samples.
pub struct Ideal {
    /// The closed form.
    pub distribution: Box<dyn Distribution>,
    /// The same as a Gaussian, where it is one.
    pub gaussian: Option<Gaussian>,
    /// Its samples.
    pub data: CleanData,
}

/// A vector of the right length takes the model's shape.
pub(super) fn reshape(from: &[i64], to: Vec<i64>, spec: &DataSpec) -> Result<Vec<i64>> {
    if from.iter().product::<i64>() == to.iter().product::<i64>() {
        return Ok(to);
    }
    Err(Error::mismatch(
        format!("{spec} draws samples of shape {from:?}, and the model takes {to:?}"),
        "Give data with as many elements as the model takes.",
    ))
}

/// The ideal denoiser's distribution for a data source.
pub fn open_ideal(spec: &DataSpec, options: &DataOptions, device: Device) -> Result<Ideal> {
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
            let want = SampleShape { sample: asked.clone(), ..SampleShape::default() };
            let data = load(spec, want, options, Some(SOME_IMAGES), device)?;
            let images = match &data.whole {
                Whole::Rows(rows) => Arc::clone(rows),
                Whole::Indexed(rows) => return Err(too_large(spec, rows, options)),
                Whole::Density(_) => return Err(Error::mismatch(format!("{spec} is a density"), "Report this.")),
            };
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

/// Every point of the data weighs in the ideal denoiser at every x, so all of them must be in memory.
fn too_large(spec: &DataSpec, rows: &Indexed, options: &DataOptions) -> Error {
    let memory = options.data_memory.unwrap_or_default();
    let problem = format!(
        "the ideal denoiser of {spec} needs all {} samples in memory, which take {}; {memory} are allowed",
        rows.len(),
        ByteSize(rows.bytes())
    );
    let fits = memory.0 / (rows.bytes() / rows.len().max(1) as u64).max(1);
    let next = match fits {
        0 => format!("Allow more by --data-memory {}.", ByteSize(rows.bytes().next_multiple_of(1 << 30))),
        fits => format!("Use {fits} or fewer by --data-limit {fits}, or allow more by --data-memory."),
    };
    Error::mismatch(problem, next)
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

fn parametric(
    source: Arc<dyn CleanSamples>,
    density: MixtureParameters,
    spec: &DataSpec,
    numbers: &[f64],
) -> CleanData {
    let dim = density.means.ncols() as i64;
    let description = json!({ "source": spec.to_string(), "shape": [dim], "sha256": sha256_of(numbers) });
    CleanData { source, shape: vec![dim], description, warnings: Vec::new(), whole: Whole::Density(Arc::new(density)) }
}
