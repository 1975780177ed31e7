//! Arguments of `lipscope stability`.

use super::{BatchSize, DataOptions, OutputOptions, Overrides, Sizes};
use crate::quantity::Norm;
use crate::timesteps::TimestepSpec;
use clap::Args;

/// Arguments of `lipscope stability`.
#[derive(Debug, Args)]
pub struct StabilityArgs {
    /// Checkpoints, or ideal:DATA for closed forms; the first is the baseline, and --share is laid over the others
    #[arg(value_name = "CKPT", required = true, num_args = 1..)]
    pub checkpoints: Vec<String>,
    /// Name in tables and figures, once per model in their order
    #[arg(long, value_name = "NAME")]
    pub label: Vec<String>,
    #[command(flatten)]
    pub data: DataOptions,
    #[command(flatten)]
    pub model: Overrides,
    /// all, 0..100, 0..1000/10, log:60 or 0,1,10..100/5 [default: every third step of the first tenth]
    #[arg(long, value_name = "SPEC", help_heading = "Measurement")]
    pub timesteps: Option<TimestepSpec>,
    /// Standard deviations per element of the Gaussian δ that is added to x_t, or none
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "S,…",
        default_value = "0.001,0.01,0.1,0.3",
        help_heading = "Measurement"
    )]
    pub sizes: Sizes,
    /// Steps by which the network's timestep is moved, or none
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "H,…",
        default_value = "1,2,5,10",
        help_heading = "Measurement"
    )]
    pub time_steps: Sizes,
    /// (x₀, ε, δ) triples per timestep
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Measurement")]
    pub samples: u64,
    /// Samples per network call, or auto
    #[arg(long, value_name = "N", default_value = "auto", help_heading = "Measurement")]
    pub batch: BatchSize,
    /// Norm of changes and of perturbations
    #[arg(long, value_name = "NORM", value_enum, default_value_t, help_heading = "Measurement")]
    pub norm: Norm,
    #[command(flatten)]
    pub output: OutputOptions,
}
