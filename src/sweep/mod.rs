//! Sweeps: a plan describes models × settings × seeds and what is done with them; its steps are lipscope's own commands,
//! run side by side, each kept under a hash of what it depends on, so that nothing is computed twice.
//!
//! ```text
//! plan.toml → SweepPlan → [Step] → Results (folders) → tidy tables → TidyReport
//! ```

mod cluster;
mod collect;
mod plan;
mod results;
mod run;
mod step;
mod steps;
mod tables;
mod waves;

pub use cluster::SlurmTable;
pub use collect::{Observation, observations};
pub use plan::{Flags, Job, Model, Setting, SweepPlan};
pub use results::Results;
pub use run::{Observer, Resources, run};
pub use step::{Step, Word, command_line};
pub use steps::steps;
pub use tables::{curves_table, reading, results_table, summary_table};
pub use waves::{Group, groups};
