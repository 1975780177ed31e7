//! The finished result: one plain, serialisable value that every renderer reads.
//!
//! Nothing here measures and nothing here imports tch; a report read back from `report.json` renders the same files.

mod artifact;
mod attribution;
mod basis;
mod chart;
mod contribution;
mod csv;
mod document;
mod drawing;
mod export;
pub mod figure;
mod files;
mod finished;
mod html;
mod jumps;
mod memorisation;
mod model;
mod notebook;
mod parquet;
mod plot;
mod reading;
mod resolution;
mod rounding;
pub mod samples;
mod suggestion;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;
mod terminal;
mod tidy;
mod tidy_files;
mod warning;

pub use artifact::{Artifact, prepare_dir, slug, write_all};
pub use attribution::{
    Attribution, NearZeroShare, PartRow, attribution_csv, attribution_figures, attribution_reading, attribution_table,
};
pub(crate) use attribution::{part_name, percent};
pub use basis::{Basis, Origin, WeightsUsed};
pub use chart::chart;
pub use contribution::Contribution;
pub use csv::{comparison_csv, curve_csv, rounding_csv};
pub use drawing::{Figure, FigureFormat};
pub use export::{ExportFormat, export};
pub use figure::figure;
pub use files::{REPORT, files, json};
pub use finished::Finished;
pub use jumps::{Calibration, Uniformization};
pub use memorisation::{Memorisation, OwnWeight, memorisation_csv};
pub use model::{LoraDescription, ModelDescription, crosses};
pub use reading::{Fact, Finding, findings, reading, reading_lines};
pub use resolution::resolution_reading;
pub use rounding::{NoRounding, Rounding, RoundingRow, rounding_reading, rounding_table};
pub use samples::{SampleFormat, SampleReport, SampleSet};
pub use suggestion::{intervals_table, suggestion_text};
pub use table::{comparison_table, curve_table};
pub use terminal::Terminal;
pub use tidy::{Cell, Chart, ChartAxis, Column, Table, TidyReport};
pub use tidy_files::{tidy_csv, tidy_files, tidy_text};
pub use warning::Warning;

use crate::of::Of;
use crate::quantity::{Method, Norm, Quantity};
use crate::refine::Resolution;
use crate::singularity::Singularity;
use crate::time::Axis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the layout of `report.json`; raised when a field changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that a command found out, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// `false` while points are missing: an interrupted run, which the same command goes on with.
    pub complete: bool,
    /// `measure`, `compare` or `theory`.
    pub command: String,
    /// Provenance of the numbers.
    pub provenance: Provenance,
    /// One entry per model; in a comparison the first is the baseline.
    pub models: Vec<ModelReport>,
    /// Paired ratios of the candidates over the baseline; empty for a single model.
    pub comparison: Vec<ComparisonRow>,
    /// How well straight lines between the timesteps stand for the curves; `None` where the timesteps were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// How much is rounding, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<Rounding>,
    /// What the numbers come to: facts with their sentences; empty until the curves are complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reading: Vec<Finding>,
    /// What a reader must know before trusting the numbers, with what to do about it.
    pub warnings: Vec<Warning>,
}

impl Report {
    /// Whether its models are compared on identical x_t.
    pub fn compares(&self) -> bool {
        self.models.len() > 1 && self.command != "theory"
    }
}

/// Provenance of the numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Provenance {
    /// The resolved plan: every setting that the numbers depend on, defaults filled in.
    pub plan: serde_json::Value,
    /// Versions of lipscope and libtorch.
    pub versions: BTreeMap<String, String>,
    /// Device of the network, such as `cpu` or `cuda:0`.
    pub device: String,
    /// CPU threads.
    pub threads: usize,
    /// When the run began, RFC 3339, UTC.
    pub began: String,
    /// Wall time so far in seconds, over all resumed parts.
    pub wall_seconds: f64,
    /// Who measured what; empty where it was one process alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Contribution>,
}

/// One model: what it is, its curves, and what they come to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelReport {
    /// Name in tables and figures.
    pub label: String,
    /// What was measured.
    pub model: ModelDescription,
    /// One curve per quantity.
    pub curves: Vec<Curve>,
    /// What it cost so far.
    pub spent: Spent,
    /// Of the ideal denoiser of a finite data set: how far it knows which point x_t came from, by timestep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_weights: Vec<OwnWeight>,
    /// Summary of the curves, one entry per quantity; empty until the curve is complete.
    pub summary: Vec<Summary>,
    /// ∂ε/∂t told apart, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Attribution>,
}

/// Cost of measuring one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Evaluations of the network on one x.
    pub function_evaluations: u64,
    /// Seconds.
    pub wall_seconds: f64,
}

/// One quantity of one model over timesteps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Curve {
    /// What it shows.
    pub quantity: Quantity,
    /// Of what; ε where nothing is said.
    #[serde(default, skip_serializing_if = "Of::is_epsilon")]
    pub of: Of,
    /// The part of the output whose norm it is, such as `v`; `None` where that is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// How it was estimated.
    pub estimator: Method,
    /// Norm of the numerator.
    pub norm: Norm,
    /// Axis of the denominator.
    pub axis: Axis,
    /// Unit of every value, such as `1/step`.
    pub unit: String,
    /// Distance t′ − t in steps; `None` for a derivative.
    pub dt: Option<f64>,
    /// Points by ascending timestep.
    pub points: Vec<Point>,
}

impl Curve {
    /// Whether it shows a total rate itself.
    pub fn is_size_of_rate(&self) -> bool {
        (self.of, self.quantity) == (Of::Rate, Quantity::Size)
    }
}

/// One quantity at one timestep. A number that does not exist is `None`, never 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// t in steps.
    pub timestep: f64,
    /// t′ in steps; `None` for a derivative.
    pub t_next: Option<f64>,
    /// α at t; `None` where the process is not Gaussian, as for the next two.
    pub alpha: Option<f64>,
    /// σ at t.
    pub sigma: Option<f64>,
    /// ln(α²/σ²) at t; `None` also where it is infinite.
    pub log_snr: Option<f64>,
    /// Samples that the numbers rest on; 0 for a closed form.
    pub samples: u64,
    /// Expectation over x_t.
    pub mean: Option<f64>,
    /// Standard error of the mean.
    pub std_error: Option<f64>,
    /// Lower end of the 95 % interval of the mean.
    pub ci_low: Option<f64>,
    /// Upper end of the 95 % interval of the mean.
    pub ci_high: Option<f64>,
    /// 5 % quantile over samples.
    pub p05: Option<f64>,
    /// Median over samples.
    pub p50: Option<f64>,
    /// 95 % quantile over samples.
    pub p95: Option<f64>,
    /// Largest sample: a lower bound of the supremum over x; of a closed form over all states the supremum itself.
    pub max: Option<f64>,
    /// Of the size of a total rate under masking, which is fixed in every state: by which part it is off in the worst sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_in_state: Option<f64>,
    /// Of the size of a total rate: the 99.9 % quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p999: Option<f64>,
    /// The row of the data with the largest; `None` where samples are not means of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_row: Option<u64>,
    /// Skewness of the values that the mean is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skewness: Option<f64>,
    /// Of a size: the expectation of its square.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_square: Option<MeanSquare>,
    /// Samples left out because they were NaN or infinite.
    pub non_finite: u64,
    /// Samples for which an iteration did not settle: their numbers are lower bounds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unconverged: u64,
}

/// E‖f‖² at one timestep, of the L2 norm whatever the curve's is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanSquare {
    /// Expectation over x_t.
    pub mean: f64,
    /// Standard error of the mean.
    pub std_error: Option<f64>,
    /// Lower end of its 95 % interval.
    pub ci_low: Option<f64>,
    /// Upper end of its 95 % interval.
    pub ci_high: Option<f64>,
    /// The mean over the elements of f.
    pub per_element: f64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Baseline and candidate at one timestep, on identical x_t.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// Label of the candidate.
    pub model: String,
    /// t in steps.
    pub timestep: f64,
    /// t′ in steps; `None` for a derivative.
    pub t_next: Option<f64>,
    /// What was measured.
    pub quantity: Quantity,
    /// Of what; ε where nothing is said.
    #[serde(default, skip_serializing_if = "Of::is_epsilon")]
    pub of: Of,
    /// The part of the output; `None` where that is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// Mean of the baseline.
    pub baseline: Option<f64>,
    /// Mean of the candidate.
    pub candidate: Option<f64>,
    /// Candidate over baseline, by pairs and less the bias that a ratio of two means has; `None` over a baseline of 0.
    pub ratio: Option<f64>,
    /// Lower end of its 95 % interval, by pairs.
    pub ratio_ci_low: Option<f64>,
    /// Upper end of its 95 % interval, by pairs.
    pub ratio_ci_high: Option<f64>,
}

/// What one curve comes to. The window near zero is the same for all models of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What was measured.
    pub quantity: Quantity,
    /// Of what; ε where nothing is said.
    #[serde(default, skip_serializing_if = "Of::is_epsilon")]
    pub of: Of,
    /// The part of the output; `None` where that is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// The window [from, until) near t = 0.
    pub near_zero: NearZero,
    /// Timesteps from `until` on.
    pub rest: Rest,
    /// Σ K·Δt over all timesteps, where they were measured to the last; steps between are interpolated linearly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_variation_all: Option<f64>,
    /// What is left of the data at the last timesteps; of the size of the excess only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Terminal>,
    /// Of the ideal denoiser of a finite data set: where its curve is that of known points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memorisation: Option<Memorisation>,
    /// Of the size of a total rate: the steps of a uniformization sampler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uniformization: Option<Uniformization>,
    /// Of the size of a total rate: its mean against what the forward process fixes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Largest value near zero over the median of the rest; `None` over a median of 0.
    pub peak_ratio: Option<f64>,
    /// Whether the curve blows up towards t = 0; `None` where that cannot be told: too few points above 0 there.
    #[serde(default)]
    pub singularity: Option<Singularity>,
    /// Evaluations of the network on one x.
    pub function_evaluations: u64,
    /// Seconds spent on this model.
    pub wall_seconds: f64,
}

/// The curve near t = 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NearZero {
    /// First timestep of the window.
    pub from: f64,
    /// End of the window, excluded.
    pub until: f64,
    /// Mean over the window's measured timesteps.
    pub mean: Option<f64>,
    /// Largest measured value.
    pub max: Option<f64>,
    /// Timestep of the largest value.
    pub argmax: Option<f64>,
    /// Σ K·Δt over the window, jumps included.
    pub total_variation: Option<f64>,
    /// Whether every step was measured; otherwise `total_variation` interpolates linearly between points.
    pub total_variation_exact: bool,
    /// First timesteps of shared sub-intervals whose jump lies between measured timesteps: the largest value may miss them, and
    /// what the window comes to in all is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmeasured_jumps: Vec<f64>,
}

/// The curve away from t = 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rest {
    /// Mean over the measured timesteps.
    pub mean: Option<f64>,
    /// Largest measured value.
    pub max: Option<f64>,
}

/// Reports from before this was told apart say what holds where it is so.
fn said_before() -> bool {
    true
}
