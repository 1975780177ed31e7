//! Arguments of `lipscope suggest`.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `lipscope suggest`.
#[derive(Debug, Args)]
pub struct SuggestArgs {
    /// report.json of measure, compare or theory, or the folder that holds it
    #[arg(value_name = "REPORT")]
    pub report: PathBuf,
}
