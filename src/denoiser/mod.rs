//! A network as a denoiser: ε(x, t) under a Gaussian process, with all that samplers and Jacobians need.

mod network;
mod parts;
#[cfg(test)]
mod tests;

pub use crate::response::Denoiser;
pub use network::NetworkDenoiser;
pub use parts::{CONVERSION, INPUT, PAST, Part, RateParts};
