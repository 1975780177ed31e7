//! Where a diffusion model's noise prediction changes infinitely fast in time, measured.
#![deny(missing_docs)]

pub mod device;
pub mod dual;
pub mod error;
pub mod network;
pub mod nn;
pub mod report;
