//! Samplers: from noise to samples by a chosen number of function evaluations.

mod ddim;

pub use ddim::ddim;
