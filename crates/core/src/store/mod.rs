//! The folder of a run: its plan, its finished units of work with their raw numbers, and what was rendered from them.
//!
//! ```text
//! OUT/plan.json                 what is asked; written once, by whoever comes first
//! OUT/command.json              the command as it was typed
//! OUT/units/*.json              which units there are to be, as far as is known
//! OUT/parts/*.safetensors       finished units, in files that are never changed and whose names are never used twice
//! OUT/report.json, *.csv, …     a function of plan and units, written again whenever there are more
//! ```
//!
//! A unit is a piece of work that does not depend on who does it: what shares batches in an undisturbed run. Whoever runs
//! the same plan takes the units that are there and does those that are missing, so that going on after an interrupt,
//! repeating a run, and putting together the parts of several processes are one and the same.

mod claim;
mod command;
mod duplicate;
mod expected;
mod files;
mod maker;
mod missing;
mod part;
mod shard;
mod survey;
mod unit;

pub use claim::{Folder, PLAN, take};
pub use command::{Invocation, without};
pub use duplicate::TIMED_ROWS;
pub use expected::Expected;
pub use maker::Maker;
pub use missing::name as unit_names;
pub use shard::Shard;
pub use survey::Survey;
pub use unit::{Unit, array, array_f32};

use crate::error::{Error, Result};
use crate::report::{Artifact, Contribution, Warning, write_all};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Units stay in memory at most this long at the beginning of a run, and later a part of its age, so that a long run has
/// hundreds of parts and not thousands.
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);
const SHARE_OF_AGE: u32 = 20;

/// Which units are done here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Work {
    /// All that are missing.
    #[default]
    All,
    /// A part of them, where others do the rest.
    Part(Shard),
    /// None: what is missing is an error.
    Nothing,
}

/// A folder that belongs to one plan.
pub struct Store {
    folder: PathBuf,
    /// Fingerprint of the plan.
    plan: String,
    done: HashMap<(String, String), Unit>,
    /// Units that are in no part yet.
    fresh: Vec<Unit>,
    /// Parts that could not be read, with the reason.
    damaged: Vec<String>,
    /// Units that were done twice, and not quite the same.
    differing: Vec<part::Differing>,
    work: Work,
    /// Who this is.
    maker: Option<Arc<Maker>>,
    /// The place of every unit that is expected, in its list.
    places: HashMap<(String, String), usize>,
    /// Kind and key of the units that are not done here and are not there yet.
    left: Vec<(String, String)>,
    began: Instant,
    written: Instant,
}

impl Store {
    /// The store of `plan` in `folder`, with the units that are there.
    ///
    /// # Errors
    /// The folder belongs to another plan, which is told by the key that differs; it holds parts of another plan or version,
    /// or a unit twice with other numbers; or it cannot be written to.
    pub fn open(folder: &Folder, plan: &Value) -> Result<Self> {
        let folder = folder.claim(plan)?;
        let plan = claim::fingerprint(plan);
        let part::Found { units: done, damaged, differing } = part::read_all(&folder, &plan)?;
        let (began, written) = (Instant::now(), Instant::now());
        let (fresh, places, left, work, maker) = (Vec::new(), HashMap::new(), Vec::new(), Work::All, None);
        Ok(Store { folder, plan, done, fresh, damaged, differing, work, maker, places, left, began, written })
    }

    /// The same where only a part of the units is done.
    #[must_use]
    pub fn sharded(self, shard: Option<Shard>) -> Self {
        Store { work: shard.map_or(self.work, Work::Part), ..self }
    }

    /// The same where no unit is done: those that are missing are an error at [`Store::end_of_shard`].
    #[must_use]
    pub fn only_merging(self) -> Self {
        Store { work: Work::Nothing, ..self }
    }

    /// The same with who does its units.
    #[must_use]
    pub fn made_by(self, maker: Maker) -> Self {
        Store { maker: Some(Arc::new(maker)), ..self }
    }

    /// The part of the units that is done here; `None` for all, or none.
    pub fn shard(&self) -> Option<Shard> {
        match self.work {
            Work::Part(shard) => Some(shard),
            Work::All | Work::Nothing => None,
        }
    }

    /// Whether no unit is done here.
    pub fn only_merges(&self) -> bool {
        self.work == Work::Nothing
    }

    /// Writes down which units there are to be of one kind, in the order in which they are shared out.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn expect(&mut self, kind: &str, keys: Vec<String>) -> Result<()> {
        expected::announce(&self.folder, &self.plan, kind, &keys)?;
        let places = keys.into_iter().enumerate().map(|(place, key)| ((kind.to_string(), key), place));
        self.places.extend(places);
        Ok(())
    }

    /// Whether this unit, one of those that [`Store::expect`] has named, is left to others: it is not there yet, and its
    /// place in the list makes it another shard's.
    pub fn leaves(&mut self, kind: &str, key: &str) -> bool {
        let unit = (kind.to_string(), key.to_string());
        let is_mine = match self.work {
            Work::All => true,
            Work::Part(shard) => self.places.get(&unit).is_none_or(|place| shard.takes(*place)),
            Work::Nothing => false,
        };
        let left = !is_mine && !self.done.contains_key(&unit);
        if left {
            self.left.push(unit);
        }
        left
    }

    /// Whether units that are not done here are not there yet.
    pub fn is_waiting(&self) -> bool {
        !self.left.is_empty()
    }

    /// Ends the work of a shard, before anything that follows from all units: puts its units on disk. `grows` says that
    /// there may be more units once these are all there.
    ///
    /// # Errors
    /// [`Error::Part`] for a shard: there is no report yet. Where no unit is done here, the names of those that are missing.
    pub fn end_of_shard(&mut self, grows: bool) -> Result<()> {
        let shard = match self.work {
            Work::All => return Ok(()),
            Work::Part(shard) => shard,
            Work::Nothing if self.is_waiting() => {
                let survey = Survey::of(&self.folder)?;
                return Err(missing::refused(&self.folder, &self.left, survey.as_ref()));
            }
            Work::Nothing => return Ok(()),
        };
        self.keep()?;
        let again = if grows { "start them again for the units that follow from these; then " } else { "" };
        let rest = match self.left.len() {
            0 => "no other unit is missing".into(),
            1 => "1 unit of other shards was missing when it began".into(),
            left => format!("{left} units of other shards were missing when it began"),
        };
        let folder = self.folder.display();
        let message = format!(
            "shard {shard} is done, and {rest}. Once all are done, {again}the same command without --shard puts them together in {folder}."
        );
        Err(Error::Part { message })
    }

    /// Who did how many of the units; empty where it was one process alone.
    pub fn contributions(&self) -> Vec<Contribution> {
        let found = maker::contributions(self.done.values().filter_map(|unit| unit.maker.as_deref()));
        let processes: usize = found.iter().map(|own| own.processes).sum();
        if processes > 1 { found } else { Vec::new() }
    }

    /// What a reader must know of how the units came together.
    pub fn warnings(&self) -> Vec<Warning> {
        let differing = self.differing.first().map(|first| Warning::UnitsDiffer {
            unit: missing::name(&first.unit.0, &[&first.unit.1]),
            count: self.differing.len(),
            worst: self.differing.iter().map(|one| one.by).fold(0.0, f64::max),
            makers: first.makers.iter().flatten().map(|maker| format!("{} ({})", maker.host, maker.hardware)).collect(),
        });
        maker::mixed(&self.contributions()).into_iter().chain(differing).collect()
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Parts that could not be read, with the reason; what they held counts as missing.
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// A finished unit.
    pub fn get(&self, kind: &str, key: &str) -> Option<&Unit> {
        self.done.get(&(kind.to_string(), key.to_string()))
    }

    /// Takes a unit that is finished. It is on disk after a while; see [`Store::keep`].
    pub fn add(&mut self, unit: Unit) {
        let unit = Unit { maker: self.maker.clone(), ..unit };
        self.done.insert((unit.kind.clone(), unit.key.clone()), unit.clone());
        self.fresh.push(unit);
    }

    /// Whether it is time to write units, and reports that follow from them.
    pub fn is_due(&self) -> bool {
        let wait = (self.began.elapsed() / SHARE_OF_AGE).clamp(SHORTEST, LONGEST);
        self.written.elapsed() > wait
    }

    /// Puts all units on disk.
    pub fn keep(&mut self) -> Result<()> {
        self.written = Instant::now();
        if self.fresh.is_empty() {
            return Ok(());
        }
        part::write(&self.folder, &self.plan, self.maker.as_deref(), &self.fresh)?;
        self.fresh.clear();
        Ok(())
    }

    /// Puts all units on disk, and then what was rendered from them; of a shard the units alone.
    pub fn publish(&mut self, artifacts: &[Artifact]) -> Result<()> {
        self.keep()?;
        // Shards would write one report over the other.
        if self.shard().is_some() { Ok(()) } else { write_all(&self.folder, artifacts).map(|_| ()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    fn unit(key: &str, numbers: &[f64]) -> Unit {
        Unit::new("points", key, json!({"seconds": 0.5})).with("norms", array(&[numbers.len()], numbers).unwrap())
    }

    fn plan() -> Value {
        json!({"command": "measure", "models": [{"source": "a.pt", "sha256": "12", "label": "a"}], "seed": 1})
    }

    fn open(folder: &Path, plan: &Value) -> Result<Store> {
        Store::open(&Folder::Named(folder.into()), plan)
    }

    #[test]
    fn units_come_back_bit_for_bit() {
        let dir = tempfile::tempdir().unwrap();
        let numbers = [1.0, -0.0, f64::NAN, f64::INFINITY, 1e-300, 0.1 + 0.2];
        let mut store = open(dir.path(), &plan()).unwrap();
        store.add(unit("0 1", &numbers));
        store.keep().unwrap();
        store.add(unit("2", &[]));
        store.keep().unwrap();
        let again = open(dir.path(), &plan()).unwrap();
        let bits = |numbers: &[f64]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<u64>>();
        assert_eq!(bits(&again.get("points", "0 1").unwrap().numbers("norms").unwrap()), bits(&numbers));
        assert!(again.get("points", "2").unwrap().numbers("norms").unwrap().is_empty());
        assert_eq!(again.get("points", "2").unwrap().about["seconds"], 0.5);
        assert!(again.get("points", "3").is_none() && again.damaged().is_empty());
    }

    #[test]
    fn a_survey_names_the_units_of_all_parts_of_the_plan() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Survey::of(dir.path()).unwrap().is_none());
        for keys in [&["0", "1"][..], &["1", "2"]] {
            let mut store = open(dir.path(), &plan()).unwrap();
            keys.iter().for_each(|key| store.add(unit(key, &[1.0])));
            store.keep().unwrap();
        }
        let survey = Survey::of(dir.path()).unwrap().unwrap();
        assert_eq!(survey.plan, plan());
        assert_eq!(survey.keys("points").collect::<Vec<_>>(), ["0", "1", "2"]);
        assert_eq!(survey.keys("cells").count(), 0);
        let mut other = plan();
        other["seed"] = json!(2);
        fs::write(dir.path().join(PLAN), json!({ "plan": other }).to_string()).unwrap();
        assert!(Survey::of(dir.path()).unwrap().unwrap().units.is_empty(), "parts of another plan do not count");
    }

    #[test]
    fn what_is_not_kept_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path(), &plan()).unwrap();
        store.add(unit("0", &[1.0]));
        assert!(store.get("points", "0").is_some());
        assert!(open(dir.path(), &plan()).unwrap().get("points", "0").is_none());
    }

    #[test]
    fn parts_of_two_folders_are_put_together_by_copying() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (dir, key) in [(&a, "0"), (&b, "1")] {
            let mut store = open(dir.path(), &plan()).unwrap();
            store.add(unit(key, &[2.0]));
            store.keep().unwrap();
        }
        for entry in fs::read_dir(b.path().join("parts")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), a.path().join("parts").join(entry.file_name())).unwrap();
        }
        let both = open(a.path(), &plan()).unwrap();
        assert!(both.get("points", "0").is_some() && both.get("points", "1").is_some());
    }

    #[test]
    fn another_plan_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), &plan()).unwrap();
        let mut moved = plan();
        moved["models"][0]["source"] = json!("elsewhere/a.pt");
        assert!(open(dir.path(), &moved).is_ok(), "the weights are the same, whatever their path");
        let mut other = plan();
        other["seed"] = json!(2);
        let error = open(dir.path(), &other).err().unwrap();
        assert!(matches!(error, Error::File { .. }) && error.to_string().contains("`seed`"), "{error}");
    }

    #[test]
    fn default_folders_of_different_plans_never_collide() {
        let dir = tempfile::tempdir().unwrap();
        let base = Folder::Default(dir.path().join("measure-model"));
        let mut plans = [plan(), plan(), plan()];
        plans[1]["seed"] = json!(2);
        plans[2]["models"][0]["sha256"] = json!("34");
        let folder = |plan: &Value| Store::open(&base, plan).unwrap().folder().to_path_buf();
        let folders: Vec<PathBuf> = plans.iter().map(folder).collect();
        let names = ["measure-model", "measure-model-2", "measure-model-3"];
        assert_eq!(folders, names.map(|name| dir.path().join(name)));
        assert_eq!(plans.iter().map(folder).collect::<Vec<_>>(), folders, "each finds its own again");
    }

    #[test]
    fn a_damaged_part_counts_as_missing_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path(), &plan()).unwrap();
        store.add(unit("0", &[1.0, 2.0, 3.0]));
        store.keep().unwrap();
        let part = fs::read_dir(dir.path().join("parts")).unwrap().next().unwrap().unwrap().path();
        let whole = fs::read(&part).unwrap();
        let last = whole.len() - 1;
        let flipped = [&whole[..last], &[whole[last] ^ 1]].concat();
        for damaged in [&whole[..whole.len() / 2], &whole[..last], &flipped[..], &b"nothing"[..], &[]] {
            fs::write(&part, damaged).unwrap();
            let store = open(dir.path(), &plan()).unwrap();
            assert!(store.get("points", "0").is_none());
            assert!(store.damaged().len() == 1 && store.damaged()[0].contains(".safetensors"), "{:?}", store.damaged());
        }
    }

    #[test]
    fn parts_of_another_plan_are_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path(), &plan()).unwrap();
        store.add(unit("0", &[1.0]));
        store.keep().unwrap();
        fs::remove_file(dir.path().join("plan.json")).unwrap();
        let mut other = plan();
        other["seed"] = json!(2);
        let error = open(dir.path(), &other).err().unwrap().to_string();
        assert!(error.contains("another plan"), "{error}");
    }

    /// Two processes that did the same unit, with numbers that differ by this much of their size.
    fn twice(by: f64) -> (tempfile::TempDir, Result<Store>) {
        let dir = tempfile::tempdir().unwrap();
        for (host, number) in [("a", 3.0), ("b", 3.0 * (1.0 + by))] {
            let maker = Maker { host: host.into(), process: host.into(), hardware: "X".into(), ..Maker::default() };
            let mut store = open(dir.path(), &plan()).map(|store| store.made_by(maker)).unwrap();
            store.done.clear();
            store.add(unit("0", &[1.0, number]));
            store.keep().unwrap();
        }
        let store = open(dir.path(), &plan());
        (dir, store)
    }

    #[test]
    fn a_unit_that_was_done_twice_counts_once_and_must_be_the_same() {
        let (_dir, same) = twice(0.0);
        assert!(same.unwrap().warnings().is_empty());
        let (_dir, rounded) = twice(1e-6);
        let rounded = rounded.unwrap();
        let said = rounded.warnings().iter().map(Warning::to_string).collect::<String>();
        assert!(said.contains("t = 0 was measured twice by") && said.contains("1.0e-6"), "{said}");
        let units: usize = rounded.contributions().iter().map(|own| own.units).sum();
        assert!(units <= 1, "{:?}", rounded.contributions());
        let (_dir, other) = twice(1e-2);
        let error = other.err().unwrap().to_string();
        assert!(error.contains("its numbers of t = 0 are not those of") && error.contains(".safetensors"), "{error}");
    }

    #[test]
    fn what_is_expected_and_not_done_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path(), &plan()).unwrap().sharded(Some("1/2".parse().unwrap()));
        let keys = ["0", "1", "2", "3"];
        store.expect("points", keys.map(String::from).into()).unwrap();
        store.expect("points", keys.map(String::from).into()).unwrap();
        for key in ["1", "3"] {
            assert!(!store.leaves("points", key));
            store.add(unit(key, &[1.0]));
        }
        assert!(store.leaves("points", "0") && store.is_waiting());
        store.keep().unwrap();
        let survey = Survey::of(dir.path()).unwrap().unwrap();
        assert_eq!(survey.missing().collect::<Vec<_>>(), [("points", "0", 0), ("points", "2", 2)]);
        assert_eq!((survey.missing_shards(2), survey.missing_shards(3)), (vec![0], vec![0, 2]));
        let mut merging = open(dir.path(), &plan()).unwrap().only_merging();
        let left = keys.map(|key| merging.leaves("points", key));
        assert_eq!(left, [true, false, true, false], "what is there is not left");
        let error = merging.end_of_shard(false).unwrap_err().to_string();
        assert!(error.contains("2 units are missing: t = 0, 2"), "{error}");
    }
}
