//! The user's own words for sbatch.

use super::limit;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long before the end of a job its tasks are asked to stop, where the job is long enough.
const WARNING: Duration = Duration::from_secs(120);

/// Options of sbatch as a user gives them, such as `-p gpu -t 2:00:00 --gres=gpu:1`. They come last, so that they win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    words: Vec<String>,
    /// Tasks of the array that run at once, at most.
    at_most: Option<u32>,
}

/// Options that would break what an array of lipscope is, and what to do instead.
const TAKEN: [(&[&str], &str); 5] = [
    (&["--array", "-a"], "Give the number of tasks with --shards; --array=%N here limits how many run at once"),
    (&["--wrap"], "The command is lipscope's own; leave it out"),
    (&["--wait", "-W"], "lipscope waits by itself, unless --submit-only is given; leave it out"),
    (
        &["--test-only", "--help", "-h", "--usage", "--version", "-V"],
        "--dry-run shows what would be submitted; leave it out",
    ),
    (&["--dependency", "-d"], "A later run of the same command takes what is finished by then; leave it out"),
];

impl FromStr for Words {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |allowed: &str, next: &str| Err(Error::argument("--slurm", text, allowed, next));
        let Some(split) = shlex::split(text) else {
            return refuse("a quote is not closed", "Quote as in a shell: --slurm '-p gpu --comment \"two words\"'.");
        };
        let mut found = Words::default();
        let mut is_value = false;
        let mut split = split.into_iter().peekable();
        while let Some(word) = split.next() {
            let name = name(&word);
            if name.is_empty() && !is_value {
                return refuse(
                    &format!("`{word}` is no option of sbatch"),
                    "Give options only, such as --slurm '-p gpu -t 2:00:00'; the script is lipscope's own.",
                );
            }
            if let Some(at_most) = throttle(&word, split.peek()) {
                found.at_most = Some(at_most);
                if !word.contains('%') {
                    split.next();
                }
                continue;
            }
            if let Some((_, next)) = TAKEN.iter().find(|(names, _)| !is_value && names.contains(&name)) {
                return refuse(&format!("{name} is what lipscope gives"), &format!("{next}."));
            }
            // A value may follow an option without one; sbatch knows which options have values.
            is_value = !name.is_empty() && !word.contains('=') && name.len() == word.len();
            found.words.push(word);
        }
        Ok(found)
    }
}

/// `-p` of `-pgpu`, `--mem` of `--mem=4G`; empty for what is no option.
fn name(word: &str) -> &str {
    match word.strip_prefix('-') {
        Some("") | None => "",
        Some("-") => "",
        Some(long) if long.starts_with('-') => word.split('=').next().unwrap_or(word),
        Some(short) => &word[..1 + short.chars().next().map_or(0, char::len_utf8)],
    }
}

/// N of `--array=%N`, `--array %N`, `-a %N` and `-a%N`.
fn throttle(word: &str, next: Option<&String>) -> Option<u32> {
    let value = match name(word) {
        "--array" => word.strip_prefix("--array=").or(next.map(String::as_str)),
        "-a" => Some(&word[2..]).filter(|value| !value.is_empty()).or(next.map(String::as_str)),
        _ => None,
    };
    value?.strip_prefix('%')?.parse().ok().filter(|count| *count > 0)
}

impl Words {
    /// The words, without a limit of the array.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Tasks that run at once, at most.
    pub fn at_most(&self) -> Option<u32> {
        self.at_most
    }

    /// These words, and then others, which win.
    #[must_use]
    pub fn then(&self, later: &Words) -> Words {
        let words = self.words.iter().chain(&later.words).cloned().collect();
        Words { words, at_most: later.at_most.or(self.at_most) }
    }

    /// The value of the last of these options that is given.
    fn value(&self, names: &[&str]) -> Option<&str> {
        let at = self.words.iter().rposition(|word| names.contains(&name(word)))?;
        let word = &self.words[at];
        match word.split_once('=').filter(|_| word.starts_with("--")) {
            Some((_, value)) => Some(value),
            None if word.starts_with("--") || word.len() == 2 => self.words.get(at + 1).map(String::as_str),
            None => word.get(2..),
        }
    }

    /// Whether a GPU is asked for, here or in the defaults of the environment, which `variable` reads.
    pub fn ask_for_gpu(&self, variable: impl Fn(&str) -> Option<String>) -> bool {
        let counts = ["--gpus", "-G", "--gpus-per-node", "--gpus-per-task", "--gpus-per-socket"];
        let resources = ["--gres", "--tres-per-task"];
        let counts_some = |value: &str| !value.is_empty() && value.rsplit(':').next() != Some("0");
        let names_one = |value: &str| value.split([',', '/']).any(|part| part.contains("gpu") && counts_some(part));
        let defaults = ["SBATCH_GPUS", "SBATCH_GPUS_PER_NODE", "SBATCH_GPUS_PER_TASK"];
        self.value(&counts).is_some_and(counts_some)
            || self.value(&resources).is_some_and(names_one)
            || defaults.iter().any(|name| variable(name).is_some_and(|value| counts_some(&value)))
            || variable("SBATCH_GRES").is_some_and(|value| names_one(&value))
    }

    /// Seconds before its end at which a job is asked to stop: two minutes, or a quarter of a short job. A signal that is to
    /// come earlier than a job begins comes at once.
    pub fn warning_seconds(&self) -> u64 {
        let limit = self.value(&["--time", "-t"]).and_then(limit::parse);
        limit.map_or(WARNING, |limit| WARNING.min(limit / 4)).as_secs().max(1)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shlex::try_join(self.words.iter().map(String::as_str)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Words {
        text.parse().unwrap()
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        let of = words(r#"-p gpu --comment "two words" --qos='a b' -t2:00"#);
        assert_eq!(of.words(), ["-p", "gpu", "--comment", "two words", "--qos=a b", "-t2:00"]);
        assert_eq!(of.to_string().parse::<Words>().unwrap(), of);
        assert!(words("").words().is_empty());
    }

    #[test]
    fn what_would_break_the_array_is_refused() {
        for (text, says) in [
            ("--array=0-3", "--shards"),
            ("-a 0-3", "--shards"),
            ("--wrap=x", "leave it out"),
            ("-W", "waits by itself"),
            ("--test-only", "--dry-run"),
            ("-d afterok:1", "same command"),
            ("gpu", "no option"),
            ("-p gpu x.sh", "no option"),
            ("--mem=4G x.sh", "no option"),
            ("-p gpu :", "no option"),
            ("-- x", "no option"),
            ("-p 'gpu", "quote"),
        ] {
            let error = text.parse::<Words>().unwrap_err().to_string();
            assert!(error.starts_with("--slurm is `") && error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn tasks_at_once_can_be_limited() {
        for text in ["--array=%8 -p gpu", "-p gpu --array %8", "-a%8 -p gpu", "-a %8 -p gpu"] {
            let of = words(text);
            assert_eq!((of.at_most(), of.words().join(" ")), (Some(8), "-p gpu".into()), "{text}");
        }
        assert!("--array=%0".parse::<Words>().is_err());
    }

    #[test]
    fn a_gpu_is_asked_for_in_many_ways() {
        let none = |_: &str| None;
        for text in
            ["--gres=gpu:1", "--gres gpu", "-G 1", "-G2", "--gpus=a100:2", "--gpus-per-task 1", "--gres=x:1,gpu:2"]
        {
            assert!(words(text).ask_for_gpu(none), "{text}");
        }
        for text in ["-p gpu", "--gres=shard:1", "", "--gpus=0", "--gres=gpu:0", "--gres=gpu:1 --gres=none"] {
            assert!(!words(text).ask_for_gpu(none), "{text}");
        }
        assert!(words("").ask_for_gpu(|name| (name == "SBATCH_GRES").then(|| "gpu:1".into())));
    }

    #[test]
    fn short_jobs_are_warned_later() {
        for (text, seconds) in [("", 120), ("-t 2:00:00", 120), ("--time=4", 60), ("-t1", 15), ("--time 0:20", 5)] {
            assert_eq!(words(text).warning_seconds(), seconds, "{text}");
        }
        assert_eq!(words("-t 1").then(&words("-t 60")).warning_seconds(), 120);
    }
}
