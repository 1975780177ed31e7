//! Comparing numbers in tests. Those under `tests/` include the same files by their paths.

mod closeness;
mod tensors;
mod tests;

pub use closeness::*;
