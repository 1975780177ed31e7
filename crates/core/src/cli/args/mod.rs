//! The arguments as they are typed. Doc comments here are the help that users read, so what has none needs none.
#![allow(missing_docs, rustdoc::invalid_html_tags)]

mod condition;
mod evaluate;
mod executor;
mod export;
mod lora;
mod output;
mod reproduce;
mod sample;
mod several;
mod stability;
mod suggest;
mod train;
mod values;

use crate::device_choice::{DeviceChoice, Devices};
pub use crate::options::{DataOptions, MeasureOptions, Overrides};
use crate::process::ProcessSpec;
use crate::report::FigureFormat;
use crate::store::Shard;
use clap::{Args, Parser, Subcommand};
pub use condition::{Average, ConditionSource, Inputs, ModuleInput, NullInput};
pub use evaluate::EvaluateArgs;
pub use executor::{ExecutorChoice, ExecutorOptions};
pub use export::ExportArgs;
pub use lora::LoraSpec;
pub use output::{ModuleOutput, OutputTensor, OutputVariable};
pub use reproduce::ReproduceArgs;
pub use sample::SampleArgs;
pub use several::{DataLimits, Scales};
pub use stability::StabilityArgs;
use std::path::PathBuf;
pub use suggest::SuggestArgs;
pub use train::{TrainArgs, after_help};
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
    /// Where to compute: auto, cpu, cuda, cuda:N or mps; cuda:0,1 shares the work between GPUs, as --shards does
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE", help_heading = "Global options")]
    pub device: Devices,
    /// CPU threads [default: the CPUs of a Slurm job, else the cores that this process may use]
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
    /// The device of those who do the work, where it is not done here: batches are cut for it.
    #[arg(skip)]
    pub cut_for: Option<DeviceChoice>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure the Lipschitz curve of one checkpoint over timesteps
    Measure(MeasureArgs),
    /// Measure several on identical x_t, with paired ratios and their intervals
    Compare(CompareArgs),
    /// Compute the ideal denoiser's curve, in closed form, for a data set and schedule
    Theory(TheoryArgs),
    /// Train ddpm, e-tsdm or an alternative, and write a self-describing checkpoint
    #[command(after_help = after_help())]
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
    /// Compare a shipped DDPM and E-TSDM with the ideal curve of their data, and draw figure and page
    Demo(DemoArgs),
    /// Say what a checkpoint, a file of arrays, a report or the folder of a run holds
    Inspect(InspectArgs),
    /// Put the finished shards of a run together and report; name what is missing (exit 2)
    Merge(MergeArgs),
    /// Say which units of a run are finished, which are missing, and who did them
    Status(StatusArgs),
    /// Say what this installation can use, and how fast it is: libtorch, devices, threads
    Doctor(DoctorArgs),
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
    /// Also estimate the rounding error: float64, float32 and bfloat16, of the network and of its time embedding
    #[arg(long, help_heading = "Measurement")]
    pub rounding: bool,
    #[command(flatten)]
    pub options: MeasureOptions,
    #[command(flatten)]
    pub model: Overrides,
    #[command(flatten)]
    pub output: OutputOptions,
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
    pub options: MeasureOptions,
    #[command(flatten)]
    pub model: Overrides,
    #[command(flatten)]
    pub output: OutputOptions,
}

#[derive(Debug, Args)]
pub struct TheoryArgs {
    /// Name in tables and figures
    #[arg(long, value_name = "NAME")]
    pub label: Option<String>,
    /// Noise schedule, or another forward process: NAME[:key=value,…]
    #[arg(long, value_name = "SCHEDULE", default_value = "linear")]
    pub schedule: ProcessSpec,
    /// Ask for the shared timestep: n=5,until=100 or boundaries=0-20-50-100
    #[arg(long, value_name = "SHARING")]
    pub share: Option<Share>,
    #[command(flatten)]
    pub options: MeasureOptions,
    #[command(flatten)]
    pub output: OutputOptions,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder for everything
    #[arg(long, value_name = "DIR", default_value = "lipscope-out/demo", help_heading = "Output")]
    pub out: PathBuf,
    /// Train both networks on 8×8 digits first, instead of comparing those that lipscope ships
    #[arg(long, help_heading = "Training")]
    pub train: bool,
    /// Optimiser steps of each, with --train
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "train", help_heading = "Training")]
    pub steps: u64,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Any file or folder
    #[arg(value_name = "PATH")]
    pub checkpoint: PathBuf,
}

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Folder of the run, as --out named it; made where it is not there
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// Folders of the same run elsewhere, whose parts are copied to OUT first
    #[arg(value_name = "DIR")]
    pub from: Vec<PathBuf>,
    /// Refuse parts from unlike devices or versions of libtorch, which otherwise are a warning
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub figures: FigureOptions,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Folder of the run, as --out named it
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Also measure, in about half a minute, how fast each device is: forward passes, what derivatives and secants cost
    /// beside them, copies
    #[arg(long)]
    pub bench: bool,
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

/// Where a run goes.
#[derive(Debug, Clone, Args)]
pub struct OutputOptions {
    /// Folder for report and figures [default: lipscope-out/<command>-<name>]; the same command goes on from what is there
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub figures: FigureOptions,
    /// Go on from what an interrupted run left in --out, as the same command does without it
    #[arg(long, help_heading = "Output")]
    pub resume: bool,
    /// Do one of N parts of the work, I from 0 to N − 1, into a common folder; the same command without it puts the parts
    /// together and does what is missing
    #[arg(long, value_name = "I/N", conflicts_with = "shards", help_heading = "Several processes")]
    pub shard: Option<Shard>,
    /// Do the work in N processes side by side, one for each GPU or each on a part of the cores; or in N jobs of --executor
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=100_000),
        help_heading = "Several processes"
    )]
    pub shards: Option<u32>,
    /// Measure nothing: put together what shards have finished, and name what is missing (exit 2)
    #[arg(long, conflicts_with_all = ["shard", "shards", "executor"], help_heading = "Several processes")]
    pub merge: bool,
    /// Refuse parts from unlike devices or versions of libtorch, which otherwise are a warning
    #[arg(long, help_heading = "Several processes")]
    pub strict: bool,
    #[command(flatten)]
    pub executor: ExecutorOptions,
}
