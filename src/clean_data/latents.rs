//! Data of latent models: `--encoder vae.pt` turns images into latents, `--latent-scale` multiplies them.

use crate::checkpoint::sha256;
use crate::data::{self, ByteSize, Indexed, Samples, Set};
use crate::error::{Doing, Error, Result, torch_message};
use crate::libtorch::load_script;
use crate::network::torchscript::first_tensor;
use lipscope_core::options::DataOptions;
use ndarray::Array2;
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use std::path::Path;
use tch::{Device, IValue, Kind, Tensor};

/// Images that are encoded at a time.
const BATCH: usize = 16;

/// The samples as the model sees them, and what the plan says about that; nothing where neither argument is given.
///
/// An encoder is called as f(x) with x [B, C, H, W] in float32, and gives latents [B, …]; of several outputs the first
/// tensor counts. The factor is the one of the model's training, such as 0.18215 for Stable Diffusion 1.
pub fn encode(set: Set, options: &DataOptions, device: Device) -> Result<(Set, Map<String, Value>)> {
    let mut said = Map::new();
    if options.encoder.is_none() && options.latent_scale.is_none() {
        return Ok((set, said));
    }
    let factor = options.latent_scale.unwrap_or(1.0);
    if !factor.is_finite() || factor == 0.0 {
        let next = "Give the factor of the model's training, such as 0.18215.";
        return Err(Error::argument("--latent-scale", factor, "it is a number other than 0", next));
    }
    let mut set = set;
    if let Some(path) = &options.encoder {
        set = Set::Held(encoded(path, &set, (options.data_memory.unwrap_or_default(), device))?);
        said.insert("encoder".into(), path.display().to_string().into());
        said.insert("encoder_sha256".into(), sha256(path)?.into());
    }
    said.insert("latent_scale".into(), json!(factor));
    let mut samples = match set {
        Set::Held(samples) => samples,
        Set::Indexed(indexed) => return Ok((Set::Indexed(indexed.times(factor)), said)),
    };
    samples.images.mapv_inplace(|value| (f64::from(value) * factor) as f32);
    if samples.images.iter().any(|value| !value.is_finite()) {
        return Err(Error::mismatch("the latents hold NaN or infinite values", "Check the encoder and the images."));
    }
    samples.sha256 = data::sha256(samples.images.as_standard_layout().as_slice().unwrap_or_default());
    Ok((Set::Held(samples), said))
}

/// The samples with latents in their place, one per row, and the shape of one; images are read as they are encoded.
fn encoded(path: &Path, set: &Set, (memory, device): (ByteSize, Device)) -> Result<Samples> {
    let _no_grad = tch::no_grad_guard();
    let bad = |problem: String| {
        let next = "An encoder is called as f(x) with images [B, C, H, W] in float32, and gives latents [B, …].";
        Error::file(path, problem, next)
    };
    let module = load_script(path, device, "this encoder")?;
    let (mut rows, mut shape) = (Vec::new(), Vec::new());
    for first in (0..set.count()).step_by(BATCH) {
        let part = part(set, first)?;
        let count = BATCH.min(set.count() - first) as i64;
        let sizes: Vec<i64> = std::iter::once(count).chain(set.shape().iter().map(|n| *n as i64)).collect();
        let x = Tensor::f_from_slice(&part).and_then(|x| x.f_view(&sizes[..])).and_then(|x| x.f_to_device(device));
        let x = x.doing("moving images to the encoder")?;
        let output = module.forward_is(&[IValue::Tensor(x)]).map_err(|e| bad(torch_message(&e)))?;
        let latents = first_tensor(output).ok_or_else(|| bad("its output holds no tensor".into()))?;
        let size = latents.size();
        if size.len() < 2 || size[0] != count || (!shape.is_empty() && size[1..] != shape[..]) {
            return Err(bad(format!("it answers {count} images with an output of shape {size:?}")));
        }
        shape = size[1..].to_vec();
        let whole = ByteSize((shape.iter().product::<i64>() * 4 * set.count() as i64) as u64);
        if whole.0 > memory.0 && matches!(set, Set::Indexed(_)) {
            let problem = format!("latents are held in memory, and those of {} images take {whole}", set.count());
            return Err(Error::mismatch(problem, "Use fewer by --data-limit, or allow more by --data-memory."));
        }
        let latents = latents.f_to_device(Device::Cpu).and_then(|v| v.f_to_kind(Kind::Float)?.f_reshape([-1]));
        let latents = latents.doing("reading latents back")?;
        rows.extend(Vec::<f32>::try_from(latents).doing("reading latents back")?);
    }
    let shape: Vec<usize> = shape.into_iter().map(|n| n as usize).collect();
    let rows = Array2::from_shape_vec((set.count(), shape.iter().product()), rows)
        .map_err(|e| bad(format!("its latents do not divide into samples ({e})")))?;
    Ok(match set {
        Set::Held(samples) => Samples {
            images: rows,
            shape,
            scaling: samples.scaling,
            labels: samples.labels.clone(),
            warnings: samples.warnings.clone(),
            description: samples.description.clone(),
            sha256: String::new(),
        },
        Set::Indexed(indexed) => with_latents(indexed, rows, shape),
    })
}

/// Up to a batch of images from `first` on.
fn part(set: &Set, first: usize) -> Result<Vec<f32>> {
    let width = set.shape().iter().product::<usize>().max(1);
    let mut part = vec![0.0; BATCH.min(set.count() - first) * width];
    part.par_chunks_mut(width).enumerate().try_for_each(|(i, out)| set.read(first + i, out))?;
    Ok(part)
}

fn with_latents(indexed: &Indexed, images: Array2<f32>, shape: Vec<usize>) -> Samples {
    Samples {
        images,
        shape,
        scaling: indexed.scaling,
        labels: indexed.labels.clone(),
        warnings: indexed.warnings.clone(),
        description: indexed.description.clone(),
        sha256: String::new(),
    }
}
