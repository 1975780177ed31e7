//! What lies in the folder of a run, told without reading its numbers.

use super::claim::{PLAN, earlier, fingerprint};
use super::{Expected, Maker, expected, maker, part};
use crate::error::Result;
use crate::report::Contribution;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The plan of a folder, which units it consists of as far as is known, and which of them are finished.
#[derive(Debug)]
pub struct Survey {
    /// What is asked.
    pub plan: Value,
    /// Kind and key of every finished unit, and who did it where its part says so.
    pub units: BTreeMap<(String, String), Option<Maker>>,
    /// The units that there are to be; more may follow from these.
    pub expected: Vec<Expected>,
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
        let hash = fingerprint(&plan);
        let (units, expected) = (part::list(folder, &hash), expected::lists(folder, &hash));
        Ok(Some(Survey { plan, units, expected }))
    }

    /// Keys of the finished units of one kind.
    pub fn keys(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.units.keys().filter(move |(own, _)| own == kind).map(|(_, key)| key.as_str())
    }

    /// Whether this unit is finished.
    pub fn has(&self, kind: &str, key: &str) -> bool {
        self.units.contains_key(&(kind.to_string(), key.to_string()))
    }

    /// Kind, key and place in its list of every unit that is not finished.
    pub fn missing(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        let pairs = self.expected.iter().flat_map(|list| {
            list.keys.iter().map(String::as_str).enumerate().map(move |(place, key)| (list, key, place))
        });
        pairs
            .filter(|(list, key, _)| !self.has(&list.kind, key))
            .map(|(list, key, place)| (list.kind.as_str(), key, place))
    }

    /// Which of `of` shards have units that are not finished.
    pub fn missing_shards(&self, of: usize) -> Vec<usize> {
        let mut shards: Vec<usize> = self.missing().map(|(_, _, place)| place % of.max(1)).collect();
        shards.sort_unstable();
        shards.dedup();
        shards
    }

    /// How many shards there are, and which of them have units that are not finished; `None` where those who did units were
    /// not told apart in the same way.
    pub fn shards_that_lack(&self) -> Option<(usize, Vec<usize>)> {
        let mut counts: Vec<usize> = self.units.values().flatten().filter_map(|maker| Some(maker.shard?.of)).collect();
        counts.sort_unstable();
        counts.dedup();
        let [of] = counts[..] else { return None };
        Some((of, self.missing_shards(of))).filter(|(_, shards)| !shards.is_empty())
    }

    /// Who did how many of the units.
    pub fn contributions(&self) -> Vec<Contribution> {
        maker::contributions(self.units.values().flatten())
    }
}
