//! Who carries out the work of a command.

use super::{Command, OutputOptions};
use crate::error::{Error, Result};
use crate::slurm::Words;
use clap::{Args, ValueEnum};

/// Who starts the processes that share the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ExecutorChoice {
    /// This machine
    #[default]
    Local,
    /// The jobs of a cluster
    Slurm,
}

/// Who carries out the work, and what becomes of it.
#[derive(Debug, Clone, Args)]
pub struct ExecutorOptions {
    /// Who does it: local, processes on this machine, or slurm, an array of jobs
    #[arg(
        long,
        value_enum,
        ignore_case = true,
        value_name = "EXECUTOR",
        hide_possible_values = true,
        help_heading = "Several processes"
    )]
    pub executor: Option<ExecutorChoice>,
    /// Options of sbatch, in quotes: '-p gpu -t 2:00:00 --gres=gpu:1'
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true, help_heading = "Several processes")]
    pub slurm: Option<Words>,
    /// Submit and leave; the same command later waits for the jobs and reports
    #[arg(long, help_heading = "Several processes")]
    pub submit_only: bool,
    /// Cancel the jobs on Ctrl-C; they go on otherwise
    #[arg(long, help_heading = "Several processes")]
    pub cancel_on_interrupt: bool,
    /// Submit what is missing in the end again, up to N submissions in all, as long as each finishes something [default: 1]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=100),
        help_heading = "Several processes"
    )]
    pub attempts: Option<u32>,
    /// The version of lipscope that submitted this task
    #[arg(long, value_name = "VERSION", hide = true)]
    pub submitted_by: Option<String>,
}

impl ExecutorOptions {
    /// Whether an array of jobs does the work.
    pub fn is_slurm(&self) -> bool {
        self.executor == Some(ExecutorChoice::Slurm)
    }

    /// The words for sbatch.
    pub fn words(&self) -> Words {
        self.slurm.clone().unwrap_or_default()
    }

    /// Submissions at most.
    pub fn attempts(&self) -> u32 {
        self.attempts.unwrap_or(1)
    }

    /// Refuses what has no meaning without Slurm, and a task of another version than its submission's.
    ///
    /// # Errors
    /// As said.
    pub fn check(&self) -> Result<()> {
        let given = [
            ("--slurm", self.slurm.is_some()),
            ("--submit-only", self.submit_only),
            ("--cancel-on-interrupt", self.cancel_on_interrupt),
            ("--attempts", self.attempts.is_some()),
        ];
        if let Some((name, _)) = given.iter().find(|(_, given)| *given && !self.is_slurm()) {
            let problem = format!("{name} is about jobs, and there are none without --executor slurm");
            return Err(Error::mismatch(problem, format!("Add --executor slurm, or leave out {name}.")));
        }
        let own = env!("CARGO_PKG_VERSION");
        match self.submitted_by.as_deref().filter(|version| *version != own) {
            None => Ok(()),
            Some(other) => Err(Error::mismatch(
                format!("this is lipscope {own}, and the job was submitted by lipscope {other}"),
                "Have the same version on all machines, and give the command again.",
            )),
        }
    }
}

impl Command {
    /// The models that it names: files, folders, ids of the Hub, or closed forms.
    pub fn checkpoints(&self) -> Vec<&str> {
        match self {
            Command::Measure(args) => vec![&args.checkpoint],
            Command::Compare(args) => {
                std::iter::once(&args.baseline).chain(&args.candidates).map(String::as_str).collect()
            }
            Command::Sample(args) => vec![&args.checkpoint],
            Command::Evaluate(args) => args.checkpoints.iter().map(String::as_str).collect(),
            Command::Stability(args) => args.checkpoints.iter().map(String::as_str).collect(),
            Command::Inspect(args) => args.checkpoint.to_str().into_iter().collect(),
            Command::Train(args) => args.from.as_deref().and_then(|path| path.to_str()).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The output options of a command whose work can be shared.
    pub fn output(&self) -> Option<&OutputOptions> {
        match self {
            Command::Measure(args) => Some(&args.output),
            Command::Compare(args) => Some(&args.output),
            Command::Theory(args) => Some(&args.output),
            Command::Evaluate(args) => Some(&args.output),
            Command::Stability(args) => Some(&args.output),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn output_mut(&mut self) -> Option<&mut OutputOptions> {
        match self {
            Command::Measure(args) => Some(&mut args.output),
            Command::Compare(args) => Some(&mut args.output),
            Command::Theory(args) => Some(&mut args.output),
            Command::Evaluate(args) => Some(&mut args.output),
            Command::Stability(args) => Some(&mut args.output),
            _ => None,
        }
    }

    /// Who carries out a command whose work others can do.
    pub fn executor(&self) -> Option<&ExecutorOptions> {
        match self {
            Command::Reproduce(args) => Some(&args.executor),
            other => other.output().map(|output| &output.executor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use clap::Parser;

    fn parsed(words: &[&str]) -> Cli {
        Cli::try_parse_from(["lipscope", "measure", "a.pt"].iter().chain(words)).unwrap()
    }

    fn check(words: &[&str]) -> String {
        let Command::Measure(args) = parsed(words).command else { panic!("another command") };
        args.output.executor.check().map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_about_jobs_needs_jobs() {
        assert_eq!(check(&["--executor", "slurm", "--slurm", "-p gpu", "--submit-only"]), "");
        assert_eq!(check(&[]), "");
        for words in [&["--slurm", "-p gpu"][..], &["--submit-only"], &["--attempts=2"], &["--cancel-on-interrupt"]] {
            assert!(check(words).contains("--executor slurm"), "{words:?}");
        }
        assert!(check(&["--executor=local", "--slurm=-p gpu"]).contains("--slurm is about jobs"));
    }

    #[test]
    fn tasks_have_the_version_of_their_submission() {
        assert_eq!(check(&["--submitted-by", env!("CARGO_PKG_VERSION")]), "");
        assert!(check(&["--submitted-by", "0.0.0"]).contains("submitted by lipscope 0.0.0"));
    }
}
