//! The steps of a plan as the tasks of jobs. Waves are linked so that a later one begins when the earlier is over, however it
//! ended; whether what a step needs is there, its task finds out by the files.

use super::super::watch::Terminal;
use crate::device::DeviceChoice;
use crate::error::{Error, Result};
use crate::executor::{self, Files, Slurm, Task, last_words};
use crate::run::Watch;
use crate::sweep::{self, Group, Results, Step, SweepPlan};
use lipscope_core::cli::args::{Global, ReproduceArgs};
use lipscope_core::slurm::{Client, Payload, Submission, USUAL_ARRAY_SIZE};
use lipscope_core::store::Invocation;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Steps that a cluster carries out.
pub(super) struct Cluster<'a> {
    pub plan: &'a SweepPlan,
    pub steps: &'a [Step],
    pub results: &'a Results,
    pub args: &'a ReproduceArgs,
    pub global: &'a Global,
    /// The folder of the report, and of submissions and logs.
    pub out: PathBuf,
}

impl Cluster<'_> {
    /// Submits the steps that are not done, and waits for them.
    ///
    /// # Errors
    /// Steps that failed, with what they said; [`Error::Interrupted`]; [`Error::Part`] where nobody is to wait.
    pub fn run(&self, watch: &Terminal) -> Result<()> {
        Client::check()?;
        let mut before: Option<usize> = None;
        for attempt in 0.. {
            let groups = sweep::groups(self.steps, self.results);
            let left: usize = groups.iter().map(|group| group.steps.len()).sum();
            if left == 0 {
                return Ok(());
            }
            let is_final = attempt >= self.args.executor.attempts() || before == Some(left);
            if before.is_some() && is_final {
                return Err(self.failed(&groups));
            }
            let adopted = self.round(&groups, before.is_none(), watch)?;
            before = (!adopted).then_some(left);
        }
        Ok(())
    }

    /// Submits groups and waits; or, at first, waits for jobs that were submitted before: whether it did that.
    fn round(&self, groups: &[Group], first: bool, watch: &Terminal) -> Result<bool> {
        let again = Invocation { arguments: typed(), ..Invocation::current()? }.line();
        let Some(group) = groups.first() else { return Ok(false) };
        let mut slurm = Slurm::new(&self.out, self.task(group)?, again, self.args.executor.cancel_on_interrupt);
        let adopts = first && slurm.adopt()? > 0;
        if adopts {
            watch.note(&format!("job {} of an earlier submission is still at work: waiting for it", slurm.ids()));
        } else {
            self.submit(&mut slurm, groups, watch)?;
        }
        if self.args.executor.submit_only {
            let (ids, is) = (slurm.ids(), if adopts { "is still at work" } else { "was submitted" });
            let message = format!(
                "job {ids} {is}. The same command without --submit-only waits for it, and makes tables and figures."
            );
            return Err(Error::Part { message });
        }
        let files = Done { keys: self.steps.iter().map(|step| step.key.as_str()).collect(), results: self.results };
        let (done, of) = files.progress()?;
        watch.begin((of - done) as u64, "steps");
        executor::wait(&mut slurm, &files, watch)?;
        watch.end();
        Ok(adopts)
    }

    /// One array for each group, behind those of the wave before.
    fn submit(&self, slurm: &mut Slurm, groups: &[Group], watch: &Terminal) -> Result<()> {
        let mut ids: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for group in groups {
            let after = group.wave.checked_sub(1).and_then(|wave| ids.get(&wave)).cloned().unwrap_or_default();
            let tasks: Vec<usize> = (0..group.steps.len()).collect();
            let submitted = slurm.submit(&self.task(group)?, &tasks, after, watch)?;
            ids.entry(group.wave).or_default().extend(submitted);
        }
        Ok(())
    }

    /// What a task of a group runs; which step it is, it reads in the file of its submission.
    fn task(&self, group: &Group) -> Result<Task> {
        let words = self.plan.slurm.words(group.command, &self.args.executor.words())?;
        let device = match self.global.device.first() {
            DeviceChoice::Auto if words.ask_for_gpu(|name| std::env::var(name).ok()) => DeviceChoice::Cuda(0),
            DeviceChoice::Auto => DeviceChoice::Cpu,
            named => named,
        };
        let absolute = |path: &Path| std::path::absolute(path).map_err(|e| Error::io(path, "finding the folder", &e));
        let mut command = self.plan.slurm.program(group.command)?;
        if command.is_empty() {
            command.push(super::super::program()?);
        }
        let (plan, results) = (absolute(&self.args.plan)?, absolute(self.results.root())?);
        command.extend(["reproduce".into(), plan.display().to_string()]);
        command.extend(["--results".into(), results.display().to_string()]);
        command.extend(["--quiet".into(), "--device".into(), device.to_string()]);
        command.extend(["--submitted-by".into(), env!("CARGO_PKG_VERSION").into()]);
        if let Some(threads) = self.global.threads {
            command.extend(["--threads".into(), threads.to_string()]);
        }
        Ok(Task {
            payload: Payload { command, flag: "--step", of: String::new() },
            of: 0,
            steps: group.steps.iter().map(|step| step.key.clone()).collect(),
            words,
            setup: self.plan.slurm.setup(group.command).into(),
            directory: Invocation::current()?.directory,
        })
    }

    /// What would be submitted.
    pub fn preview(&self) -> Result<Value> {
        let mut all = Vec::new();
        for group in sweep::groups(self.steps, self.results) {
            let tasks: Vec<usize> = (0..group.steps.len()).collect();
            let (words, script) = Slurm::preview(&self.out, &self.task(&group)?, &tasks, USUAL_ARRAY_SIZE)?;
            let steps: Vec<String> = group.steps.iter().map(|step| step.name()).collect();
            all.push(json!({ "wave": group.wave, "steps": steps, "sbatch": words, "script": script }));
        }
        Ok(json!({ "submissions": all, "environment_without": Client::taken_out() }))
    }

    /// The error for steps that are not done when all jobs are over.
    fn failed(&self, groups: &[Group]) -> Error {
        let left: Vec<&Step> = groups.iter().flat_map(|group| group.steps.iter().copied()).collect();
        let is_blocked = |step: &Step| step.needs().any(|key| left.iter().any(|other| other.key == key));
        let (blocked, failed): (Vec<&Step>, Vec<&Step>) = left.iter().partition(|step| is_blocked(step));
        let submissions = Submission::all(&self.out);
        let one = |step: &&Step| {
            let log = submissions.iter().rev().find_map(|own| {
                let task = own.steps.iter().position(|key| *key == step.key)?;
                own.log(&self.out, task)
            });
            format!("`{}`: {}", step.name(), last_words(log.as_deref()))
        };
        let told: Vec<String> = failed.iter().map(one).collect();
        let names: Vec<String> = blocked.iter().map(|step| format!("`{}`", step.name())).collect();
        let waits = if names.is_empty() {
            String::new()
        } else {
            format!(". Not run, as it needs these: {}", names.join(", "))
        };
        let all: BTreeSet<&str> = self.steps.iter().map(|step| step.key.as_str()).collect();
        let count = format!("{} of {} steps failed", failed.len(), all.len());
        Error::mismatch(
            format!("{count}: {}{waits}", told.join("; ")),
            "What is finished stays; the same command carries out the rest.",
        )
    }
}

/// Steps that are finished, by their folders.
struct Done<'a> {
    keys: BTreeSet<&'a str>,
    results: &'a Results,
}

impl Files for Done<'_> {
    fn progress(&self) -> Result<(usize, usize)> {
        let is_done = |key: &&&str| {
            // A file system shared with other machines notices a new file when the folder is listed.
            let _ = std::fs::read_dir(self.results.folder(key)).map(Iterator::count);
            self.results.done(key).is_some()
        };
        Ok((self.keys.iter().filter(is_done).count(), self.keys.len()))
    }
}

fn typed() -> Vec<String> {
    std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect()
}
