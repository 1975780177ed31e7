//! Arguments of `lipscope export`.

use crate::report::ExportFormat;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `lipscope export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// report.json of any command, or the folder that holds it
    #[arg(value_name = "REPORT")]
    pub report: PathBuf,
    /// csv, parquet, svg, png, pdf, html, notebook: one or more
    #[arg(
        long,
        value_name = "FORMATS",
        value_enum,
        ignore_case = true,
        value_delimiter = ',',
        default_value = "csv,parquet,svg,png,pdf,html,notebook",
        help_heading = "Output"
    )]
    pub to: Vec<ExportFormat>,
    /// Folder for the files [default: beside the report]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Head of the page and of the notebook [default: the report's own]
    #[arg(long, value_name = "TEXT", help_heading = "Output")]
    pub title: Option<String>,
}
