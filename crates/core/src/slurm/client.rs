//! Slurm's own programs, called as rarely as possible.

use super::queue::{self, Answer, parse_queue};
use super::{Job, USUAL_ARRAY_SIZE};
use crate::error::{Error, Result};
use std::io::{ErrorKind, Write};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// What is left of a surrounding job's variables: how the controller is found, and who one is to it.
const KEPT: [&str; 3] = ["SLURM_CONF", "SLURM_JWT", "SLURM_CLUSTERS"];

/// A waiting time, which tests shorten by a factor in `LIPSCOPE_PACE`.
pub fn paced(seconds: f64) -> Duration {
    let factor = std::env::var("LIPSCOPE_PACE").ok().and_then(|text| text.parse::<f64>().ok());
    Duration::from_secs_f64(seconds * factor.filter(|factor| (0.0..=1.0).contains(factor)).unwrap_or(1.0))
}

/// Calls them.
#[derive(Debug, Default)]
pub struct Client;

/// Why `sbatch` did not submit anything, as far as it knows.
#[derive(Debug)]
pub enum Refusal {
    /// It is no use trying again.
    Final(Error),
    /// The controller did not answer in time: it may have taken the job all the same.
    Unanswered(String),
}

impl Client {
    /// The variables that a submission does not hand on: those of a surrounding job would be taken for its own.
    pub fn taken_out() -> Vec<String> {
        let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| is_taken_out(name)).collect();
        names.sort();
        names
    }

    fn command(program: &str) -> Command {
        let mut command = Command::new(program);
        for name in Client::taken_out() {
            command.env_remove(name);
        }
        command
    }

    fn run(program: &str, words: &[String], input: &str) -> std::io::Result<Output> {
        let mut command = Client::command(program);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        // A program that refuses its arguments reads nothing.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
        child.wait_with_output()
    }

    /// Whether `sbatch` can be started.
    ///
    /// # Errors
    /// It cannot, and why.
    pub fn check() -> Result<()> {
        Client::run("sbatch", &["--version".into()], "").map(|_| ()).map_err(|e| absent("sbatch", &e))
    }

    /// Submits a script; the job's number, and the cluster where one was named.
    pub(super) fn sbatch(
        &self,
        words: &[String],
        script: &str,
    ) -> std::result::Result<(String, Option<String>), Refusal> {
        let done = Client::run("sbatch", words, script).map_err(|e| Refusal::Final(absent("sbatch", &e)))?;
        let (stdout, stderr) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        if done.status.success() {
            return id(&stdout).ok_or_else(|| Refusal::Unanswered(format!("sbatch printed {stdout:?} and no number")));
        }
        let said = said(&stderr);
        if is_passing(&said) {
            return Err(Refusal::Unanswered(said));
        }
        let next = "Change --slurm, or ask who runs the cluster; --dry-run shows what is submitted.";
        Err(Refusal::Final(Error::mismatch(format!("sbatch submitted nothing: {}", said.trim_end_matches('.')), next)))
    }

    /// The number of the job with this name, where the controller knows one.
    pub(super) fn named(&self, name: &str) -> std::result::Result<Option<String>, String> {
        let words = ["-h", "-t", "all", "-n", name, "-o", "%F"].map(String::from);
        let found = query(&words)?;
        Ok(found.lines().map(str::trim).find(|id| !id.is_empty()).map(String::from))
    }

    /// What the controller knows of jobs, in one call for each cluster.
    pub fn queue(&self, jobs: &[&Job]) -> Answer {
        let mut clusters: Vec<Option<&str>> = jobs.iter().map(|job| job.cluster.as_deref()).collect();
        clusters.sort_unstable();
        clusters.dedup();
        let mut tasks = Vec::new();
        for cluster in clusters {
            let own = jobs.iter().filter(|job| job.cluster.as_deref() == cluster).map(|job| job.id.as_str());
            let ids = own.collect::<Vec<_>>().join(",");
            let mut words: Vec<String> =
                ["-h", "-r", "-t", "all", "-o", queue::FORMAT, "-j", &ids].map(String::from).into();
            words.extend(cluster.iter().map(|name| format!("--clusters={name}")));
            match query(&words) {
                Ok(text) => tasks.extend(parse_queue(&text)),
                // What it says of jobs that it has forgotten, where it knows none of them.
                Err(said) if said.contains("Invalid job id") => {}
                Err(said) => return Answer::Nothing(said),
            }
        }
        Answer::Tasks(tasks)
    }

    /// Cancels jobs; what could not be cancelled, in Slurm's words.
    ///
    /// # Errors
    /// `scancel` does not start.
    pub fn cancel(&self, jobs: &[&Job]) -> Result<()> {
        for job in jobs {
            let mut words = vec![job.id.clone()];
            words.extend(job.cluster.iter().map(|name| format!("--clusters={name}")));
            let done = Client::run("scancel", &words, "").map_err(|e| absent("scancel", &e))?;
            let said = said(&String::from_utf8_lossy(&done.stderr));
            // A job that is over needs no cancelling.
            if !done.status.success() && !said.contains("Invalid job id") {
                let next = format!("Try again: scancel {}.", job.id);
                return Err(Error::mismatch(format!("job {} was not cancelled: {said}", job.id), next));
            }
        }
        Ok(())
    }

    /// One more than the largest index that an array may have here.
    pub fn array_size(&self) -> usize {
        let text = Client::run("scontrol", &["show".into(), "config".into()], "").map(|done| done.stdout);
        let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        array_size(&text).unwrap_or(USUAL_ARRAY_SIZE)
    }
}

fn is_taken_out(name: &str) -> bool {
    name.starts_with("SLURM_") && !KEPT.contains(&name)
}

/// Runs `squeue`, without the defaults that its variables would give it.
fn query(words: &[String]) -> std::result::Result<String, String> {
    let mut command = Client::command("squeue");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SQUEUE_")) {
        command.env_remove(name);
    }
    let done = command.args(words).stdin(Stdio::null()).output().map_err(|e| format!("squeue does not start ({e})"))?;
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => Err(said(&String::from_utf8_lossy(&done.stderr))),
    }
}

/// `ID[;CLUSTER]`, on the last line: some sites print a greeting first.
fn id(stdout: &str) -> Option<(String, Option<String>)> {
    let line = stdout.lines().rfind(|line| !line.trim().is_empty())?.trim();
    let (id, cluster) = line.split_once(';').map_or((line, None), |(id, cluster)| (id, Some(cluster.to_string())));
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| (id.to_string(), cluster))
}

/// Slurm's complaint in one sentence, without the name of its program.
fn said(stderr: &str) -> String {
    let lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let bare = |line: &str| line.split_once("error: ").map_or(line, |(_, rest)| rest).to_string();
    let all: Vec<String> = lines.map(bare).collect();
    let told = if all.is_empty() { "it did not say why".to_string() } else { all.join("; ") };
    crate::error::quoted(&told)
}

/// Whether a complaint is about the moment, and not about what was asked.
fn is_passing(said: &str) -> bool {
    let said = said.to_lowercase();
    [
        "timed out",
        "unable to contact",
        "connection refused",
        "temporarily",
        "connection reset",
        "try again",
        "slow down",
    ]
    .iter()
    .any(|words| said.contains(words))
}

fn absent(program: &str, why: &std::io::Error) -> Error {
    match why.kind() {
        ErrorKind::NotFound => Error::mismatch(
            format!("--executor slurm needs {program}, which is not on the PATH"),
            "Give the command on a machine that submits jobs, or leave out --executor to have --shards as processes here.",
        ),
        _ => Error::io(program, "starting", why),
    }
}

/// `MaxArraySize = 1001` of `scontrol show config`.
fn array_size(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("MaxArraySize"))?;
    line.trim_start_matches([' ', '=']).trim().parse().ok().filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_sbatch_are_read() {
        assert_eq!(id("12\n"), Some(("12".into(), None)));
        assert_eq!(id("welcome to the cluster\n12;big\n"), Some(("12".into(), Some("big".into()))));
        assert_eq!(id("Submitted batch job"), None);
        assert_eq!(id(""), None);
    }

    #[test]
    fn complaints_are_told_apart() {
        let of = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n";
        assert_eq!(said(of), "Batch job submission failed: Socket timed out on send/recv operation");
        assert!(is_passing(&said(of)) && is_passing("Unable to contact slurm controller (connect failure)"));
        assert!(!is_passing("invalid partition specified: nowhere"));
    }

    #[test]
    fn the_longest_array_is_read() {
        assert_eq!(array_size("MailProg = /bin/true\nMaxArraySize            = 1001\nMaxJobCount = 1\n"), Some(1001));
        assert_eq!(array_size("MaxArraySize = 0"), None);
    }

    #[test]
    fn variables_of_a_surrounding_job_are_taken_out() {
        for name in ["SLURM_ARRAY_TASK_ID", "SLURM_CPUS_PER_TASK", "SLURM_JOB_ID"] {
            assert!(is_taken_out(name), "{name}");
        }
        for name in ["SLURM_CONF", "SBATCH_PARTITION", "SLURM_CLUSTERS", "PATH"] {
            assert!(!is_taken_out(name), "{name}");
        }
    }
}
