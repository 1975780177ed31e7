//! Where a diffusion model's noise prediction changes infinitely fast in time, measured.
#![deny(missing_docs)]

pub mod checkpoint;
pub mod cli;
pub mod compare;
pub mod data;
pub mod denoiser;
pub mod device;
pub mod draws;
pub mod dual;
pub mod error;
pub mod estimator;
pub mod ideal;
pub mod measure;
pub mod network;
pub mod nn;
pub mod prediction;
pub mod random;
pub mod report;
pub mod sampler;
pub mod schedule;
pub mod stats;
pub mod tensor_file;
pub mod time;
pub mod timestep_map;
pub mod timesteps;
