//! Arrays of jobs of a Slurm cluster.

use super::{Executor, Life};
use crate::error::{Error, Result};
use crate::run::{self, Watch};
use lipscope_core::slurm::{Answer, Client, Job, Payload, Request, State, Submission, Words, paced, pieces, shown};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Seconds between looks at the files, and between queries of the queue, which get rarer.
const FILES: f64 = 5.0;
const FIRST_QUERY: f64 = 30.0;
const LAST_QUERY: f64 = 120.0;
/// Seconds until files of another machine must be seen here.
const LATENESS: f64 = 60.0;
/// Answers in a row that must agree before something follows from them.
const AGREEING: usize = 2;

/// What all tasks of a submission share.
#[derive(Debug, Clone)]
pub struct Task {
    /// What each runs; its part of the work is said behind it.
    pub payload: Payload,
    /// How many parts the work was cut into; 0 for steps.
    pub of: usize,
    /// The steps by their keys, where tasks are steps.
    pub steps: Vec<String>,
    /// The user's options of sbatch.
    pub words: Words,
    /// Lines of shell before the command.
    pub setup: String,
    /// Folder in which tasks begin.
    pub directory: PathBuf,
}

/// Jobs in the folder of a run.
pub struct Slurm {
    client: Client,
    out: PathBuf,
    task: Task,
    /// Jobs whose end is waited for.
    jobs: Vec<Job>,
    /// How to go on, as the user types it.
    again: String,
    cancels: bool,
    query: Query,
}

/// What is known of the queue.
struct Query {
    due: Instant,
    interval: Duration,
    /// Answers in a row by which nothing is at work any more, or nothing can be.
    over: usize,
    stuck: usize,
    words: String,
    /// Reasons and complaints that were told.
    told: BTreeSet<String>,
}

impl Query {
    fn new() -> Self {
        let interval = paced(FIRST_QUERY);
        let (over, stuck, words, told) = (0, 0, String::new(), BTreeSet::new());
        Query { due: Instant::now() + interval, interval, over, stuck, words, told }
    }

    /// The next one, soon where an answer is to be confirmed.
    fn put_off(&mut self, confirm: bool) {
        let wait = if confirm { paced(FILES) } else { self.interval };
        self.due = Instant::now() + wait;
        self.interval = self.interval.mul_f64(1.5).min(paced(LAST_QUERY));
    }

    /// Something worth telling once.
    fn tell(&mut self, text: String, watch: &dyn Watch) {
        if self.told.insert(text.clone()) {
            watch.note(&text);
        }
    }
}

impl Slurm {
    /// Jobs in the folder `out`, an absolute path. `again` is the command that goes on.
    pub fn new(out: &Path, task: Task, again: String, cancels: bool) -> Self {
        let (client, query) = (Client, Query::new());
        Slurm { client, out: out.into(), task, jobs: Vec::new(), again, cancels, query }
    }

    /// What would be submitted for these tasks: the words of sbatch for each array, and the script.
    ///
    /// # Errors
    /// The folder is none that Slurm can be told.
    pub fn preview(out: &Path, task: &Task, tasks: &[usize], size: usize) -> Result<(Vec<Vec<String>>, String)> {
        let submission = Submission { id: "0-xxxxxxxx".into(), ..submission(task) };
        let request = request(out, task, &submission, Vec::new());
        let words = pieces(tasks, size).into_iter().map(|(offset, indices)| request.sbatch(offset, &indices));
        Ok((words.collect::<Result<_>>()?, request.script()))
    }

    /// Takes over the jobs of earlier submissions that are still in the queue; how many those are.
    ///
    /// # Errors
    /// The queue does not answer: nobody knows then.
    pub fn adopt(&mut self) -> Result<usize> {
        let earlier: Vec<Job> = Submission::all(&self.out).into_iter().flat_map(|own| own.jobs).collect();
        if earlier.is_empty() {
            return Ok(0);
        }
        let mut why = String::new();
        for attempt in 0..3 {
            if attempt > 0 {
                std::thread::sleep(paced(FILES));
            }
            match self.client.queue(&earlier.iter().collect::<Vec<_>>()) {
                Answer::Nothing(said) => why = said,
                Answer::Tasks(tasks) => {
                    let lives = |job: &Job| tasks.iter().any(|task| task.job == job.id && task.life() != State::Over);
                    self.jobs = earlier.into_iter().filter(lives).collect();
                    return Ok(self.jobs.len());
                }
            }
        }
        let ids: Vec<&str> = earlier.iter().map(|job| job.id.as_str()).collect();
        Err(Error::mismatch(
            format!("whether job {} is still at work is unknown: {}", ids.join(", "), why.trim_end_matches('.')),
            "Give the same command again when the queue answers.",
        ))
    }

    /// Submits tasks as one array, or several where indices are too large for one, that begin when the jobs `after` are over.
    ///
    /// # Errors
    /// sbatch refuses. What was submitted before stays, and is written down.
    pub fn submit(
        &mut self,
        task: &Task,
        tasks: &[usize],
        after: Vec<String>,
        watch: &dyn Watch,
    ) -> Result<Vec<String>> {
        let mut submission = submission(task);
        let path = submission.path(&self.out);
        submission.keep(&self.out)?;
        for (offset, indices) in pieces(tasks, self.client.array_size()) {
            let request = request(&self.out, task, &submission, after.clone());
            match request.submit(&self.client, offset, &indices) {
                Ok(job) => submission.jobs.push(job),
                Err(error) => {
                    if submission.jobs.is_empty() {
                        let _ = std::fs::remove_file(path);
                    }
                    return Err(error);
                }
            }
            submission.keep(&self.out)?;
        }
        let ids: Vec<String> = submission.jobs.iter().map(|job| job.id.clone()).collect();
        let plural = if tasks.len() == 1 { "task" } else { "tasks" };
        watch.note(&format!(
            "submitted {} {plural} as job {}: {}",
            tasks.len(),
            ids.join(", "),
            self.names(tasks, task)
        ));
        self.jobs.extend(submission.jobs);
        self.query = Query { told: std::mem::take(&mut self.query.told), ..Query::new() };
        Ok(ids)
    }

    fn names(&self, tasks: &[usize], task: &Task) -> String {
        let logs = self.out.join(lipscope_core::slurm::LOGS);
        match task.of {
            0 => format!("logs in {}", logs.display()),
            of => format!("shards {} of {of}, logs in {}", shown(tasks), logs.display()),
        }
    }

    /// Numbers of the jobs that are waited for.
    pub fn ids(&self) -> String {
        let mut ids: Vec<&str> = self.jobs.iter().map(|job| job.id.as_str()).collect();
        ids.dedup();
        ids.join(", ")
    }

    /// Asks the queue, if it is time, and tells what follows.
    fn ask(&mut self, watch: &dyn Watch) -> Result<Life> {
        if Instant::now() < self.query.due {
            return Ok(Life::Busy(self.query.words.clone()));
        }
        let tasks = match self.client.queue(&self.jobs.iter().collect::<Vec<_>>()) {
            Answer::Tasks(tasks) => tasks,
            Answer::Nothing(said) => {
                self.query
                    .tell(format!("the queue does not answer ({said}); files go on telling how far it is"), watch);
                self.query.put_off(false);
                return Ok(Life::Busy(self.query.words.clone()));
            }
        };
        let count = |state: State| tasks.iter().filter(|task| task.life() == state).count();
        let (running, waiting, stuck) = (count(State::Running), count(State::Waiting), count(State::Stuck));
        for task in tasks.iter().filter(|task| task.life() == State::Stuck) {
            self.query.tell(format!("job {} waits, and will go on waiting: {}", task.job, task.reason), watch);
        }
        self.query.words = format!("{running} running, {} waiting", waiting + stuck);
        self.query.over = if running + waiting + stuck == 0 { self.query.over + 1 } else { 0 };
        self.query.stuck = if running + waiting == 0 && stuck > 0 { self.query.stuck + 1 } else { 0 };
        self.query.put_off(self.query.over + self.query.stuck > 0);
        if self.query.stuck >= AGREEING {
            return Err(self.stuck(&tasks));
        }
        Ok(if self.query.over >= AGREEING { Life::Over } else { Life::Busy(self.query.words.clone()) })
    }

    /// Nothing is left but what waits for ever.
    fn stuck(&self, tasks: &[lipscope_core::slurm::Task]) -> Error {
        let stuck = tasks.iter().filter(|task| task.life() == State::Stuck);
        let reasons: BTreeSet<(&str, &str)> = stuck.map(|task| (task.job.as_str(), task.reason.as_str())).collect();
        let told: Vec<String> = reasons.iter().map(|(job, reason)| format!("job {job} ({reason})")).collect();
        let jobs: BTreeSet<&str> = reasons.iter().map(|(job, _)| *job).collect();
        let jobs = jobs.into_iter().collect::<Vec<_>>().join(" ");
        Error::mismatch(
            format!("what is left waits for what will not come by itself: {}", told.join(", ")),
            format!(
                "`scancel {jobs}`, and give the command again with other words in --slurm; what is finished is kept."
            ),
        )
    }
}

impl Executor for Slurm {
    fn start(&mut self, tasks: &[usize], watch: &dyn Watch) -> Result<()> {
        self.jobs.clear();
        let task = self.task.clone();
        self.submit(&task, tasks, Vec::new(), watch).map(drop)
    }

    fn look(&mut self, complete: bool, watch: &dyn Watch) -> Result<Life> {
        // Tasks whose work is done may end when they like.
        if complete { Ok(Life::Over) } else { self.ask(watch) }
    }

    fn interval(&self) -> Duration {
        paced(FILES)
    }

    fn lateness(&self) -> Duration {
        paced(LATENESS)
    }

    fn stop(&mut self) -> Error {
        let (ids, jobs) = (self.ids(), self.jobs.iter().collect::<Vec<_>>());
        let spaced = ids.replace(',', "");
        let next = if !self.cancels {
            format!("Job {ids} goes on. `{}` waits for it again; `scancel {spaced}` ends it.", self.again)
        } else {
            match self.client.cancel(&jobs) {
                Ok(()) => format!("Job {ids} was cancelled, and what is finished is kept: `{}` goes on.", self.again),
                Err(error) => format!("{error} What is finished is kept."),
            }
        };
        Error::Interrupted { next }
    }
}

fn submission(task: &Task) -> Submission {
    let submitted = run::now();
    Submission {
        id: Submission::fresh_id(&submitted),
        submitted,
        lipscope: env!("CARGO_PKG_VERSION").into(),
        of: task.of,
        steps: task.steps.clone(),
        words: task.words.words().to_vec(),
        command: task.payload.command.clone(),
        jobs: Vec::new(),
    }
}

fn request<'a>(out: &'a Path, task: &'a Task, submission: &Submission, after: Vec<String>) -> Request<'a> {
    let mut payload = task.payload.clone();
    if task.of == 0 {
        payload.of = submission.path(out).display().to_string();
    }
    Request {
        name: submission.job_name(),
        out,
        directory: task.directory.clone(),
        words: &task.words,
        setup: &task.setup,
        payload,
        after,
    }
}
