//! `--executor slurm` without a Slurm: what is submitted, what is refused, and what is made of the answers of `sbatch` and
//! `squeue`, which are scripts of the tests here.
#![cfg(unix)]

mod common;

use common::{fixture, fresh, names, outcome, succeed};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Takes the words of sbatch and its script; `$JOBS` counts the calls.
const TAKE: &str = r#"
for word in "$@"; do
    case $word in
        --array=*) indices=${word#--array=} ;;
        --output=*) log=${word#--output=} ;;
    esac
done
while [ "$1" != /dev/stdin ]; do shift; done
shift
script=$(mktemp)
cat >"$script"
echo call >>"$JOBS"
job=$(wc -l <"$JOBS" | tr -d ' ')
env | grep ^SLURM_ | sort >"$JOBS.environment" || true
"#;

/// Runs the tasks, one after the other, as a cluster would in its time.
const RUN: &str = r#"
for range in $(echo "${indices%\%*}" | tr ',' ' '); do
    for index in $(seq "${range%-*}" "${range#*-}"); do
        file=$(echo "$log" | sed "s/%A/$job/; s/%a/$index/; s/%%/%/g")
        SLURM_ARRAY_JOB_ID=$job SLURM_ARRAY_TASK_ID=$index sh "$script" "$@" >>"$file" 2>&1 || true
    done
done
rm -f "$script"
"#;

/// A folder with scripts in the place of Slurm's programs.
struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    fn new(programs: &[(&str, &str)]) -> Fake {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        for (name, text) in programs {
            let path = folder.path().join("bin").join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Fake { folder }
    }

    fn command(&self, here: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lipscope"));
        let path = format!("{}:/usr/bin:/bin", self.folder.path().join("bin").display());
        command.current_dir(here).args(arguments).env("PATH", path).env("LIPSCOPE_PACE", "0.01");
        command.env("JOBS", self.folder.path().join("jobs")).env_remove("NO_COLOR");
        command
    }

    fn run(&self, here: &Path, arguments: &[&str]) -> Output {
        self.command(here, arguments).output().unwrap()
    }

    fn calls(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("jobs")).map_or(0, |text| text.lines().count())
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Measures four timesteps.
fn measure(pipeline: &str) -> [&str; 13] {
    let of = ["--samples", "4", "--batch", "4", "--timesteps", "0..4", "--threads", "1"];
    let [a, b, c, d, e, f, g, h] = of;
    ["measure", pipeline, "--data", "digits", "--quiet", a, b, c, d, e, f, g, h]
}

const SLURM: [&str; 6] = ["--out", "out", "--executor", "slurm", "--shards", "2"];

#[test]
fn a_dry_run_shows_what_would_be_submitted_and_runs_nothing() {
    let fake = Fake::new(&[("sbatch", "echo called >>\"$JOBS\""), ("scontrol", "echo called >>\"$JOBS\"")]);
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let more = ["--dry-run", "--slurm", "-p gpu --comment 'two words' --gres=gpu:1 --array=%1", "--label", "it's a b"];
    let plain = ["measure", &pipeline, "--data", "digits", "--timesteps", "0..4", "--seed", "3"];
    let mut command = fake.command(folder.path(), &[&plain[..], &SLURM, &more].concat());
    let output = command.env("SLURM_JOB_ID", "7").env("SLURM_CONF", "/etc/slurm.conf").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(fake.calls() == 0 && !out.exists());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let words: Vec<&str> = told["sbatch"][0].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let here = folder.path().canonicalize().unwrap();
    for expected in ["--parsable", "--array=0-1%1", "--open-mode=append", "--signal=B:TERM@120", "--requeue", "--shard"]
    {
        assert!(words.contains(&expected), "{expected}: {words:?}");
    }
    let at = |word: &str| words.iter().position(|own| *own == word).unwrap_or_else(|| panic!("{word}: {words:?}"));
    assert!(
        at("--requeue") < at("two words") && at("two words") < at("/dev/stdin") && at("/dev/stdin") < at("it's a b")
    );
    assert!(words.contains(&format!("--chdir={}", here.display()).as_str()), "{words:?}");
    let device = words[at("--device") + 1];
    assert_eq!(device, "cuda:0", "tasks that ask for a GPU must have one");
    assert_eq!(told["plan"]["batch"], 256, "batches are cut for the device of the tasks");
    assert!(told["script"].as_str().unwrap().starts_with("#!/bin/sh\n"));
    let without: Vec<&str> = told["environment_without"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(without.contains(&"SLURM_JOB_ID") && !without.contains(&"SLURM_CONF"), "{without:?}");
}

#[test]
fn what_cannot_be_submitted_is_refused_beforehand() {
    let none = Fake::new(&[]);
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let cases: [(&[&str], &str); 8] = [
        (&["--executor", "slurm"], "--shards N"),
        (&["--slurm", "-p gpu"], "--slurm is about jobs"),
        (&["--submit-only", "--shards", "2"], "--submit-only is about jobs"),
        (&["--executor", "slurm", "--shards", "2", "--slurm", "--array=0-9"], "--shards"),
        (&["--executor", "slurm", "--shards", "2", "--slurm", "-p 'gpu"], "quote"),
        (&["--executor", "slurm", "--shards", "2", "--device", "cuda:0,1"], "one device"),
        (&["--executor", "pbs", "--shards", "2"], "local or slurm"),
        (&["--shards", "2000"], "at most 1024"),
    ];
    for (more, says) in cases {
        let output = none.run(folder.path(), &[&measure(&pipeline)[..], &["--out", "out"], more].concat());
        assert_eq!(output.status.code(), Some(2), "{more:?}: {}", said(&output));
        assert!(said(&output).starts_with("error: ") && said(&output).contains(says), "{more:?}: {}", said(&output));
        assert!(!out.exists(), "{more:?}");
    }
    if !["/usr/bin/sbatch", "/bin/sbatch"].iter().any(|path| Path::new(path).exists()) {
        let output = none.run(folder.path(), &[&measure(&pipeline)[..], &SLURM].concat());
        assert!(said(&output).contains("needs sbatch, which is not on the PATH"), "{}", said(&output));
        assert!(!out.exists());
    }
    // Samples that a model makes of itself differ between machines.
    let fake = Fake::new(&[("sbatch", "true")]);
    let output =
        fake.run(folder.path(), &[&["measure", &pipeline, "--timesteps", "0,1", "--quiet"][..], &SLURM].concat());
    assert!(said(&output).contains("--data"), "{}", said(&output));
}

#[test]
fn a_queue_that_does_not_answer_says_nothing_about_jobs() {
    let squeue = "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1";
    // Tasks begin only after the client has waited for a while.
    let sbatch = format!("{TAKE}\n(sleep 3\n{RUN}) >/dev/null 2>&1 &\necho 1");
    let fake = Fake::new(&[("sbatch", &sbatch), ("squeue", squeue)]);
    let (folder, out) = fresh("out");
    let here = folder.path();
    let pipeline = fixture("torchscript/pipeline");
    let loud: Vec<&str> = measure(&pipeline).into_iter().filter(|word| *word != "--quiet").collect();
    let output = fake.run(here, &[&loud[..], &SLURM].concat());
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("the queue does not answer"), "{}", said(&output));
    succeed(here, &[&measure(&pipeline)[..], &["--out", "whole"]].concat());
    assert!(outcome(&out) == outcome(&here.join("whole")));
    // A later run does not know whether jobs are still at work, and starts none beside them.
    std::fs::remove_dir_all(out.join("parts")).unwrap();
    let output = fake.run(here, &[&loud[..], &SLURM].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("whether job 1 is still at work is unknown"), "{}", said(&output));
    assert_eq!(fake.calls(), 1);
}

#[test]
fn a_job_that_was_taken_without_an_answer_is_not_submitted_twice() {
    let sbatch = format!("{TAKE}{RUN}\necho 'sbatch: error: Socket timed out on send/recv operation' >&2\nexit 1");
    let squeue = "case \"$*\" in *-n*) echo 1 ;; esac";
    let fake = Fake::new(&[("sbatch", &sbatch), ("squeue", squeue)]);
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let mut command = fake.command(folder.path(), &[&measure(&pipeline)[..], &SLURM].concat());
    let output = command.env("SLURM_CPUS_PER_TASK", "3").env("SLURM_ARRAY_TASK_ID", "1").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fake.calls(), 1);
    assert_eq!(names(&out.join("log")), ["1_0.log", "1_1.log"]);
    let handed_on = std::fs::read_to_string(fake.folder.path().join("jobs.environment")).unwrap();
    assert!(handed_on.is_empty(), "variables of the surrounding job: {handed_on}");
}

#[test]
fn what_sbatch_refuses_is_told_in_its_words() {
    let fake =
        Fake::new(&[("sbatch", "echo 'sbatch: error: invalid partition specified: x' >&2; exit 1"), ("squeue", "")]);
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let output = fake.run(folder.path(), &[&measure(&pipeline)[..], &SLURM].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("sbatch submitted nothing: invalid partition specified: x. Change --slurm"),
        "{}",
        said(&output)
    );
    assert!(names(&out.join("submissions")).is_empty());
}

#[test]
fn a_task_of_another_version_measures_nothing() {
    let fake = Fake::new(&[]);
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let more = ["--out", "out", "--shard", "0/2", "--submitted-by", "0.0.1"];
    let output = fake.run(folder.path(), &[&measure(&pipeline)[..], &more].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("submitted by lipscope 0.0.1") && !out.exists(), "{}", said(&output));
}
