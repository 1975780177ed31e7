//! Where a diffusion model's noise prediction changes infinitely fast in time, measured.
//!
//! *Lipschitz Singularities in Diffusion Models* (arXiv 2306.11251) shows that ‖∂ε_θ(x, t)/∂t‖ blows up as t → 0. This
//! library estimates that curve for trained networks and for closed-form ideal denoisers, and compares models on
//! identical x_t.
//!
//! ```
//! use lipscope::prelude::*;
//!
//! # fn main() -> Result<()> {
//! // K(t, t + 1) of the ideal denoiser of N(0, 1/4) under DDPM's linear schedule, in closed form.
//! let options = MeasureOptions {
//!     data: DataOptions { source: Some("gaussian:mean=0,std=0.5,dim=1".parse()?), ..DataOptions::default() },
//!     timesteps: "0,100".parse()?,
//!     ..MeasureOptions::default()
//! };
//! let overrides = Overrides { schedule: Some("linear".parse()?), ..Overrides::default() };
//! let report = Measurement::of_ideal(None, &options, &overrides, &Setup::default())?.run(None, &())?;
//! let means: Vec<f64> = report.models[0].curves[0].points.iter().filter_map(|point| point.mean).collect();
//! assert!((3.6..3.8).contains(&(means[0] / means[1])), "it is 3.7 times as large near 0: {means:?}");
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! argv → Args (typed) → Plan (resolved, checked) → Model → units (raw numbers, on disk) → Report → [Artifact] → disk
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`model`], [`run`], [`evaluate`], [`stability`], [`train`] | the front doors: from a file to a model, from options to a plan, from a plan and its finished units to a report |
//! | [`schedule`], [`process`], [`timestep_map`], [`prediction`], [`time`] | the diffusion's mathematics |
//! | [`dual`], [`nn`], [`network`] | networks whose one forward pass carries an optional tangent |
//! | [`checkpoint`], [`tensor_file`], [`data`], [`clean_data`] | what is on disk, recognised by content |
//! | [`state`], [`response`] | drawn states with their conditions, and f(x, t) with its change and rate: all that estimators see |
//! | [`jumps`] | rates and laws of reverse jumps between symbols, of networks |
//! | [`denoiser`], [`ideal`] | ε(x, t), learned and in closed form: what samplers and Jacobians see |
//! | [`estimator`], [`draws`], [`measure`], [`refine`], [`compare`], [`lipschitz_mass`], [`singularity`], [`stats`], [`control_variates`], [`ratio`] | from pairs (x₀, ε) to numbers with intervals |
//! | [`suggest`] | from a measured curve to shared sub-intervals and a step grid |
//! | [`attribution`] | where in the network ∂ε/∂t is made |
//! | [`rounding`] | how much of those numbers is rounding, by dtype |
//! | [`sampler`], [`quality`] | samples of a model, and how far they are from the data |
//! | [`report`] | the result, and its renderers, which never compute |
//! | [`sweep`] | plans of many trainings and measurements, and what they come to over seeds |
//! | [`cli`] | the only part that touches the terminal |
//!
//! What needs no libtorch lies in the crate `lipscope-core` and is re-exported here.
//!
//! Two programs are built: `lipscope-engine` is [`cli::main`]; `lipscope` uses `lipscope-core` alone, renders reports, and
//! hands everything that computes over to the engine beside it.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

pub mod attribution;
pub mod checkpoint;
pub mod clean_data;
pub mod cli;
pub mod compare;
pub mod denoiser;
pub mod device;
pub mod draws;
pub mod dual;
pub mod error;
pub mod estimator;
pub mod evaluate;
pub mod executor;
pub mod guidance;
pub mod hub;
pub mod ideal;
pub mod input;
pub mod jumps;
pub mod libtorch;
pub mod lora;
pub mod measure;
pub mod model;
pub mod network;
pub mod nn;
pub mod of;
pub mod process;
pub mod quality;
pub mod response;
pub mod rounding;
pub mod run;
pub mod sampler;
pub mod stability;
pub mod state;
pub mod sweep;
pub mod tensor_file;
#[cfg(test)]
mod testing;
pub mod train;
mod yaml;

pub use lipscope_core::{
    atomic, control_variates, data, expectation, lipschitz_mass, preconditioning, prediction, random, ratio, refine,
    report, schedule, singularity, stats, suggest, terminal, time, timestep_map, timesteps,
};

/// What most programs need.
pub mod prelude {
    pub use crate::clean_data::CleanData;
    pub use crate::error::{Error, Result};
    pub use crate::evaluate::Evaluation;
    pub use crate::model::Model;
    pub use crate::prediction::Prediction;
    pub use crate::report::{FigureFormat, Report, comparison_table, curve_table, files, reading};
    pub use crate::run::{Folder, Measurement, Setup, Store, Watch};
    pub use crate::schedule::NamedSchedule;
    pub use crate::train::Job;
    pub use lipscope_core::cli::args::TrainArgs;
    pub use lipscope_core::of::Of;
    pub use lipscope_core::options::{DataOptions, MeasureOptions, Overrides};
    pub use lipscope_core::quantity::{Norm, Quantities, Quantity};
}
