//! What lies in the folder of a run, told without reading its numbers.

use super::claim::{PLAN, earlier, fingerprint};
use super::part;
use crate::error::Result;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The plan of a folder, and which of its units are finished.
#[derive(Debug)]
pub struct Survey {
    /// What is asked.
    pub plan: Value,
    /// Kind and key of every finished unit.
    pub units: BTreeSet<(String, String)>,
}

impl Survey {
    /// Surveys a folder; `None` where no plan lies in it.
    ///
    /// # Errors
    /// Its plan.json cannot be read.
    pub fn of(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(PLAN);
        if !path.is_file() {
            return Ok(None);
        }
        let plan = earlier(folder, &path)?;
        let units = part::list(folder, &fingerprint(&plan));
        Ok(Some(Survey { plan, units }))
    }

    /// Keys of the finished units of one kind.
    pub fn keys(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.units.iter().filter(move |(own, _)| own == kind).map(|(_, key)| key.as_str())
    }
}
