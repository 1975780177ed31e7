//! Arguments of `lipscope sample`.

use super::{DataOptions, ModelOptions};
use clap::Args;

/// Arguments of `lipscope sample`.
#[derive(Debug, Args)]
pub struct SampleArgs {
    /// Checkpoint, or ideal:DATA for a closed form
    #[arg(value_name = "CKPT")]
    pub checkpoint: String,
    #[command(flatten)]
    pub data: DataOptions,
    #[command(flatten)]
    pub model: ModelOptions,
}
