//! Layers over [`Dual`](crate::dual::Dual): one forward pass serves inference, training and exact derivatives.
//!
//! Each layer takes its parameters from [`Weights`] under the names of the architecture it belongs to.

mod weights;

pub use weights::Weights;
