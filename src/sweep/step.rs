//! One step of a sweep: a command of lipscope, and the hash of all that its result depends on.

use super::results::{Results, fingerprint};
use crate::checkpoint::hexadecimal;
use crate::error::Result;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// A command with its place in the sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The command, such as `train`.
    pub command: String,
    /// Name of its setting.
    pub setting: String,
    /// Name of its model, for `train`.
    pub model: Option<String>,
    /// Its seed.
    pub seed: u64,
    /// What follows the command, but for `--seed` and `--out`.
    pub words: Vec<Word>,
    /// The hash of all that its result depends on; the name of its folder.
    pub key: String,
}

/// A word of a command line.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// As it is.
    Text(String),
    /// A file or folder, and the fingerprint of what it holds.
    Path(PathBuf, String),
    /// A file that another step writes: the step's key, and the file's name.
    Output(String, &'static str),
}

impl Word {
    /// A file or folder that is there.
    pub fn path(path: PathBuf) -> Result<Word> {
        let fingerprint = fingerprint(&path)?;
        Ok(Word::Path(path, fingerprint))
    }

    /// The key of the step that it comes from.
    pub fn source(&self) -> Option<&str> {
        match self {
            Word::Output(key, _) => Some(key),
            _ => None,
        }
    }

    /// What a result depends on: not where a file lies, but what is in it.
    fn identity(&self) -> String {
        match self {
            Word::Text(text) => format!("text {text}"),
            Word::Path(_, fingerprint) => format!("content {fingerprint}"),
            Word::Output(key, file) => format!("output {key} {file}"),
        }
    }
}

impl Step {
    /// A step with its key.
    pub fn new(command: &str, setting: &str, model: Option<&str>, seed: u64, words: Vec<Word>) -> Step {
        let mut hasher = Sha256::new();
        let version = format!("lipscope {}", env!("CARGO_PKG_VERSION"));
        let parts = [version, command.to_string(), seed.to_string()].into_iter();
        for part in parts.chain(words.iter().map(Word::identity)) {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        // Half of it tells steps apart, and leaves paths short.
        let key = &hexadecimal(hasher)[..32];
        Step {
            command: command.into(),
            setting: setting.into(),
            model: model.map(str::to_string),
            seed,
            words,
            key: format!("{command}-{key}"),
        }
    }

    /// For people: `train E-TSDM, cosine, seed 1`.
    pub fn name(&self) -> String {
        let model = self.model.as_ref().map(|model| format!(" {model}")).unwrap_or_default();
        let setting = if self.setting.is_empty() { String::new() } else { format!(", {}", self.setting) };
        format!("{}{model}{setting}, seed {}", self.command, self.seed)
    }

    /// The keys of the steps that it needs.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        self.words.iter().filter_map(Word::source)
    }
}

/// The command line of a step whose results lie in `results`.
pub fn command_line(step: &Step, results: &Results) -> Vec<String> {
    let word = |word: &Word| match word {
        Word::Text(text) => text.clone(),
        Word::Path(path, _) => path.display().to_string(),
        Word::Output(key, file) => results.folder(key).join(file).display().to_string(),
    };
    let mut words = vec![step.command.clone()];
    words.extend(step.words.iter().map(word));
    words.extend(["--seed".into(), step.seed.to_string()]);
    words.extend(["--out".into(), results.folder(&step.key).display().to_string()]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_depend_on_what_results_depend_on_and_on_nothing_else() {
        let step = |setting: &str, seed, words: &[Word]| Step::new("train", setting, None, seed, words.to_vec()).key;
        let text = |text: &str| Word::Text(text.into());
        let path = |path: &str, content: &str| Word::Path(path.into(), content.into());
        let reference = step("a", 0, &[text("--data"), path("x/data.npy", "1")]);
        assert_eq!(reference, step("b", 0, &[text("--data"), path("y/data.npy", "1")]));
        for other in [
            step("a", 1, &[text("--data"), path("x/data.npy", "1")]),
            step("a", 0, &[text("--data"), path("x/data.npy", "2")]),
            step("a", 0, &[text("--data"), text("1")]),
            step("a", 0, &[text("--dat"), text("a"), path("x/data.npy", "1")]),
        ] {
            assert_ne!(reference, other);
        }
    }
}
