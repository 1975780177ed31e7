//! Arguments of `lipscope evaluate`.

use super::{
    BatchSize, Clip, DataOptions, FeaturesInput, METRICS, OutputOptions, Overrides, SAMPLERS, Samplers, listed,
    samplers, spacing,
};
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;

/// Arguments of `lipscope evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Checkpoints, ideal:DATA for closed forms, or ready samples (.npy .npz .safetensors .pt, a folder of pictures, images:DIR); the first is the baseline
    #[arg(value_name = "CKPT", required = true, num_args = 1..)]
    pub checkpoints: Vec<String>,
    /// Name in tables and figures, once per model in their order
    #[arg(long, value_name = "NAME")]
    pub label: Vec<String>,
    #[arg(
        long,
        value_name = "SAMPLER,…",
        default_value = "ddim",
        value_parser = samplers,
        help = format!("Samplers, with commas between: {}", listed(SAMPLERS)),
        help_heading = "Sampling"
    )]
    pub sampler: Samplers,
    /// Network evaluations per sample
    #[arg(long, value_name = "N,…", default_value = "10,20,50", value_delimiter = ',', help_heading = "Sampling")]
    pub nfe: Vec<usize>,
    /// Where the steps lie: spacings, with commas between
    #[arg(
        long,
        value_name = "SPACING,…",
        default_value = "uniform",
        value_delimiter = ',',
        value_parser = spacing,
        help_heading = "Sampling"
    )]
    pub spacing: Vec<String>,
    /// Clamp x̂₀ to ± this: auto (what the checkpoint says, where the sampler is made for it), none or a number
    #[arg(long, value_name = "CLIP", default_value = "auto", allow_hyphen_values = true, help_heading = "Sampling")]
    pub clip: Clip,
    /// Samples per model, sampler, spacing, number of evaluations and seed
    #[arg(long, value_name = "N", default_value_t = 2000, help_heading = "Sampling")]
    pub samples: u64,
    /// Independent repetitions, with sampling seeds --seed, --seed + 1, …: intervals rest on them
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "Sampling")]
    pub seeds: u64,
    /// Samples per network call, or auto
    #[arg(long, value_name = "N", default_value = "auto", help_heading = "Sampling")]
    pub batch: BatchSize,
    /// Distances and shares, with commas between
    #[arg(
        long,
        value_name = "METRIC,…",
        value_parser = PossibleValuesParser::new(METRICS),
        default_value = "frechet,kernel,sliced-wasserstein",
        value_delimiter = ',',
        help_heading = "Quality"
    )]
    pub metrics: Vec<String>,
    /// What is compared: identity (the samples themselves), or a TorchScript module that gives features
    #[arg(long, value_name = "FEATURES", default_value = "identity", help_heading = "Quality")]
    pub features: String,
    /// What the feature network takes
    #[arg(long, value_name = "TYPE", value_enum, default_value_t, help_heading = "Quality")]
    pub features_input: FeaturesInput,
    /// Resize images to this height and width for the feature network
    #[arg(long, value_name = "N", help_heading = "Quality")]
    pub features_resize: Option<i64>,
    /// Ready statistics of the data's features, mu and sigma in a .npz, for frechet alone
    #[arg(long, value_name = "FILE", help_heading = "Quality")]
    pub reference: Option<PathBuf>,
    /// Neither read nor write features of the data in the cache folder
    #[arg(long, help_heading = "Quality")]
    pub no_cache: bool,
    #[command(flatten)]
    pub output: OutputOptions,
    #[command(flatten)]
    pub data: DataOptions,
    #[command(flatten)]
    pub model: Overrides,
}
