//! Arguments of `lipscope reproduce`.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `lipscope reproduce`.
#[derive(Debug, Args)]
pub struct ReproduceArgs {
    /// plan.toml, or the folder that holds it
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
}
