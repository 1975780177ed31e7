//! Forward processes that need no tensors: what is typed, axes, rates and kernels in float64.

pub mod linear_gaussian;
