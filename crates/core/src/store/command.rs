//! The command that a folder belongs to, so that it can be given again.

use crate::atomic;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The name of its file.
const FILE: &str = "command.json";

/// A command as it was typed, without what differs between those who share its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// The arguments behind the program's name.
    pub arguments: Vec<String>,
    /// Where it was given: paths among the arguments start there.
    pub directory: PathBuf,
    /// The device that batches are cut for, where none is named.
    #[serde(default)]
    pub device: Option<String>,
}

/// Arguments with a value that may differ between those who share the work, or that have no part in it.
const VALUES: [&str; 9] =
    ["--shard", "--shards", "--executor", "--slurm", "--attempts", "--submitted-by", "--threads", "--device", "--out"];
/// The same without a value.
const SWITCHES: [&str; 9] = [
    "--submit-only",
    "--cancel-on-interrupt",
    "--merge",
    "--strict",
    "--resume",
    "--quiet",
    "-q",
    "--json",
    "--dry-run",
];

/// Arguments without some that have values.
pub fn without(arguments: impl Iterator<Item = OsString>, names: &[&str]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut is_value = false;
    for argument in arguments {
        let text = argument.to_string_lossy();
        let name = text.split_once('=').map_or(&*text, |(name, _)| name);
        let dropped = std::mem::take(&mut is_value);
        if !dropped && names.contains(&name) {
            is_value = !text.contains('=');
        } else if !dropped {
            kept.push(argument);
        }
    }
    kept
}

impl Invocation {
    /// The command of this process, given in the folder where it is.
    ///
    /// # Errors
    /// There is no such folder any more.
    pub fn current() -> Result<Self> {
        let directory = std::env::current_dir().map_err(|e| Error::io(".", "finding the folder", &e))?;
        let kept = without(std::env::args_os().skip(1), &VALUES);
        let arguments = kept.into_iter().map(|argument| argument.to_string_lossy().into_owned());
        let arguments = arguments.filter(|argument| !SWITCHES.contains(&argument.as_str())).collect();
        Ok(Invocation { arguments, directory, device: None })
    }

    /// The same into a folder.
    #[must_use]
    pub fn into(mut self, folder: &Path) -> Self {
        self.arguments.extend(["--out".into(), folder.display().to_string()]);
        self
    }

    /// The same for batches of a device, as `--device` takes it.
    #[must_use]
    pub fn cut_for(self, device: String) -> Self {
        Invocation { device: Some(device), ..self }
    }

    /// Writes it down in a folder, where none is yet.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn keep(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        if path.exists() {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(self);
        let text = text.map_err(|e| Error::mismatch(format!("the command cannot be written ({e})"), "Report this."))?;
        match atomic::create(&path, &text) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::io(&path, "writing", &e)),
            _ => Ok(()),
        }
    }

    /// As it is typed in a shell.
    pub fn line(&self) -> String {
        let quoted =
            self.arguments.iter().map(|argument| match argument.chars().all(is_plain) && !argument.is_empty() {
                true => argument.clone(),
                false => format!("'{}'", argument.replace('\'', "'\\''")),
            });
        std::iter::once("lipscope".to_string()).chain(quoted).collect::<Vec<_>>().join(" ")
    }

    /// That of a folder; `None` where there is none, or none that can be read.
    pub fn of(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(FILE)).ok()?).ok()
    }
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "-_=+.,:/@%^".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_kept_without_what_is_somebodys_own() {
        let typed =
            ["measure", "a.pt", "--shards=2", "--threads", "4", "--seed", "1", "--out", "--device", "--device=cpu"];
        let kept = without(typed.iter().map(OsString::from), &VALUES);
        assert_eq!(kept, ["measure", "a.pt", "--seed", "1"]);
    }

    #[test]
    fn words_that_a_shell_would_cut_are_quoted() {
        let arguments = ["measure", "a b.pt", "--label", "it's", "--out", "x/y"].map(String::from).to_vec();
        let line = Invocation { arguments, directory: PathBuf::from("/"), device: None }.line();
        assert_eq!(line, "lipscope measure 'a b.pt' --label 'it'\\''s' --out x/y");
    }

    #[test]
    fn the_first_command_of_a_folder_stays() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Invocation::of(folder.path()).is_none());
        let command = |word: &str| Invocation { arguments: vec![word.into()], directory: "/".into(), device: None };
        command("measure").keep(folder.path()).unwrap();
        command("theory").keep(folder.path()).unwrap();
        assert_eq!(Invocation::of(folder.path()).unwrap(), command("measure"));
    }
}
