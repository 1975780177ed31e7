//! Arguments of `lipscope export`.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `lipscope export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// report.json of any command, or the folder that holds it
    #[arg(value_name = "REPORT")]
    pub report: PathBuf,
}
