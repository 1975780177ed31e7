//! Arguments of `lipscope stability`.

use super::{DataOptions, ModelOptions};
use clap::Args;

/// Arguments of `lipscope stability`.
#[derive(Debug, Args)]
pub struct StabilityArgs {
    /// Checkpoints, or ideal:DATA for closed forms; the first is the baseline
    #[arg(value_name = "CKPT", required = true, num_args = 1..)]
    pub checkpoints: Vec<String>,
    #[command(flatten)]
    pub data: DataOptions,
    #[command(flatten)]
    pub model: ModelOptions,
}
