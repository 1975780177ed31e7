//! Who carries out the shards of a command: processes on this machine, or the jobs of a cluster. An executor starts tasks
//! and knows whether any may still be at work; what they have done is told by the files in the folder of the run alone.
//!
//! A new executor is one file here, and one member of [`ExecutorChoice`](lipscope_core::cli::args::ExecutorChoice).

mod local;
mod slurm;

pub use local::{Local, Start};
pub use slurm::{Slurm, Task};

use crate::error::{Error, Result};
use crate::run::Watch;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often it is looked whether the user wants to stop.
const PAUSE: Duration = Duration::from_millis(100);

/// Starts tasks and looks after them.
pub trait Executor {
    /// Starts the tasks of these numbers.
    ///
    /// # Errors
    /// They cannot be started, or not all of them.
    fn start(&mut self, tasks: &[usize], watch: &dyn Watch) -> Result<()>;

    /// Whether any of them may still be at work. `complete` says that what they were to do is on disk.
    ///
    /// # Errors
    /// A task has failed in a way that makes it useless to wait for the others.
    fn look(&mut self, complete: bool, watch: &dyn Watch) -> Result<Life>;

    /// How often to look at the files.
    fn interval(&self) -> Duration;

    /// How late files may be seen after a task of another machine has ended.
    fn lateness(&self) -> Duration;

    /// The user wants to stop: what becomes of the tasks.
    fn stop(&mut self) -> Error;
}

/// What an executor knows of its tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// Some may be at work; in a few words for a progress bar.
    Busy(String),
    /// None of them is.
    Over,
}

/// What is done and what there is to do, as files tell it.
pub trait Files {
    /// Pieces of work that are finished, and how many there are to be by now.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn progress(&self) -> Result<(usize, usize)>;
}

/// Waits until the work is on disk, or nobody is at it any more.
///
/// # Errors
/// [`Error::Interrupted`] where the watcher stops it; and what [`Executor::look`] gives.
pub fn wait(executor: &mut dyn Executor, files: &dyn Files, watch: &dyn Watch) -> Result<()> {
    let mut seen = Seen { shown: 0, due: Instant::now(), complete: false };
    let mut over: Option<Instant> = None;
    loop {
        if !watch.goes_on() {
            return Err(executor.stop());
        }
        seen.look(executor.interval(), files, watch)?;
        // Once they seem to be over, their last files may still be under way to this machine.
        let is_late = over.is_none_or(|since| since.elapsed() >= executor.lateness());
        if seen.complete || is_late {
            match executor.look(seen.complete, watch)? {
                Life::Busy(words) => {
                    watch.say(&words);
                    over = None;
                }
                Life::Over if seen.complete || over.is_some() || executor.lateness().is_zero() => return Ok(()),
                Life::Over => {
                    over = Some(Instant::now());
                    watch.say("waiting for the last files");
                }
            }
        }
        sleep(PAUSE.min(executor.interval()));
    }
}

/// What was last seen of the files.
struct Seen {
    shown: usize,
    due: Instant,
    complete: bool,
}

impl Seen {
    fn look(&mut self, interval: Duration, files: &dyn Files, watch: &dyn Watch) -> Result<()> {
        if Instant::now() < self.due {
            return Ok(());
        }
        let began = Instant::now();
        let (done, of) = files.progress()?;
        // Where many files are slow to list, this must not be all that the file system does.
        self.due = Instant::now() + interval.max(began.elapsed() * 20);
        watch.lengthen_to(of as u64);
        (self.shown..done).for_each(|_| watch.advance());
        (self.shown, self.complete) = (self.shown.max(done), done >= of);
        Ok(())
    }
}

/// The last thing that a task said, as the end of a sentence.
pub(crate) fn last_words(log: Option<&Path>) -> String {
    match log.and_then(|path| Some((path, lipscope_core::slurm::telling_line(path)?))) {
        Some((path, line)) => format!("{} ({})", line.trim_end_matches('.'), path.display()),
        None => "it left no log".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    /// Lives by a script of looks; its files are complete after a number of them.
    struct Scripted {
        looks: RefCell<Vec<Life>>,
    }

    impl Executor for Scripted {
        fn start(&mut self, _: &[usize], _: &dyn Watch) -> Result<()> {
            Ok(())
        }
        fn look(&mut self, _: bool, _: &dyn Watch) -> Result<Life> {
            Ok(self.looks.borrow_mut().pop().unwrap_or(Life::Over))
        }
        fn interval(&self) -> Duration {
            Duration::from_millis(1)
        }
        fn lateness(&self) -> Duration {
            Duration::from_millis(30)
        }
        fn stop(&mut self) -> Error {
            Error::Interrupted { next: "stopped".into() }
        }
    }

    /// Complete from the `after`th look on.
    struct Arriving {
        looked: Cell<usize>,
        after: usize,
    }

    impl Files for Arriving {
        fn progress(&self) -> Result<(usize, usize)> {
            self.looked.set(self.looked.get() + 1);
            Ok((usize::from(self.looked.get() >= self.after), 1))
        }
    }

    fn busy() -> Life {
        Life::Busy(String::new())
    }

    #[test]
    fn files_that_come_late_are_waited_for() {
        let mut executor = Scripted { looks: vec![].into() };
        let files = Arriving { looked: 0.into(), after: 5 };
        wait(&mut executor, &files, &()).unwrap();
        assert_eq!(files.looked.get(), 5);
    }

    #[test]
    fn tasks_that_are_over_are_over_after_a_while_unless_they_come_back() {
        let began = Instant::now();
        // Looks are taken from the end: over, busy again (requeued), over, over.
        let mut executor = Scripted { looks: vec![Life::Over, Life::Over, busy(), Life::Over, busy()].into() };
        wait(&mut executor, &Arriving { looked: 0.into(), after: usize::MAX }, &()).unwrap();
        assert!(executor.looks.borrow().is_empty());
        assert!(began.elapsed() >= 2 * executor.lateness());
    }

    #[test]
    fn a_stop_is_for_the_executor_to_answer() {
        struct Stopped;
        impl Watch for Stopped {
            fn goes_on(&self) -> bool {
                false
            }
        }
        let mut executor = Scripted { looks: vec![busy()].into() };
        let error = wait(&mut executor, &Arriving { looked: 0.into(), after: 1 }, &Stopped).unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }));
    }
}
