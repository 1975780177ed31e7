//! A schedule together with its name.

use super::{NoiseSchedule, parse};
use crate::error::{Error, Result};
use std::str::FromStr;
use std::sync::Arc;

/// A schedule with the words that name it.
#[derive(Debug, Clone)]
pub struct NamedSchedule {
    /// As `--schedule` takes it, or a description where it came as a table.
    pub name: String,
    /// The schedule.
    pub schedule: Arc<dyn NoiseSchedule>,
}

impl FromStr for NamedSchedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(NamedSchedule { name: text.to_string(), schedule: parse(text)? })
    }
}
