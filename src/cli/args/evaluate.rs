//! Arguments of `lipscope evaluate`.

use super::{DataOptions, ModelOptions};
use clap::Args;

/// Arguments of `lipscope evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Checkpoints, or ideal:DATA for closed forms; the first is the baseline
    #[arg(value_name = "CKPT", required = true, num_args = 1..)]
    pub checkpoints: Vec<String>,
    #[command(flatten)]
    pub data: DataOptions,
    #[command(flatten)]
    pub model: ModelOptions,
}
