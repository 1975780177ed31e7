//! The arguments as they are typed. Doc comments here are the help that users read, so what has none needs none.
#![allow(missing_docs)]

mod evaluate;
mod export;
mod reproduce;
mod sample;
mod stability;
mod suggest;
mod train;
mod values;

use crate::data::{DataSpec, ScaleOverride};
use crate::device_choice::DeviceChoice;
use crate::prediction::Prediction;
use crate::quantity::{Norm, Quantities};
use crate::report::FigureFormat;
use crate::schedule::NamedSchedule;
use crate::time::{Axis, Conditioning};
use crate::timesteps::TimestepSpec;
use clap::{Args, Parser, Subcommand};
pub use evaluate::EvaluateArgs;
pub use export::ExportArgs;
pub use reproduce::ReproduceArgs;
pub use sample::SampleArgs;
pub use stability::StabilityArgs;
use std::path::PathBuf;
pub use suggest::SuggestArgs;
pub use train::{TrainArgs, variants};
pub use values::*;

/// Where a diffusion model's noise prediction changes infinitely fast in time, and what that costs.
#[derive(Debug, Parser)]
#[command(name = "lipscope", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Arguments of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Where to compute: auto, cpu, cuda, cuda:N or mps
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE", help_heading = "Global options")]
    pub device: DeviceChoice,
    /// CPU threads [default: all cores]
    #[arg(long, global = true, value_name = "N", help_heading = "Global options")]
    pub threads: Option<usize>,
    /// Seed of every random stream
    #[arg(long, global = true, default_value_t = 0, value_name = "SEED", help_heading = "Global options")]
    pub seed: u64,
    /// Print errors and warnings only
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// Print the report as JSON on stdout, and nothing else there
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Resolve everything, print the plan, and stop before measuring
    #[arg(long, global = true, help_heading = "Global options")]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure the Lipschitz curve of one checkpoint over timesteps
    Measure(MeasureArgs),
    /// Measure several on identical x_t, with paired ratios and their intervals
    Compare(CompareArgs),
    /// Compute the ideal denoiser's curve, in closed form, for a data set and schedule
    Theory(TheoryArgs),
    /// Train ddpm, e-tsdm or an alternative, and write a checkpoint that says everything about itself
    #[command(after_help = variants())]
    Train(Box<TrainArgs>),
    /// Make images or points, by a chosen sampler and number of network evaluations
    Sample(Box<SampleArgs>),
    /// Measure sample quality over models, samplers and numbers of network evaluations
    Evaluate(Box<EvaluateArgs>),
    /// Perturb x_t or t near 0 and measure how the predicted x₀ changes
    Stability(Box<StabilityArgs>),
    /// From a measured curve to shared sub-intervals and a step grid that keep every jump under a bound
    Suggest(SuggestArgs),
    /// Run a plan from training to figure
    Reproduce(ReproduceArgs),
    /// Render a finished report again: csv, parquet, svg, png, pdf, html, notebook
    Export(ExportArgs),
    /// Train ddpm and e-tsdm on embedded digits, compare them with the ideal curve, and draw the figure
    Demo(DemoArgs),
    /// Say what a file holds: format, architecture, parameters, dtype, schedule, sharing
    Inspect(InspectArgs),
    /// Say what this installation can use: libtorch, devices, threads
    Doctor,
    /// Print a completion script for a shell
    #[command(hide = true)]
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Print a man page in roff
    #[command(hide = true)]
    Man,
}

#[derive(Debug, Args)]
pub struct MeasureArgs {
    /// TorchScript module, torch.save or safetensors file, diffusers folder, or ideal:DATA for a closed form
    #[arg(value_name = "CKPT")]
    pub checkpoint: String,
    /// Name in tables and figures [default: the file's]
    #[arg(long, value_name = "NAME")]
    pub label: Option<String>,
    /// Then find out how much is rounding: float64, float32 and bfloat16, of the network and of its time embedding
    #[arg(long, help_heading = "Measurement")]
    pub rounding: bool,
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    pub model: ModelOptions,
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The model that the others are compared with
    #[arg(value_name = "BASE")]
    pub baseline: String,
    /// One or more models; --share is laid over these
    #[arg(value_name = "CANDIDATE", required = true, num_args = 1..)]
    pub candidates: Vec<String>,
    /// Name in tables and figures, once per model in their order
    #[arg(long, value_name = "NAME")]
    pub label: Vec<String>,
    /// Exit 1 unless every candidate's total variation near 0 is lower by at least this fraction
    #[arg(long, value_name = "FRACTION")]
    pub require_reduction: Option<f64>,
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    pub model: ModelOptions,
}

#[derive(Debug, Args)]
pub struct TheoryArgs {
    /// Name in tables and figures
    #[arg(long, value_name = "NAME")]
    pub label: Option<String>,
    /// Noise schedule: NAME[:key=value,…]
    #[arg(long, value_name = "SCHEDULE", default_value = "linear")]
    pub schedule: NamedSchedule,
    /// Ask for the shared timestep: n=5,until=100 or boundaries=0-20-50-100
    #[arg(long, value_name = "SHARING")]
    pub share: Option<Share>,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder for everything
    #[arg(long, value_name = "DIR", default_value = "lipscope-out/demo", help_heading = "Output")]
    pub out: PathBuf,
    /// Optimiser steps of each variant
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Training")]
    pub steps: u64,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Any file or folder
    #[arg(value_name = "CKPT")]
    pub checkpoint: PathBuf,
}

/// Clean samples.
#[derive(Debug, Clone, Default, Args)]
pub struct DataOptions {
    /// Clean samples: digits, moons, swiss-roll, checkerboard, eight-gaussians, mnist:DIR, cifar10:DIR, images:DIR, a file (.npy .npz .safetensors .pt), gaussian:…,
    /// mixture:FILE, or model (samples of the checkpoint itself)
    #[arg(long = "data", value_name = "SRC", help_heading = "Data")]
    pub source: Option<DataSpec>,
    /// Stored range that becomes [-1, 1], such as 0..255, or none
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, help_heading = "Data")]
    pub scale: Option<ScaleOverride>,
    /// TorchScript module that turns images into the latents that the model sees
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub encoder: Option<PathBuf>,
    /// The data are latents, of the encoder or as stored, and are multiplied by this
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, help_heading = "Data")]
    pub latent_scale: Option<f64>,
    /// Use so many samples of the data at most, evenly spaced [default: all; 4096 of images:DIR]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub data_limit: Option<usize>,
    /// Shape of one sample where the checkpoint does not say, such as 3,32,32
    #[arg(long, value_name = "C,H,W", value_delimiter = ',', help_heading = "Data")]
    pub shape: Option<Vec<i64>>,
}

/// Figures beside the tables.
#[derive(Debug, Clone, Args)]
pub struct FigureOptions {
    /// Draw the figures
    #[arg(
        long,
        value_name = "FORMATS",
        value_enum,
        ignore_case = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "svg,png,pdf",
        value_delimiter = ',',
        help_heading = "Output"
    )]
    pub plot: Option<Vec<FigureFormat>>,
}

/// What is measured, on what, and where it goes.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub data: DataOptions,
    /// auto, all, 0..100, 0..1000/10, log:60 or 0,1,2,5
    #[arg(long, value_name = "SPEC", default_value = "auto", help_heading = "Measurement")]
    pub timesteps: TimestepSpec,
    /// auto: add timesteps until straight lines between them are this close to the curve, relatively
    #[arg(long, allow_negative_numbers = true, value_name = "E", default_value_t = 0.05, help_heading = "Measurement")]
    pub tolerance: f64,
    /// What is measured
    #[arg(long, value_name = "QUANTITY", value_enum, default_value_t, help_heading = "Measurement")]
    pub quantity: Quantities,
    /// Distance t′ − t of the secant, in steps
    #[arg(long, value_name = "STEPS", default_value_t = 1.0, help_heading = "Measurement")]
    pub dt: f64,
    /// (x₀, ε) pairs per timestep [default: 64]
    #[arg(long, value_name = "N", conflicts_with = "rel_error", help_heading = "Measurement")]
    pub samples: Option<u64>,
    /// Add samples until the relative standard error is below this at every timestep
    #[arg(long, value_name = "E", help_heading = "Measurement")]
    pub rel_error: Option<f64>,
    /// With --rel-error: the most samples per timestep
    #[arg(long, value_name = "N", default_value_t = 4096, help_heading = "Measurement")]
    pub max_samples: u64,
    /// Samples per network call, or auto
    #[arg(long, value_name = "N", default_value = "auto", help_heading = "Measurement")]
    pub batch: BatchSize,
    /// Time axis of the denominator
    #[arg(long, value_name = "AXIS", value_enum, default_value_t, help_heading = "Measurement")]
    pub axis: Axis,
    /// Norm of the numerator
    #[arg(long, value_name = "NORM", value_enum, default_value_t, help_heading = "Measurement")]
    pub norm: Norm,
    /// Folder for report and figures [default: lipscope-out/<command>-<name>]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub figures: FigureOptions,
    /// Go on from an interrupted run in the same --out
    #[arg(long, help_heading = "Output")]
    pub resume: bool,
}

/// What overrides or completes the checkpoint's own word.
#[derive(Debug, Clone, Default, Args)]
pub struct ModelOptions {
    /// Noise schedule: NAME[:key=value,…]
    #[arg(long, value_name = "SCHEDULE", help_heading = "Model (overrides what the checkpoint says)")]
    pub schedule: Option<NamedSchedule>,
    /// What the network predicts
    #[arg(long, value_name = "TYPE", value_enum, help_heading = "Model (overrides what the checkpoint says)")]
    pub prediction: Option<Prediction>,
    /// Lay a timestep map over the model: n=5,until=100 or boundaries=0-20-50-100
    #[arg(long, value_name = "SHARING", help_heading = "Model (overrides what the checkpoint says)")]
    pub share: Option<Share>,
    /// The number that the network gets for t: step, unit, sigma, log-snr or c-noise, or one times a factor (sigma*1000)
    #[arg(long, alias = "condition", value_name = "AXIS", help_heading = "Model (overrides what the checkpoint says)")]
    pub time_input: Option<Conditioning>,
    /// Class that a class-conditional network is asked for
    #[arg(long, value_name = "CLASS", help_heading = "Model (overrides what the checkpoint says)")]
    pub class: Option<i64>,
    /// Embeddings that the network attends to, such as a prompt's: .npy or .safetensors with one array [L, D]
    #[arg(long, value_name = "FILE", help_heading = "Model (overrides what the checkpoint says)")]
    pub context: Option<PathBuf>,
    /// Measure the guided prediction (1 + w) ε(x, t, c) − w ε(x, t, ∅)
    #[arg(
        long,
        value_name = "W",
        allow_negative_numbers = true,
        help_heading = "Model (overrides what the checkpoint says)"
    )]
    pub guidance: Option<f64>,
    /// With --guidance: the label that stands for no class [default: the checkpoint's]
    #[arg(long, value_name = "CLASS", help_heading = "Model (overrides what the checkpoint says)")]
    pub null_class: Option<i64>,
    /// With --guidance: the embeddings that stand for no condition
    #[arg(long, value_name = "FILE", help_heading = "Model (overrides what the checkpoint says)")]
    pub null_context: Option<PathBuf>,
    /// Inputs of a TorchScript module in their order: x, t, class, context, NAME=FILE or NAME=NUMBER [default: x,t]
    #[arg(long, value_name = "LIST", help_heading = "Model (overrides what the checkpoint says)")]
    pub inputs: Option<String>,
    /// Which of a TorchScript module's outputs is the prediction: its place from 0, or its key [default: the first tensor]
    #[arg(long, value_name = "PLACE|KEY", help_heading = "Model (overrides what the checkpoint says)")]
    pub output: Option<String>,
    /// Which of a checkpoint's sets of weights: ema, raw, or one that inspect lists [default: the checkpoint's]
    #[arg(long, value_name = "NAME", help_heading = "Model (overrides what the checkpoint says)")]
    pub weights: Option<String>,
    /// What the shapes of a state dict do not tell, such as num_heads=4: NAME=VALUE, or a file with a JSON object
    #[arg(long, value_name = "NAME=VALUE|FILE", help_heading = "Model (overrides what the checkpoint says)")]
    pub config: Vec<String>,
    /// dtype of the network
    #[arg(long, value_name = "DTYPE", value_enum, default_value_t, help_heading = "Measurement")]
    pub dtype: Precision,
}
