//! Arguments of `lipscope sample`.

use super::{BatchSize, Clip, DataOptions, Overrides, REAL, SAMPLERS, SPACINGS, listed, sampler, spacing};
use crate::report::SampleFormat;
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
    #[arg(
        long,
        value_name = "SAMPLER",
        default_value = "ddim",
        value_parser = sampler,
        help = format!("One of {}", listed(SAMPLERS)),
        help_heading = "Sampling"
    )]
    pub sampler: String,
    /// Network evaluations per sample, kept exactly
    #[arg(long, value_name = "N", default_value_t = 50, help_heading = "Sampling")]
    pub nfe: usize,
    #[arg(
        long,
        value_name = "SPACING",
        default_value = "uniform",
        value_parser = spacing,
        help = format!(
            "Where the steps lie: {} (lipschitz: equal ∫K dt of a measured curve); NAME{REAL} does not round \
             to whole timesteps",
            listed(SPACINGS)
        ),
        help_heading = "Sampling"
    )]
    pub spacing: String,
    /// Clamp the predicted clean sample to ± this: auto (the checkpoint's range with ddpm, ddim and dpm-solver-1), none or a
    /// number
    #[arg(long, value_name = "CLIP", default_value = "auto", help_heading = "Sampling")]
    pub clip: Clip,
    /// Samples per network call, or auto; the samples do not depend on it
    #[arg(long, value_name = "N", default_value = "auto", help_heading = "Sampling")]
    pub batch: BatchSize,
    /// File of the numbers
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, help_heading = "Output")]
    pub format: SampleFormat,
    /// Folder for samples, picture and sample.json [default: lipscope-out/sample-<name>]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub data: DataOptions,
    #[command(flatten)]
    pub model: Overrides,
}
