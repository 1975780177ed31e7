//! The part of lipscope that needs no libtorch: the diffusion's mathematics in float64, the files on disk, the arguments as
//! they are typed, and reports with everything that is rendered from them.
//!
//! The `lipscope` crate re-exports these modules, and adds networks and the numbers measured on them.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

pub mod atomic;
pub mod cli;
pub mod control_variates;
pub mod data;
pub mod device_choice;
pub mod error;
pub mod expectation;
pub mod learning_rate;
pub mod lipschitz_mass;
pub mod options;
pub mod prediction;
pub mod python_json;
pub mod quantity;
pub mod random;
pub mod refine;
pub mod report;
pub mod schedule;
pub mod singularity;
pub mod stats;
pub mod store;
pub mod suggest;
pub mod tensor_file;
pub mod time;
pub mod timestep_map;
pub mod timesteps;
pub mod variants;
pub mod weighting;
