//! A network as a denoiser: ε(x, t) under a Gaussian process, with all that samplers and Jacobians need.

mod asked;
mod auxiliary;
mod network;
mod parts;
mod plain;
#[cfg(test)]
mod tests;

pub use crate::response::Denoiser;
pub use asked::AskedNetwork;
pub use auxiliary::AuxiliaryNetwork;
pub use network::NetworkDenoiser;
pub use parts::{CONVERSION, INPUT, PAST, Part, RateParts};
pub use plain::PlainNetwork;
