//! Training: the same images, noises, timesteps and first weights for every variant of one seed, so that two models
//! differ in their recipe and in nothing else.
//!
//! A training sample is a number: its row of the data, flip, timestep and noise follow from the seed and that number,
//! whatever the variant and wherever a run was interrupted.

mod bands;
mod batches;
mod job;
mod keeper;
mod log;
mod loss;
mod optimiser;
mod plan;
mod prepare;
pub mod ranks;
mod state;
mod trainer;
pub mod variant;

pub use lipscope_core::learning_rate::RateSchedule;
pub use lipscope_core::weighting::Weighting;

pub use job::Done;
pub use prepare::Job;

pub use bands::{Bands, Row};
pub use batches::{Batch, Batches, Data, MOST_ROWS};
pub use plan::{Plan, Run};
pub use trainer::Trainer;
