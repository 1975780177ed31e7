//! What is handed to sbatch: one array, whose tasks differ in one number.

use super::client::{Client, Refusal, paced};
use super::{Job, LOGS, Words, array};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::thread::sleep;

/// The script of every task. Arguments arrive exactly as they are, so that nothing in it needs quoting.
pub const SCRIPT: &str = "#!/bin/sh
# A task of an array of lipscope. Arguments: an offset of the array's indices, a flag with its end, and the command.
offset=$1 flag=$2 of=$3
shift 3
exec \"$@\" \"$flag\" \"$((SLURM_ARRAY_TASK_ID + offset))/$of\"
";

/// How often sbatch is tried where the controller does not answer, and the pause between.
const TRIES: usize = 3;
const PAUSE: f64 = 20.0;

/// What a task does: this command, with `--shard I/N` or the like behind it.
#[derive(Debug, Clone)]
pub struct Payload {
    /// Program and arguments.
    pub command: Vec<String>,
    /// The flag that says which part of the work it is, such as `--shard`.
    pub flag: &'static str,
    /// What follows its number and a slash: N.
    pub of: String,
}

/// Tasks to be submitted.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Name of its jobs: no other submission has it.
    pub name: String,
    /// Folder of the run; an absolute path.
    pub out: &'a Path,
    /// Folder in which tasks begin.
    pub directory: PathBuf,
    /// The user's options.
    pub words: &'a Words,
    /// Lines of shell before the command, such as `module load cuda`.
    pub setup: &'a str,
    /// What every task does.
    pub payload: Payload,
    /// Jobs that must be over before it begins, however they end.
    pub after: Vec<String>,
}

impl Request<'_> {
    /// The name of the array with this offset.
    fn job_name(&self, offset: usize) -> String {
        if offset == 0 { self.name.clone() } else { format!("{}-{offset}", self.name) }
    }

    /// The words of sbatch for the tasks offset + `indices`.
    ///
    /// # Errors
    /// A path that Slurm cannot be told.
    pub fn sbatch(&self, offset: usize, indices: &[usize]) -> Result<Vec<String>> {
        let logs = self.out.join(LOGS).display().to_string();
        if logs.contains('\\') {
            let next = "Choose another --out.";
            return Err(Error::file(self.out, "Slurm takes a backslash in the path of a log for something else", next));
        }
        let at_most = self.words.at_most().map(|count| format!("%{count}")).unwrap_or_default();
        let mut words = vec![
            "--parsable".to_string(),
            format!("--job-name={}", self.job_name(offset)),
            format!("--array={}{at_most}", array::shown(indices)),
            "--open-mode=append".into(),
            // `%` begins a pattern.
            format!("--output={}/%A_%a.log", logs.replace('%', "%%")),
            // To lipscope itself, which the script becomes.
            format!("--signal=B:TERM@{}", self.words.warning_seconds()),
            "--requeue".into(),
            format!("--chdir={}", self.directory.display()),
        ];
        if !self.after.is_empty() {
            words.push(format!("--dependency=afterany:{}", self.after.join(":")));
        }
        words.extend(self.words.words().iter().cloned());
        words.extend(["/dev/stdin".into(), offset.to_string(), self.payload.flag.into(), self.payload.of.clone()]);
        words.extend(self.payload.command.iter().cloned());
        Ok(words)
    }

    /// The script.
    pub fn script(&self) -> String {
        match self.setup.trim_end() {
            "" => SCRIPT.into(),
            // What sets a shell up is often written for bash.
            setup => {
                let body = SCRIPT.strip_prefix("#!/bin/sh\n").unwrap_or(SCRIPT);
                let (head, exec) = body.rsplit_once("exec ").unwrap_or((body, ""));
                format!("#!/usr/bin/env bash\n{head}{setup}\nexec {exec}")
            }
        }
    }

    /// Submits the tasks offset + `indices`. Where the controller does not answer, the job is looked for by its name before
    /// another try.
    ///
    /// # Errors
    /// sbatch refuses, or does not submit within some tries.
    pub fn submit(&self, client: &Client, offset: usize, indices: &[usize]) -> Result<Job> {
        let (words, script) = (self.sbatch(offset, indices)?, self.script());
        let job = |id: String, cluster| Job { id, cluster, offset, indices: indices.to_vec() };
        let mut why = String::new();
        for _ in 0..TRIES {
            match client.sbatch(&words, &script) {
                Ok((id, cluster)) => return Ok(job(id, cluster)),
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Unanswered(said)) => why = said,
            }
            sleep(paced(PAUSE));
            if let Ok(Some(id)) = client.named(&self.job_name(offset)) {
                return Ok(job(id, None));
            }
        }
        Err(Error::mismatch(
            format!("sbatch submitted nothing in {TRIES} tries: {}", why.trim_end_matches('.')),
            "Give the same command again later; nothing is lost.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(words: &'a Words, setup: &'a str) -> Request<'a> {
        let command = ["/bin/lipscope", "measure", "a b.pt", "--label", "it's"].map(String::from).into();
        Request {
            name: "lipscope-1a".into(),
            out: Path::new("/data/100 %"),
            directory: "/home/me".into(),
            words,
            setup,
            payload: Payload { command, flag: "--shard", of: "32".into() },
            after: Vec::new(),
        }
    }

    #[test]
    fn the_user_has_the_last_word() {
        let words: Words = "-p gpu --no-requeue --array=%4".parse().unwrap();
        let own = request(&words, "");
        let sbatch = own.sbatch(1000, &[0, 1, 2, 7]).unwrap();
        let expected = [
            "--parsable",
            "--job-name=lipscope-1a-1000",
            "--array=0-2,7%4",
            "--open-mode=append",
            "--output=/data/100 %%/log/%A_%a.log",
            "--signal=B:TERM@120",
            "--requeue",
            "--chdir=/home/me",
            "-p",
            "gpu",
            "--no-requeue",
            "/dev/stdin",
            "1000",
            "--shard",
            "32",
            "/bin/lipscope",
            "measure",
            "a b.pt",
            "--label",
            "it's",
        ];
        assert_eq!(sbatch, expected);
        let after = Request { after: vec!["7".into(), "8".into()], ..own };
        assert!(after.sbatch(0, &[0]).unwrap().contains(&"--dependency=afterany:7:8".to_string()));
        let bad = Request { out: Path::new("/a\\b"), ..after };
        assert!(bad.sbatch(0, &[0]).unwrap_err().to_string().contains("backslash"));
    }

    /// Runs a script as a task of an array would.
    fn run(script: &str, index: &str, arguments: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        std::fs::write(&path, script).unwrap();
        let shell = script.lines().next().unwrap().rsplit([' ', '/']).next().unwrap().to_string();
        let mut command = std::process::Command::new(shell);
        command.arg(&path).args(arguments).env("SLURM_ARRAY_TASK_ID", index);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    #[test]
    fn the_script_hands_arguments_on_exactly() {
        let words = Words::default();
        let print = ["1000", "--shard", "32", "printf", "[%s]", "a b", "it's \"$HOME\" `x` \\ *", ""];
        let expected = "[a b][it's \"$HOME\" `x` \\ *][][--shard][1003/32]";
        assert_eq!(run(&request(&words, "").script(), "3", &print), expected);
        let with_setup = request(&words, "[[ 1 == 1 ]] && echo loaded\n").script();
        assert_eq!(run(&with_setup, "3", &print), format!("loaded\n{expected}"));
    }
}
