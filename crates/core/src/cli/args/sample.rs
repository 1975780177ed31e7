//! Arguments of `lipscope sample`.

use super::{DataOptions, ModelOptions};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `lipscope sample`.
#[derive(Debug, Args)]
pub struct SampleArgs {
    /// Checkpoint, or ideal:DATA for a closed form
    #[arg(value_name = "CKPT")]
    pub checkpoint: String,
    /// Name in the files [default: the file's]
    #[arg(long, value_name = "NAME")]
    pub label: Option<String>,
    /// How many to make
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Sampling")]
    pub samples: u64,
    /// ddpm[:variance=large], ddim[:eta=1], dpm-solver-1, dpm-solver-2, dpm-solver-3, dpm-solver++-2m or heun
    #[arg(long, value_name = "SAMPLER", default_value = "ddim", help_heading = "Sampling")]
    pub sampler: String,
    /// Network evaluations per sample, kept exactly
    #[arg(long, value_name = "N", default_value_t = 50, help_heading = "Sampling")]
    pub nfe: usize,
    /// Where the steps lie: uniform, quadratic, log-snr, karras, lipschitz:REPORT[#LABEL] (equal ∫K dt of a measured
    /// curve), times:T-T-…; NAME-real does not round to whole timesteps
    #[arg(long, value_name = "SPACING", default_value = "uniform", help_heading = "Sampling")]
    pub spacing: String,
    /// Clamp the predicted clean sample to ± this: auto (the checkpoint's range with ddpm, ddim and dpm-solver-1), none or a
    /// number
    #[arg(long, value_name = "CLIP", default_value = "auto", help_heading = "Sampling")]
    pub clip: String,
    /// Samples per network call, or auto; the samples do not depend on it
    #[arg(long, value_name = "N", default_value = "auto", help_heading = "Sampling")]
    pub batch: String,
    /// File of the numbers: safetensors or npy
    #[arg(long, value_name = "FORMAT", default_value = "safetensors", help_heading = "Output")]
    pub format: String,
    /// Folder for samples, picture and sample.json [default: lipscope-out/sample-<name>]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub data: DataOptions,
    #[command(flatten)]
    pub model: ModelOptions,
}
