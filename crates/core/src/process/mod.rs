//! Forward processes that are no Gaussian noise, in float64 and free of tch: their parameters, rates and axes.

pub mod jump;
