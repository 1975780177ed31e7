//! Arguments of `lipscope reproduce`.

use super::{ExecutorOptions, FigureOptions};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `lipscope reproduce`.
#[derive(Debug, Args)]
pub struct ReproduceArgs {
    /// plan.toml, or the folder that holds it
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Steps side by side at most [default: CPU cores, or 1 on a GPU; fewer where memory is short]
    #[arg(long, value_name = "N", help_heading = "Running")]
    pub jobs: Option<usize>,
    /// Folder where finished steps are kept, for this plan and for others that share them
    /// [default: lipscope/results in the user's cache folder]
    #[arg(long, value_name = "DIR", help_heading = "Running")]
    pub results: Option<PathBuf>,
    /// Folder for report, tables and figures [default: lipscope-out/reproduce-<plan>]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub figures: FigureOptions,
    #[command(flatten)]
    pub executor: ExecutorOptions,
    /// Carry out one step of a submission, such as 3/out/submissions/ID.json
    #[arg(long, value_name = "I/FILE", hide = true)]
    pub step: Option<String>,
}
