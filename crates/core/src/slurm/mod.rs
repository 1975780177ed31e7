//! Slurm, as far as lipscope relies on it: `sbatch --parsable` starts tasks, one `squeue` for all of them is a hint of life,
//! `scancel` ends them. What they did is told by files alone: nothing here decides whether a unit is finished.
//!
//! ```text
//! Words (as typed) → Request → sbatch → Submission (OUT/submissions/*.json) → Queue (squeue) → logs
//! ```

mod array;
mod client;
mod limit;
mod log;
mod queue;
mod request;
mod submission;
mod words;

pub use array::{pieces, shown};
pub use client::{Client, paced};
pub use log::telling_line;
pub use queue::{Answer, State, Task, is_final, parse_queue};
pub use request::{Payload, Request, SCRIPT};
pub use submission::{FOLDER, Job, LOGS, Submission};
pub use words::Words;

/// Indices of an array below this are taken everywhere: Slurm's own default of `MaxArraySize`.
pub const USUAL_ARRAY_SIZE: usize = 1001;
