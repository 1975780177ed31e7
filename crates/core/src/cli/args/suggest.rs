//! Arguments of `lipscope suggest`.

use crate::suggest::SPLITS;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use std::path::PathBuf;

/// Arguments of `lipscope suggest`.
#[derive(Debug, Args)]
pub struct SuggestArgs {
    /// report.json of measure, compare or theory, or the folder that holds it
    #[arg(value_name = "REPORT")]
    pub report: PathBuf,
    /// Label of the model whose curve is used [default: the report's first]
    #[arg(long, value_name = "LABEL", help_heading = "Curve")]
    pub model: Option<String>,
    /// Where sharing ends [default: where K has fallen to --level times its median]
    #[arg(long, value_name = "T", help_heading = "Sub-intervals")]
    pub until: Option<u64>,
    /// Share as long as K is above so many times its median over all steps
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "FACTOR",
        default_value_t = 5.0,
        help_heading = "Sub-intervals"
    )]
    pub level: f64,
    #[arg(
        long,
        value_name = "SPLIT",
        default_value = "mass",
        value_parser = PossibleValuesParser::new(SPLITS.iter().map(|split| PossibleValue::new(split.name).help(split.about))),
        help = "What is alike in all sub-intervals",
        help_heading = "Sub-intervals"
    )]
    pub split: String,
    /// How many sub-intervals [default: 5, or as few as the bounds below allow]
    #[arg(long, value_name = "N", conflicts_with_all = ["max_error", "max_jump"], help_heading = "Sub-intervals")]
    pub intervals: Option<usize>,
    /// As few sub-intervals as keep every sharing error below this; 1 is the size of the noise
    #[arg(long, allow_negative_numbers = true, value_name = "E", help_heading = "Sub-intervals")]
    pub max_error: Option<f64>,
    /// As few sub-intervals as keep every jump below this; 1 is the size of the noise
    #[arg(long, allow_negative_numbers = true, value_name = "E", help_heading = "Sub-intervals")]
    pub max_jump: Option<f64>,
    /// Also a sampler's step grid of so many timesteps, with equal Lipschitz mass between neighbours
    #[arg(long, value_name = "N", help_heading = "Step grid")]
    pub steps: Option<usize>,
    /// Folder for the files [default: lipscope-out/suggest-<model>]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
}
