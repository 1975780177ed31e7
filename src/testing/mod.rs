//! Comparing numbers in tests. Those under `tests/` include the same files by their paths.

mod closeness;
mod small_device;
mod tensors;
mod tests;

pub use closeness::*;
pub use small_device::SmallDevice;
