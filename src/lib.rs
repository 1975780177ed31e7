//! Where a diffusion model's noise prediction changes infinitely fast in time, measured.
//!
//! *Lipschitz Singularities in Diffusion Models* (arXiv 2306.11251) shows that ‖∂ε_θ(x, t)/∂t‖ blows up as t → 0. This
//! library estimates that curve for trained networks and for closed-form ideal denoisers, and compares models on
//! identical x_t.
//!
//! ```text
//! argv → Args → Plan → Denoiser → Curve → Comparison → Report → [Artifact] → disk
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`schedule`], [`timestep_map`], [`prediction`], [`time`] | the diffusion's mathematics, in float64 and free of tch |
//! | [`dual`], [`nn`], [`network`] | networks whose one forward pass carries an optional tangent |
//! | [`checkpoint`], [`tensor_file`], [`data`] | what is on disk, recognised by content |
//! | [`process`] | how clean samples become states x_t |
//! | [`denoiser`], [`ideal`] | ε(x, t), learned and in closed form: all that estimators and samplers see |
//! | [`estimator`], [`draws`], [`measure`], [`refine`], [`compare`], [`lipschitz_mass`], [`singularity`], [`stats`], [`control_variates`] | from pairs (x₀, ε) to numbers with intervals |
//! | [`stability`] | how much the predicted x₀ changes under perturbations |
//! | [`suggest`] | from a measured curve to shared sub-intervals and a step grid |
//! | [`rounding`] | how much of those numbers is rounding, by dtype |
//! | [`sampler`] | samples of a model, by a number of solvers and grids |
//! | [`quality`] | how far samples are from the data |
//! | [`train`] | training, alike for every variant of one seed |
//! | [`report`] | the result, and its renderers, which never compute |
//! | [`sweep`] | plans of many trainings and measurements, and what they come to over seeds |
//! | [`cli`] | the only part that touches the terminal |
//!
//! Two programs are built: `lipscope-engine` is [`cli::main`]; `lipscope` has the arguments, help, completions and man page,
//! is linked without libtorch, and hands everything else over to the engine beside it.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

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
pub mod guidance;
pub mod ideal;
pub mod libtorch;
pub mod measure;
pub mod model;
pub mod network;
pub mod nn;
pub mod process;
pub mod quality;
pub mod rounding;
pub mod run;
pub mod sampler;
pub mod stability;
pub mod sweep;
pub mod tensor_file;
#[cfg(test)]
mod testing;
pub mod train;

pub use lipscope_core::{
    atomic, control_variates, data, expectation, lipschitz_mass, prediction, random, refine, report, schedule,
    singularity, stats, suggest, time, timestep_map, timesteps,
};
