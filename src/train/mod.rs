//! Training: the same images, noises, timesteps and first weights for every variant of one seed, so that two models
//! differ in their recipe and in nothing else.
//!
//! A training sample is a number: its row of the data, flip, timestep and noise follow from the seed and that number,
//! whatever the variant and wherever a run was interrupted.

mod bands;
mod batches;
mod loss;
mod optimiser;
mod plan;
mod rate;
mod state;
mod trainer;
pub mod variant;
mod weighting;

pub use bands::{Bands, Row};
pub use batches::{Batch, Batches, Data};
pub use plan::{Plan, Run};
pub use rate::RateSchedule;
pub use trainer::Trainer;
pub use weighting::Weighting;
