//! The jobs of a run: what the queue knows of them, and what those said that are over and have not finished their work.

use crate::slurm::{Answer, Client, Job, State, Submission, Task, telling_line};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A job.
#[derive(Debug, Serialize)]
struct Counts {
    id: String,
    running: usize,
    waiting: usize,
    /// Over, or forgotten by the controller.
    over: usize,
    /// Why tasks wait.
    reasons: BTreeSet<String>,
}

/// The last thing that a task said.
#[derive(Debug, Serialize)]
struct Said {
    /// Shard or step.
    task: String,
    log: PathBuf,
    line: String,
}

/// What is told of jobs.
#[derive(Debug, Default, Serialize)]
pub(super) struct Jobs {
    jobs: Vec<Counts>,
    /// Why the queue did not answer.
    unanswered: Option<String>,
    /// Of tasks that are over and whose work is missing.
    said: Vec<Said>,
}

/// Logs that are shown.
const SHOWN: usize = 12;

impl Jobs {
    /// Of the jobs that were submitted for the folder of a run; one query, where there are any. `lacks` tells whether the work
    /// of a shard of so many is missing.
    pub fn of(out: &Path, lacks: impl Fn(usize, usize) -> bool) -> Self {
        let submissions = Submission::all(out);
        let jobs: Vec<&Job> = submissions.iter().flat_map(|own| &own.jobs).collect();
        if jobs.is_empty() {
            return Jobs::default();
        }
        let (tasks, unanswered) = match Client.queue(&jobs) {
            Answer::Tasks(tasks) => (tasks, None),
            Answer::Nothing(why) => (Vec::new(), Some(why)),
        };
        let counted =
            if unanswered.is_none() { jobs.iter().map(|job| count(job, &tasks)).collect() } else { Vec::new() };
        let is_alive = |job: &Job, index: usize| {
            tasks.iter().any(|task| task.job == job.id && task.index == Some(index) && task.life() != State::Over)
        };
        let (mut said, mut seen) = (Vec::new(), BTreeSet::new());
        for own in submissions.iter().rev() {
            let tasks = own.jobs.iter().flat_map(|job| job.indices.iter().map(move |index| (job, *index)));
            for (job, index) in tasks {
                let number = job.offset + index;
                // Of a task that was submitted again, the newest log.
                let is_newest = seen.insert(own.task_name(number));
                let is_missing = !own.steps.is_empty() || lacks(number, own.of);
                if is_newest && is_missing && !is_alive(job, index) {
                    said.extend(last_words(own, out, number));
                }
            }
        }
        Jobs { jobs: counted, unanswered, said }
    }

    /// Lines for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Counts { id, running, waiting, over, reasons } in &self.jobs {
            let why = reasons.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let why = if why.is_empty() { why } else { format!(" ({why})") };
            let _ = writeln!(text, "job {id}: {running} running, {waiting} waiting{why}, {over} over");
        }
        if let Some(why) = &self.unanswered {
            let _ = writeln!(text, "the queue does not answer: {why}");
        }
        for Said { task, log, line } in self.said.iter().take(SHOWN) {
            let _ = writeln!(text, "{task}: {line} ({})", log.display());
        }
        if self.said.len() > SHOWN {
            let _ = writeln!(text, "and {} logs more", self.said.len() - SHOWN);
        }
        text
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.unanswered.is_none()
    }
}

/// The last thing that a task said; of a step, where it says that it failed: whether one is missing, its folder tells.
fn last_words(submission: &Submission, out: &Path, number: usize) -> Option<Said> {
    let log = submission.log(out, number)?;
    let tells = |line: &String| submission.steps.is_empty() || line.contains("failed") || line.contains("needs");
    let line = telling_line(&log).filter(tells)?;
    Some(Said { task: submission.task_name(number), log, line })
}

fn count(job: &Job, tasks: &[Task]) -> Counts {
    let own: Vec<&Task> = tasks.iter().filter(|task| task.job == job.id).collect();
    let of = |state: State| own.iter().filter(|task| task.life() == state).count();
    let (running, waiting) = (of(State::Running), of(State::Waiting) + of(State::Stuck));
    let is_waiting = |task: &&&Task| matches!(task.life(), State::Waiting | State::Stuck);
    let reasons = own.iter().filter(is_waiting).map(|task| task.reason.clone()).collect();
    Counts { id: job.id.clone(), running, waiting, over: job.indices.len().saturating_sub(running + waiting), reasons }
}
