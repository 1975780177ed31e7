//! Processes side by side on this machine.

use super::{Executor, Life};
use crate::error::{Error, Result};
use crate::run::Watch;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The command of the task with this number, without a terminal.
pub type Start<'a> = dyn Fn(usize) -> Result<Command> + 'a;

/// Processes, one for each task.
pub struct Local<'a> {
    command: Box<Start<'a>>,
    of: usize,
    /// What the user is told where it is stopped.
    next: String,
    running: Vec<Running>,
}

/// A process that is under way.
struct Running {
    index: usize,
    child: Child,
    /// What it says.
    said: File,
}

impl<'a> Local<'a> {
    /// Tasks of `of`, each by its own command; `next` says how to go on after a stop.
    pub fn new(of: usize, next: String, command: Box<Start<'a>>) -> Self {
        Local { command, of, next, running: Vec::new() }
    }

    fn launch(&self, index: usize) -> Result<Running> {
        let wrong = |e: std::io::Error| Error::io("lipscope", "starting a shard", &e);
        let said = tempfile::tempfile().map_err(wrong)?;
        let mut command = (self.command)(index)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.try_clone().map_err(wrong)?);
        Ok(Running { index, child: command.spawn().map_err(wrong)?, said })
    }

    /// Asks all of them for a clean stop and waits for it.
    fn end(&mut self) {
        for running in &self.running {
            // SAFETY: a signal to a child that has not been waited for, whose number cannot have been given to another process.
            unsafe { libc::kill(running.child.id() as libc::pid_t, libc::SIGTERM) };
        }
        for mut running in self.running.drain(..) {
            let _ = running.child.wait();
        }
    }
}

impl Executor for Local<'_> {
    fn start(&mut self, tasks: &[usize], _: &dyn Watch) -> Result<()> {
        for &index in tasks {
            let running = self.launch(index)?;
            self.running.push(running);
        }
        Ok(())
    }

    fn look(&mut self, _: bool, watch: &dyn Watch) -> Result<Life> {
        let mut failure = None;
        let mut rest = Vec::with_capacity(self.running.len());
        for mut running in self.running.drain(..) {
            match running.child.try_wait() {
                Ok(Some(status)) if status.success() => {}
                Ok(None) => rest.push(running),
                Ok(Some(_)) | Err(_) => failure = Some(failed(running, self.of)),
            }
        }
        self.running = rest;
        match failure.filter(|_| watch.goes_on()) {
            Some(error) => {
                self.end();
                Err(error)
            }
            None if self.running.is_empty() => Ok(Life::Over),
            None => Ok(Life::Busy(format!("{} at work", self.running.len()))),
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn lateness(&self) -> Duration {
        Duration::ZERO
    }

    fn stop(&mut self) -> Error {
        self.end();
        Error::Interrupted { next: self.next.clone() }
    }
}

impl Drop for Local<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

fn failed(mut shard: Running, of: usize) -> Error {
    let mut said = String::new();
    let _ = shard.said.seek(SeekFrom::Start(0)).and_then(|_| shard.said.read_to_string(&mut said));
    let last = said.trim().lines().last().unwrap_or("it said nothing").trim_start_matches("error: ").to_string();
    Error::mismatch(
        format!("shard {}/{of} failed: {}", shard.index, last.trim_end_matches('.')),
        "What is finished is kept: the same command goes on from there.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_that_fails_is_named_with_the_last_thing_that_it_said() {
        let command = |index: usize| {
            let mut command = Command::new("sh");
            let fails = "echo warning: old >&2; echo 'error: out: there is no room. Make some.' >&2; exit 2";
            command.args(["-c", if index == 1 { fails } else { "sleep 60" }]);
            Ok(command)
        };
        let mut local = Local::new(4, String::new(), Box::new(command));
        local.start(&[0, 1], &()).unwrap();
        let error = loop {
            match local.look(false, &()) {
                Ok(_) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.starts_with("shard 1/4 failed: out: there is no room. Make some. What is finished"), "{error}");
        assert!(local.running.is_empty(), "the others are stopped");
    }
}
