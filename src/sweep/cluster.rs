//! What a plan says of jobs: options of sbatch, for all commands and for each.

use crate::error::{Error, Result};
use lipscope_core::slurm::Words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The table `[slurm]` of a plan, with tables of single commands in it, such as `[slurm.train]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlurmTable {
    /// Of all commands.
    #[serde(flatten)]
    pub all: Job,
    /// Of one command.
    #[serde(flatten)]
    pub commands: BTreeMap<String, Job>,
}

/// How the jobs of a command are submitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Options of sbatch, as `--slurm` takes them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
    /// Lines of shell before the command, such as `module load cuda`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub setup: String,
    /// What is started instead of this very program, such as `apptainer exec --nv image.sif lipscope`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
}

/// The commands that steps have.
const COMMANDS: [&str; 6] = ["train", "measure", "compare", "evaluate", "stability", "theory"];

impl SlurmTable {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == SlurmTable::default()
    }

    /// What is wrong with it.
    pub fn check(&self) -> Option<String> {
        if let Some(name) = self.commands.keys().find(|name| !COMMANDS.contains(&name.as_str())) {
            return Some(format!(
                "[slurm] has `{name}`, and takes words, setup, program and tables of {}",
                COMMANDS.join(", ")
            ));
        }
        let mut jobs = self.commands.values().chain([&self.all]);
        jobs.find_map(|job| job.words.parse::<Words>().err().map(|e| format!("of [slurm], {}", e.problem())))
    }

    /// The words of a command: of all commands, then its own, then `later` ones; the last win.
    ///
    /// # Errors
    /// They are none.
    pub fn words(&self, command: &str, later: &Words) -> Result<Words> {
        let own = self.commands.get(command).map(|job| job.words.as_str()).unwrap_or_default();
        Ok(self.all.words.parse::<Words>()?.then(&own.parse()?).then(later))
    }

    /// The lines of shell of a command: its own, else those of all commands.
    pub fn setup(&self, command: &str) -> &str {
        self.first(command, |job| &job.setup)
    }

    /// The words that start lipscope for a command; none for this very program.
    ///
    /// # Errors
    /// A quote is not closed.
    pub fn program(&self, command: &str) -> Result<Vec<String>> {
        let text = self.first(command, |job| &job.program);
        shlex::split(text).ok_or_else(|| {
            Error::argument("program", text, "a quote is not closed", "Quote as in a shell, in [slurm] of the plan.")
        })
    }

    fn first<'a>(&'a self, command: &str, field: impl Fn(&'a Job) -> &'a String) -> &'a str {
        let own = self.commands.get(command).map(&field).filter(|text| !text.is_empty());
        own.unwrap_or_else(|| field(&self.all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> SlurmTable {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_command_has_the_words_of_all_and_its_own() {
        let of = table(
            "words = '-p gpu -t 60'\nsetup = 'module load a'\n[train]\nwords = '-t 24:00:00'\nprogram = 'x run \"a b\"'",
        );
        let later: Words = "--qos=high".parse().unwrap();
        assert_eq!(of.words("train", &later).unwrap().to_string(), "-p gpu -t 60 -t 24:00:00 '--qos=high'");
        assert_eq!(of.words("evaluate", &Words::default()).unwrap().to_string(), "-p gpu -t 60");
        assert_eq!((of.setup("train"), of.check()), ("module load a", None));
        assert_eq!(of.program("train").unwrap(), ["x", "run", "a b"]);
        assert!(of.program("evaluate").unwrap().is_empty() && !of.is_empty() && SlurmTable::default().is_empty());
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(table("[trian]\nwords = ''").check().unwrap().contains("`trian`"));
        assert!(table("words = '--wrap=x'").check().unwrap().contains("--wrap"));
        assert!(toml::from_str::<SlurmTable>("partition = 'gpu'").is_err());
    }
}
