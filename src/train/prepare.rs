//! From arguments to everything that a training run needs; nothing is trained or written yet.

use super::{Data, Plan, variant};
use crate::checkpoint::{self, Declared, Request, Sidecar, Training, WRITERS, Writer};
use crate::clean_data;
use crate::data::DataSpec;
use crate::device;
use crate::error::{Doing, Error, Result};
use crate::libtorch::{self, Autocast};
use crate::network::{self, Network};
use crate::nn::Weights;
use crate::prediction::Prediction;
use crate::process::ProcessSpec;
use crate::random::{Purpose, stream};
use crate::run::{Folder, Setup};
use crate::schedule;
use lipscope_core::cli::args::{Precision, TrainArgs};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// Reference samples in a checkpoint, and the numbers that they hold at most.
const REFERENCES: usize = 256;
const REFERENCE_NUMBERS: usize = 1 << 20;

/// Threads that make batches, where nothing is said.
const MOST_USUAL_WORKERS: usize = 8;

/// A training, resolved and checked, with its network and data.
pub struct Job {
    /// Everything that the weights depend on.
    pub plan: Plan,
    /// What a reader must know.
    pub warnings: Vec<String>,
    pub(super) folder: Folder,
    pub(super) network: Box<dyn Network>,
    pub(super) data: Data,
    pub(super) writers: Vec<&'static Writer>,
    pub(super) sidecar: Sidecar,
    pub(super) reference: Tensor,
    pub(super) every: Every,
    pub(super) device: Device,
    pub(super) workers: usize,
}

/// Steps between two checkpoints, and between two rows of `train.csv`.
#[derive(Clone, Copy)]
pub(super) struct Every {
    pub save: u64,
    pub log: u64,
}

impl Job {
    /// Resolves what was asked for.
    ///
    /// # Errors
    /// Arguments that do not fit each other, the data, or the checkpoint to start from.
    pub fn new(args: &TrainArgs, setup: &Setup) -> Result<Self> {
        let (device, kind) = setup.arithmetic(args.dtype)?;
        check_numbers(args)?;
        check_dtype(args)?;
        let (from, declared) = start(args)?;
        let spec = args.schedule.clone().map(ProcessSpec::from).or(declared.schedule);
        let base = match &spec {
            Some(spec) => spec.gaussian("training")?.name.clone(),
            None => "linear".into(),
        };
        let timesteps = schedule::parse(&base)?.timesteps();
        let until = args.until.unwrap_or((timesteps / 10).max(1));
        let setting = variant::Setting {
            schedule: base,
            timesteps,
            intervals: args.intervals,
            boundaries: args.boundaries.clone(),
            until,
            penalty_weight: args.penalty_weight,
        };
        let recipe = variant::recipe(&args.variant, &setting)?;
        let prediction = args.prediction.or(declared.prediction).unwrap_or_default();
        if matches!(prediction, Prediction::Consistency(_)) {
            let problem = "consistency models are not trained on the answer x₀, and lipscope train does nothing else";
            return Err(Error::mismatch(problem, "Choose another --prediction, such as edm."));
        }
        let spec = args.data.source.clone().unwrap_or(DataSpec::Digits);
        let (rows, described) = clean_data::open_training(&spec, &args.data)?;
        let (network, architecture, first_weights) =
            network(args, from, &described.shape, timesteps, setup.seed, (device, kind))?;
        let writers = writers(&args.format, &architecture)?;
        let plan = Plan {
            variant: args.variant.clone(),
            recipe,
            architecture,
            first_weights,
            data: described.description.clone(),
            flip: flip(args.flip, &described.shape)?,
            shape: described.shape.clone(),
            prediction,
            weighting: args.weighting,
            until,
            steps: args.steps,
            batch: args.batch,
            accumulate: args.accumulate,
            learning_rate: args.lr,
            rate_schedule: args.lr_schedule,
            warmup: args.warmup,
            weight_decay: args.weight_decay,
            clip_norm: Some(args.clip_norm).filter(|norm| *norm > 0.0),
            ema: args.ema.0.clone(),
            seed: setup.seed,
            channels_last: args.channels_last,
            dtype: args.dtype,
            autocast: autocast(args.autocast, device)?,
            device: device::name(device),
        };
        refuse_logarithm_of_zero(&plan)?;
        let reference = reference(&rows, &plan.shape)?;
        Ok(Job {
            sidecar: sidecar(&plan, clip(&reference, &plan.shape))?,
            folder: Folder::new(args.out.as_deref(), || default_out(&args.variant, &spec)),
            warnings: described.warnings,
            plan,
            network,
            data: rows,
            writers,
            reference,
            every: Every { save: args.save_every, log: args.log_every },
            workers: workers(args.workers, device),
            device,
        })
    }
}

/// Threads that make batches: on a CPU half of the cores, since the network needs them too.
fn workers(asked: Option<u64>, device: Device) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let usual = if device == Device::Cpu { cores / 2 } else { cores };
    asked.map_or(usual.clamp(1, MOST_USUAL_WORKERS), |asked| asked as usize)
}

fn check_numbers(args: &TrainArgs) -> Result<()> {
    let counts = [
        ("--steps", args.steps),
        ("--batch", args.batch),
        ("--accumulate", args.accumulate),
        ("--save-every", args.save_every),
        ("--log-every", args.log_every),
        ("--workers", args.workers.unwrap_or(1)),
    ];
    if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
        return Err(Error::argument(name, 0, "it is at least 1", "Give a whole number above 0."));
    }
    if !args.batch.is_multiple_of(args.accumulate) {
        let allowed = format!("--batch is {}, and the parts are of one size", args.batch);
        return Err(Error::argument("--accumulate", args.accumulate, allowed, "Give a divisor of --batch."));
    }
    let numbers =
        [("--lr", args.lr, true), ("--weight-decay", args.weight_decay, false), ("--clip-norm", args.clip_norm, false)];
    match numbers.iter().find(|(_, value, positive)| !value.is_finite() || *value < 0.0 || *positive && *value == 0.0) {
        Some((name, value, _)) => Err(Error::argument(name, value, "it is a number above 0", "Such as --lr 2e-4.")),
        None => Ok(()),
    }
}

/// Weights are float32 or float64: small steps of shorter ones would be rounded away.
fn check_dtype(args: &TrainArgs) -> Result<()> {
    match (args.dtype, args.autocast) {
        (Precision::F32, _) | (Precision::F64, None) => Ok(()),
        (Precision::F64, Some(_)) => Err(Error::mismatch(
            "--dtype f64 computes in float64, and --autocast in a shorter dtype",
            "Leave out one of them.",
        )),
        (Precision::Bf16 | Precision::F16, _) => Err(Error::unsupported(
            "training weights of 16 bits",
            "weights are f32 or f64",
            "Use --autocast to have products and convolutions computed in 16 bits.",
        )),
    }
}

/// The checkpoint that training starts from, and what it says about itself.
fn start(args: &TrainArgs) -> Result<(Option<checkpoint::Checkpoint>, Declared)> {
    let Some(path) = &args.from else { return Ok((None, Declared::default())) };
    let mut from = checkpoint::open(path, &Request::on(Device::Cpu))?;
    let declared = std::mem::take(&mut from.declared);
    Ok((Some(from), declared))
}

/// The network on its device, its configuration, and where its weights come from.
fn network(
    args: &TrainArgs,
    from: Option<checkpoint::Checkpoint>,
    shape: &[i64],
    timesteps: usize,
    seed: u64,
    (device, kind): (Device, Kind),
) -> Result<(Box<dyn Network>, serde_json::Value, String)> {
    let (mut network, architecture, origin) = match from {
        None => {
            let architecture = network::arch::parse(&args.arch, shape, timesteps)?;
            let network = network::build(&architecture, &Weights::fresh(seed), Path::new("--arch"))?;
            (network, architecture, "seed".to_string())
        }
        Some(from) => {
            let Some(architecture) = from.network.config() else {
                return Err(Error::file(
                    &from.path,
                    "it is a foreign TorchScript module, whose architecture is not known",
                    "Train on from a diffusers folder, or from a checkpoint that lipscope wrote.",
                ));
            };
            let input = from.network.input_shape();
            let fits = input.channels.is_none_or(|channels| shape.len() == 3 && shape[0] == channels)
                && (input.resizable || input.sample.as_deref().is_none_or(|sample| sample == shape));
            if !fits {
                return Err(Error::mismatch(
                    format!(
                        "{} takes samples of shape {:?}, and the data has {shape:?}",
                        from.path.display(),
                        input.sample
                    ),
                    "Give data of the model's shape.",
                ));
            }
            (from.network, architecture, from.sha256.unwrap_or_default())
        }
    };
    if let Some(classes) = network.classes() {
        return Err(Error::unsupported(
            format!("training a network with {classes} classes"),
            "networks without labels are trained here",
            "Leave num_class_embeds out of the configuration.",
        ));
    }
    if matches!(device, Device::Cuda(_)) {
        // Gradients are noisier than TF32.
        libtorch::full_float32(false)?;
    }
    network.to(device, kind)?;
    Ok((network, architecture, origin))
}

/// Gaussian Fourier features are of log t, as for networks that are conditioned on σ.
fn refuse_logarithm_of_zero(plan: &Plan) -> Result<()> {
    let fourier = plan.architecture.get("time_embedding_type").is_some_and(|kind| kind == "fourier");
    if fourier && plan.run()?.conditions.iter().any(|c| *c <= 0.0) {
        return Err(Error::mismatch(
            "the network takes Fourier features of the logarithm of its condition, and the condition of t = 0 is 0",
            "Use --variant sigma-condition, or time=positional.",
        ));
    }
    Ok(())
}

/// The writers of these names, all of which can write this network.
fn writers(names: &[String], architecture: &serde_json::Value) -> Result<Vec<&'static Writer>> {
    let known: Vec<&str> = WRITERS.iter().map(|writer| writer.name).collect();
    let find = |name: &String| -> Result<&'static Writer> {
        let writer = WRITERS.iter().find(|writer| writer.name == name).ok_or_else(|| {
            let allowed = format!("it is one or more of {}, with commas between", known.join(", "));
            Error::argument("--format", name, allowed, "Choose among them.")
        })?;
        match (writer.refuses)(architecture) {
            None => Ok(writer),
            Some(reason) => {
                let what = format!("--format {} for this network", writer.name);
                Err(Error::unsupported(what, reason, "Use --format pt or safetensors."))
            }
        }
    };
    names.iter().map(find).collect()
}

fn flip(asked: bool, shape: &[i64]) -> Result<bool> {
    if asked && shape.len() != 3 {
        let problem = format!("--flip mirrors images, and the data has shape {shape:?}");
        return Err(Error::mismatch(problem, "Leave out --flip."));
    }
    Ok(asked)
}

fn autocast(asked: Option<Autocast>, device: Device) -> Result<Option<Autocast>> {
    if asked.is_some() && device == Device::Mps {
        let next = "Leave out --autocast.";
        return Err(Error::unsupported("--autocast on mps", "it works on the CPU and on CUDA", next));
    }
    Ok(asked)
}

/// A few clean samples, evenly spaced over the data.
fn reference(data: &Data, shape: &[i64]) -> Result<Tensor> {
    let dim: usize = shape.iter().product::<i64>() as usize;
    let most = (REFERENCE_NUMBERS / dim.max(1)).clamp(4, REFERENCES);
    let values: Vec<f32> = match data {
        Data::Rows(rows) => {
            let count = most.min(rows.nrows());
            (0..count).flat_map(|i| rows.row(i * rows.nrows() / count).to_vec()).collect()
        }
        Data::Indexed(rows) => {
            let count = most.min(rows.len());
            let mut values = vec![0.0; count * dim];
            for (i, sample) in values.chunks_exact_mut(dim.max(1)).enumerate() {
                rows.read(i * rows.len() / count, sample)?;
            }
            values
        }
        Data::Drawn(source) => {
            let mut values = vec![0.0; most * dim];
            for (i, sample) in values.chunks_exact_mut(dim.max(1)).enumerate() {
                source.draw(&mut stream(0, Purpose::CleanSample, -2.0, i as u64), sample)?;
            }
            values
        }
    };
    let full: Vec<i64> = std::iter::once(-1).chain(shape.iter().copied()).collect();
    Tensor::f_from_slice(&values).and_then(|v| v.f_view(&full[..])).doing("keeping reference samples")
}

/// Images within [−1, 1] are clamped there when sampling.
fn clip(reference: &Tensor, shape: &[i64]) -> Option<f64> {
    (shape.len() == 3 && reference.abs().max().double_value(&[]) <= 1.0).then_some(1.0)
}

/// What the checkpoint says about itself; its weights and steps are filled in when it is written.
fn sidecar(plan: &Plan, clip: Option<f64>) -> Result<Sidecar> {
    let training = Training {
        variant: plan.variant.clone(),
        weights: String::new(),
        all_weights: Vec::new(),
        steps: 0,
        plan: plan.to_json()?,
        versions: versions(),
    };
    Ok(Sidecar {
        schedule: Some(plan.recipe.schedule.clone()),
        prediction: Some(plan.prediction.to_string()),
        share: plan.recipe.share.clone(),
        condition: plan.recipe.condition.clone(),
        shape: Some(plan.shape.clone()),
        clip,
        architecture: Some(plan.architecture.clone()),
        training: Some(training),
    })
}

fn default_out(variant: &str, spec: &DataSpec) -> PathBuf {
    PathBuf::from("lipscope-out").join(format!("train-{variant}-{}", crate::report::slug(&spec.to_string())))
}

/// Versions that a checkpoint names.
fn versions() -> Value {
    json!({ "lipscope": env!("CARGO_PKG_VERSION"), "libtorch": device::LIBTORCH_VERSION })
}
