//! Carries out steps: each is a process of its own, side by side as cores and memory allow, each once.

use super::results::{Done, Results};
use super::step::{Step, command_line};
use crate::device::memory;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What a step says on stderr.
const LOG: &str = "log.txt";
/// Seconds that interrupted parts of a step took.
const SECONDS: &str = "seconds";
/// Memory that a command is taken to need before one of its kind has run.
const UNKNOWN_NEED: u64 = 1 << 30;
const PAUSE: Duration = Duration::from_millis(50);
/// How often it is looked whether another process has finished a step or memory has become free.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What steps are run by.
#[derive(Debug, Clone)]
pub struct Resources {
    /// The program.
    pub program: PathBuf,
    /// Steps side by side at most.
    pub jobs: usize,
    /// CPU threads of each.
    pub threads: usize,
    /// Device of each, as `--device` takes it.
    pub device: String,
}

/// Is told how it goes.
pub trait Observer {
    /// A step begins.
    fn began(&mut self, step: &Step);
    /// A step is finished; `None` where it was so before.
    fn finished(&mut self, step: &Step, seconds: Option<f64>);
    /// Whether to go on.
    fn goes_on(&self) -> bool;
}

/// A step that is under way.
struct Running<'a> {
    step: &'a Step,
    child: Child,
    began: Instant,
    peak: u64,
    _lock: File,
}

/// Carries out all steps, each after those that it needs; what is done already is left as it is.
///
/// # Errors
///
/// A step fails: those beside it are finished first. [`Error::Interrupted`] where `observer` stops it; what runs is asked
/// to stop cleanly, and the same call goes on from there.
pub fn run(steps: &[Step], results: &Results, resources: &Resources, observer: &mut dyn Observer) -> Result<()> {
    let mut waiting: Vec<&Step> = Vec::new();
    for step in steps {
        if waiting.iter().all(|other| other.key != step.key) {
            waiting.push(step);
        }
    }
    let mut runner = Runner { results, resources, running: Vec::new(), needs: BTreeMap::new() };
    let (mut failure, mut looked) = (None, None::<Instant>);
    loop {
        let before = runner.running.len();
        failure = failure.or(runner.collect(observer));
        // What can be started is read from the disk: only where that may have changed.
        if runner.running.len() < before {
            looked = None;
        }
        if !observer.goes_on() {
            runner.stop();
            let next = "What is finished stays; the same command goes on from there.".to_string();
            return Err(Error::Interrupted { next });
        }
        match failure {
            Some(error) if runner.running.is_empty() => return Err(error),
            None if runner.running.is_empty() && waiting.is_empty() => return Ok(()),
            None if looked.is_none_or(|looked| looked.elapsed() > LOOK_AGAIN) => {
                failure = runner.start(&mut waiting, observer).err();
                looked = Some(Instant::now());
            }
            _ => {}
        }
        sleep(PAUSE);
    }
}

struct Runner<'a> {
    results: &'a Results,
    resources: &'a Resources,
    running: Vec<Running<'a>>,
    /// Most memory that a command of each kind has taken.
    needs: BTreeMap<String, u64>,
}

impl<'a> Runner<'a> {
    /// Starts what can be started.
    fn start(&mut self, waiting: &mut Vec<&'a Step>, observer: &mut dyn Observer) -> Result<()> {
        let mut i = 0;
        while i < waiting.len() {
            let step = waiting[i];
            if self.results.done(&step.key).is_some() {
                observer.finished(step, None);
                waiting.remove(i);
                continue;
            }
            let ready = step.needs().all(|key| self.results.done(key).is_some());
            if ready && self.has_room(step) {
                // Another process may be at it, and may have finished it by the time that it lets go.
                if let Some(lock) = self.results.take(&step.key)?.filter(|_| self.results.done(&step.key).is_none()) {
                    self.running.push(self.launch(step, lock)?);
                    observer.began(step);
                    waiting.remove(i);
                    continue;
                }
            }
            i += 1;
        }
        Ok(())
    }

    /// Whether cores and memory are left for one more.
    fn has_room(&self, step: &Step) -> bool {
        let need = |step: &Step| self.needs.get(&step.command).copied().unwrap_or(UNKNOWN_NEED);
        let to_come = |running: &Running| {
            need(running.step).saturating_sub(memory::resident(running.child.id()).unwrap_or_default())
        };
        let promised: u64 = self.running.iter().map(to_come).sum();
        let fits = |available: u64| available.saturating_sub(promised) > need(step) + need(step) / 4;
        self.running.is_empty() || self.running.len() < self.resources.jobs && memory::available().is_none_or(fits)
    }

    fn launch(&self, step: &'a Step, lock: File) -> Result<Running<'a>> {
        let folder = self.results.folder(&step.key);
        let path = folder.join(LOG);
        let log =
            OpenOptions::new().create(true).append(true).open(&path).map_err(|e| Error::io(&path, "opening", &e))?;
        let mut command = Command::new(&self.resources.program);
        command.args(command_line(step, self.results));
        command.args(["--quiet", "--device", &self.resources.device, "--threads", &self.resources.threads.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // A group of its own: Ctrl-C goes to this program, which passes it on once.
        let child = command.process_group(0).spawn();
        let child = child.map_err(|e| Error::io(&self.resources.program, "starting", &e))?;
        Ok(Running { step, child, began: Instant::now(), peak: 0, _lock: lock })
    }

    /// Takes note of what has ended; the error of one that failed.
    fn collect(&mut self, observer: &mut dyn Observer) -> Option<Error> {
        let mut failure = None;
        let mut i = 0;
        while i < self.running.len() {
            let running = &mut self.running[i];
            running.peak = running.peak.max(memory::resident(running.child.id()).unwrap_or_default());
            match running.child.try_wait() {
                Ok(None) => i += 1,
                Ok(Some(status)) => {
                    let ended = self.running.remove(i);
                    let need = self.needs.entry(ended.step.command.clone()).or_default();
                    *need = ended.peak.max(*need);
                    failure = failure.or(self.ended(&ended, status, observer).err());
                }
                Err(e) => {
                    let ended = self.running.remove(i);
                    failure = failure.or(Some(Error::io(ended.step.name(), "waiting for it", &e)));
                }
            }
        }
        failure
    }

    fn ended(&self, running: &Running, status: ExitStatus, observer: &mut dyn Observer) -> Result<()> {
        let step = running.step;
        let folder = self.results.folder(&step.key);
        let earlier = fs::read_to_string(folder.join(SECONDS)).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        let seconds = earlier + running.began.elapsed().as_secs_f64();
        if !status.success() {
            let _ = fs::write(folder.join(SECONDS), seconds.to_string());
            return Err(self.failed(step));
        }
        let done = Done { name: step.name(), command: command_line(step, self.results), wall_seconds: seconds };
        self.results.finish(&step.key, &done)?;
        observer.finished(step, Some(seconds));
        Ok(())
    }

    fn failed(&self, step: &Step) -> Error {
        let path = self.results.folder(&step.key).join(LOG);
        let log = fs::read_to_string(&path).unwrap_or_default();
        let last =
            log.lines().rfind(|line| line.starts_with("error:")).or(log.lines().last()).unwrap_or("it said nothing");
        let said = last.trim_start_matches("error:").trim().trim_end_matches('.');
        let next = format!(
            "Its command is `lipscope {}`, and what it said is in {}. What is finished stays.",
            command_line(step, self.results).join(" "),
            path.display()
        );
        Error::mismatch(format!("the step `{}` failed: {said}", step.name()), next)
    }

    /// Asks everything to stop, and waits for it.
    fn stop(&mut self) {
        for running in &self.running {
            // Not yet waited for, so its number is still its own.
            let _ = Command::new("sh").args(["-c", &format!("kill -INT {}", running.child.id())]).status();
        }
        for mut running in self.running.drain(..) {
            let _ = running.child.wait();
            let path = self.results.folder(&running.step.key).join(SECONDS);
            let earlier: f64 = fs::read_to_string(&path).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0);
            let _ = fs::write(path, (earlier + running.began.elapsed().as_secs_f64()).to_string());
        }
    }
}
