//! What was submitted, written down in the folder of a run: `submissions/*.json`. Whoever looks at the folder later knows
//! which jobs may be at work in it, and where they say how it goes.

use crate::atomic;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Where submissions are written down, within the folder of a run.
pub const FOLDER: &str = "submissions";

/// Where tasks say how it goes, one file each: `<array>_<index>.log`.
pub const LOGS: &str = "log";

/// A job, with the tasks that it was submitted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: String,
    /// Its cluster, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// What its indices are counted from.
    pub offset: usize,
    /// Its indices.
    pub indices: Vec<usize>,
}

/// One submission: some arrays that share a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// What it is called, here and in the names of its jobs.
    pub id: String,
    /// When, RFC 3339.
    pub submitted: String,
    /// Version of lipscope that its tasks must have.
    pub lipscope: String,
    /// How many shards the work was cut into; 0 for steps.
    pub of: usize,
    /// The steps by their keys, where tasks are steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// The user's words for sbatch.
    pub words: Vec<String>,
    /// What every task runs, before the flag that says which it is.
    pub command: Vec<String>,
    /// The jobs; none while it is being submitted.
    pub jobs: Vec<Job>,
}

impl Submission {
    /// A name that no other submission has; those of a folder are in the order of time.
    pub fn fresh_id(now: &str) -> String {
        let digits: String = now.chars().take(19).filter(char::is_ascii_digit).collect();
        format!("{digits}-{:08x}", atomic::random() as u32)
    }

    /// The name of its jobs.
    pub fn job_name(&self) -> String {
        format!("lipscope-{}", self.id.rsplit('-').next().unwrap_or(&self.id))
    }

    /// Its file in the folder of a run.
    pub fn path(&self, out: &Path) -> PathBuf {
        out.join(FOLDER).join(format!("{}.json", self.id))
    }

    /// Writes it down, in place of what was known before. The folder of logs is made as well: Slurm does not.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn keep(&self, out: &Path) -> Result<()> {
        for folder in [FOLDER, LOGS].map(|name| out.join(name)) {
            fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "creating the folder", &e))?;
        }
        let text = serde_json::to_vec_pretty(self);
        let text =
            text.map_err(|e| Error::mismatch(format!("a submission cannot be written ({e})"), "Report this."))?;
        atomic::write(&self.path(out), &text)
    }

    /// One that is written down.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).map_err(|e| Error::io(path, "reading", &e))?;
        let damaged =
            |e| Error::file(path, format!("this is no submission ({e})"), "Give the command of the run again.");
        serde_json::from_slice(&text).map_err(damaged)
    }

    /// All of a folder, the oldest first; what cannot be read is none.
    pub fn all(out: &Path) -> Vec<Self> {
        let entries = fs::read_dir(out.join(FOLDER)).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut paths: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
        paths.sort();
        paths.iter().filter_map(|path| Submission::read(path).ok()).collect()
    }

    /// What a task is called, by its place in the work: its shard, or its step.
    pub fn task_name(&self, task: usize) -> String {
        self.steps.get(task).cloned().unwrap_or_else(|| format!("shard {task}/{}", self.of))
    }

    /// The log of a task, as its place in the work counts: of the job that came last.
    pub fn log(&self, out: &Path, task: usize) -> Option<PathBuf> {
        let own = |job: &&Job| task.checked_sub(job.offset).is_some_and(|index| job.indices.contains(&index));
        let job = self.jobs.iter().rev().find(own)?;
        Some(out.join(LOGS).join(format!("{}_{}.log", job.id, task - job.offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(id: &str) -> Submission {
        Submission {
            id: id.into(),
            submitted: "2026-01-02T03:04:05Z".into(),
            lipscope: "0.1.0".into(),
            of: 4,
            steps: Vec::new(),
            words: vec!["-p".into(), "gpu".into()],
            command: vec!["lipscope".into()],
            jobs: Vec::new(),
        }
    }

    #[test]
    fn submissions_are_kept_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        assert!(Submission::all(out).is_empty());
        let first = Submission::fresh_id("2026-01-02T03:04:05.6Z");
        let second = Submission::fresh_id("2026-01-02T03:04:06Z");
        assert!(first.starts_with("20260102030405-") && first < second);
        submission(&second).keep(out).unwrap();
        submission(&first).keep(out).unwrap();
        let job = Job { id: "7".into(), cluster: None, offset: 1000, indices: vec![0, 3] };
        let known = Submission { jobs: vec![job], ..submission(&first) };
        known.keep(out).unwrap();
        fs::write(out.join(FOLDER).join("x.json"), "{").unwrap();
        assert_eq!(Submission::all(out), [known.clone(), submission(&second)]);
        assert!(out.join(LOGS).is_dir());
        assert_eq!(known.log(out, 1003), Some(out.join("log/7_3.log")));
        assert_eq!(known.log(out, 3), None);
        assert!(known.job_name().len() == "lipscope-".len() + 8);
    }
}
