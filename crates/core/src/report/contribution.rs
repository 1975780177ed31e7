//! Who measured which part of a report.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The processes of one machine that computed alike, and how many units are theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// Name of the machine.
    pub host: String,
    /// `cpu`, `cuda:0`, …
    pub device: String,
    /// What the device is, such as the model of the CPU or GPU.
    pub hardware: String,
    /// CPU threads of each process.
    pub threads: usize,
    /// Version of libtorch.
    pub libtorch: String,
    /// How many processes.
    pub processes: usize,
    /// Units that are theirs.
    pub units: usize,
    /// Jobs of a scheduler that they belong to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
}

impl fmt::Display for Contribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = if self.units == 1 { "1 unit".into() } else { format!("{} units", self.units) };
        write!(f, "{units} on {}, {} ({}), libtorch {}", self.host, self.device, self.hardware, self.libtorch)
    }
}
