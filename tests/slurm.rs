//! `--executor slurm` on a real Slurm: daemons of its own for every test. What jobs leave, put together, is what one process
//! measures, bit for bit, whatever happens to the jobs.
#![cfg(target_os = "linux")]

mod common;

use common::cluster::{Cluster, is_there, wait_for};
use common::{fixture, fresh, names, outcome, report};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;

/// A command with the outcome of one process; the jobs go to `out` in a folder of their own.
struct Case {
    cluster: Cluster,
    folder: tempfile::TempDir,
    out: PathBuf,
    command: Vec<String>,
    whole: Value,
}

impl Case {
    fn new(command: &[&str]) -> Case {
        Case::with(command, None)
    }

    /// What one process measures is `whole`, where that is known. Sums of float32 numbers may depend on the number of threads.
    fn with(command: &[&str], whole: Option<&Value>) -> Case {
        let (folder, out) = fresh("out");
        let command: Vec<String> =
            command.iter().chain(&["--threads", "1", "--quiet"]).map(|w| w.to_string()).collect();
        let mut case = Case { cluster: Cluster::start(), folder, out, command, whole: Value::Null };
        if let Some(known) = whole {
            return Case { whole: known.clone(), ..case };
        }
        let whole = case.run(&["--out", "whole"]);
        assert!(whole.status.success(), "{}", said(&whole));
        case.whole = outcome(&case.here().join("whole"));
        case
    }

    /// Work of several seconds for each shard, in many units: parts are written after two.
    fn long() -> Case {
        static WHOLE: OnceLock<Value> = OnceLock::new();
        let (pipeline, of) =
            (fixture("torchscript/pipeline"), ["--samples", "2000", "--batch", "8", "--timesteps", "0..12"]);
        let command = [&["measure", &pipeline, "--data", "digits"], &of[..]].concat();
        let whole = WHOLE.get_or_init(|| Case::new(&command).whole.clone());
        Case::with(&command, Some(whole))
    }

    fn here(&self) -> &Path {
        self.folder.path()
    }

    fn words<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.command.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }

    fn run(&self, more: &[&str]) -> Output {
        self.cluster.lipscope(self.here(), &self.words(more)).output().unwrap()
    }

    /// With two shards on the cluster, as long as nothing else is said.
    fn submit(&self, more: &[&str]) -> Output {
        self.run(&[&SLURM[..], more].concat())
    }

    fn submit_only(&self) {
        let output = self.submit(&["--submit-only"]);
        assert!(output.status.success(), "{}", said(&output));
    }

    fn wait_for_a_part(&self) {
        wait_for("a part", || self.parts() > 0);
    }

    fn parts(&self) -> usize {
        if self.out.join("parts").is_dir() { names(&self.out.join("parts")).len() } else { 0 }
    }

    /// The same command waits, submits what is missing, and reports what one process does.
    fn ends_well(&self) -> String {
        let output = self.submit(&[]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(outcome(&self.out) == self.whole, "{}", said(&output));
        said(&output)
    }

    fn log(&self, task: &str) -> String {
        std::fs::read_to_string(self.out.join("log").join(format!("{task}.log"))).unwrap()
    }

    fn submissions(&self) -> Vec<Value> {
        let folder = self.out.join("submissions");
        let read = |name: String| serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
        names(&folder).into_iter().map(read).collect()
    }
}

const SLURM: [&str; 6] = ["--out", "out", "--executor", "slurm", "--shards", "2"];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_array_does_what_one_process_does() {
    if !is_there() {
        return;
    }
    let pipeline = fixture("torchscript/pipeline");
    let of = ["--data", "digits", "--samples", "8", "--batch", "8", "--timesteps", "auto", "--tolerance", "0.3"];
    let case = Case::new(&[&["measure", &pipeline, "--label", "it's \"$HOME\" `x` ; *"][..], &of].concat());
    // `auto` adds timesteps in waves, which are one array each.
    let slurm = ["--executor", "slurm", "--shards", "3", "--slurm", "-c 1 --comment \"two words\" --array=%2"];
    let output = case.run(&[&["--out", "a folder, 100 %"], &slurm[..]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let out = case.here().join("a folder, 100 %");
    assert!(outcome(&out) == case.whole);
    let submissions = names(&out.join("submissions")).len();
    assert!(submissions > 1, "there was one wave only");
    assert!(names(&out.join("log")).contains(&"1_0.log".to_string()));
    let parts = &report(&out)["provenance"]["parts"];
    assert!(parts[0]["jobs"][0].as_str().is_some_and(|job| job.starts_with("1_")), "{parts}");
    // All is there: nothing is submitted.
    let again = case.run(&[&["--out", "a folder, 100 %"], &slurm[..]].concat());
    assert!(again.status.success() && names(&out.join("submissions")).len() == submissions);
}

#[test]
fn tables_and_perturbations_of_an_array_are_those_of_one_process() {
    if !is_there() {
        return;
    }
    let pipeline = fixture("torchscript/pipeline");
    for command in [
        &["stability", &pipeline, "--data", "digits", "--samples", "8", "--timesteps", "0..4"][..],
        &["evaluate", &pipeline, "--data", "digits", "--samples", "24", "--nfe", "2", "--seeds", "3"],
    ] {
        Case::new(command).ends_well();
    }
}

#[test]
fn a_task_that_is_requeued_goes_on() {
    if !is_there() {
        return;
    }
    let case = Case::long();
    case.submit_only();
    case.wait_for_a_part();
    case.cluster.run("scontrol", &["requeue", "1_0"]);
    let said = case.ends_well();
    assert!(said.contains("waits") || said.is_empty() || said.contains("job 1"), "{said}");
    assert_eq!(case.submissions().len(), 1, "the requeued task did the rest itself");
    let parts = report(&case.out)["provenance"]["parts"].to_string();
    assert!(parts.contains("1_0, start 1"), "{parts}");
    assert!(!case.log("1_0").is_empty());
}

#[test]
fn a_task_that_is_cancelled_is_named_and_done_by_the_same_command() {
    if !is_there() {
        return;
    }
    let case = Case::long();
    case.submit_only();
    case.wait_for_a_part();
    case.cluster.run("scancel", &["1_1"]);
    let waited = case.submit(&["--attempts", "1"]);
    assert!(
        waited.status.success(),
        "the first run waits for what is there, and then submits the rest: {}",
        said(&waited)
    );
    assert!(outcome(&case.out) == case.whole);
    let submissions = case.submissions();
    assert_eq!(submissions.len(), 2);
    assert_eq!(submissions[1]["jobs"][0]["indices"], serde_json::json!([1]), "only the shard that was cancelled");
}

#[test]
fn what_is_missing_in_the_end_is_an_error_that_names_it() {
    if !is_there() {
        return;
    }
    let case = Case::long();
    let waiting = case.cluster.lipscope(case.here(), &case.words(&SLURM)).stderr(Stdio::piped()).spawn().unwrap();
    case.wait_for_a_part();
    // As at the end of a time limit.
    case.cluster.run("scancel", &["--batch", "--signal=TERM", "1_0"]);
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    for words in ["shard 0/2 lacks t = ", "interrupted", "1_0.log", "--shard 0/2"] {
        assert!(said(&output).contains(words), "{words}: {}", said(&output));
    }
    let kept = case.parts();
    assert!(kept >= 2, "what was finished was not kept");
    let status =
        String::from_utf8(case.cluster.lipscope(case.here(), &["status", "out"]).output().unwrap().stdout).unwrap();
    assert!(status.contains("job 1") && status.contains("interrupted"), "{status}");
    case.ends_well();
    assert_eq!(case.submissions()[1]["jobs"][0]["indices"], serde_json::json!([0]));
}

#[test]
fn attempts_submit_the_rest_as_long_as_something_is_finished() {
    if !is_there() {
        return;
    }
    let case = Case::long();
    let more = [&SLURM[..], &["--attempts", "3"]].concat();
    let waiting = case.cluster.lipscope(case.here(), &case.words(&more)).stderr(Stdio::piped()).spawn().unwrap();
    case.wait_for_a_part();
    case.cluster.run("scancel", &["--batch", "--signal=TERM", "1_0"]);
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(outcome(&case.out) == case.whole);
    assert_eq!(case.submissions().len(), 2);
}

#[test]
fn a_node_that_is_lost_costs_nothing_but_time() {
    if !is_there() {
        return;
    }
    let case = Case::long();
    // Four CPUs each: one task for each node.
    let output = case.submit(&["--submit-only", "--slurm", "-c 4"]);
    assert!(output.status.success(), "{}", said(&output));
    case.wait_for_a_part();
    let on = |node: &str| case.cluster.states().iter().any(|state| state.contains("RUNNING") && state.ends_with(node));
    assert!(on("n1") && on("n2"), "{:?}", case.cluster.states());
    case.cluster.lose("n2");
    case.ends_well();
}

#[test]
fn a_user_who_stops_waiting_is_told_how_to_go_on() {
    if !is_there() {
        return;
    }
    let case = Case::long();
    for (cancels, code, signal) in [(false, 130, "-INT"), (true, 143, "-TERM")] {
        let more: &[&str] = if cancels { &["--cancel-on-interrupt"] } else { &[] };
        let words = [&SLURM[..], more].concat();
        let words: Vec<&str> = case.words(&words).into_iter().filter(|word| *word != "--quiet").collect();
        let mut waiting = case.cluster.lipscope(case.here(), &words).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(waiting.stderr.take().unwrap()).lines().map(Result::unwrap);
        let begins =
            if cancels { "job 1 of an earlier submission is still at work" } else { "submitted 2 tasks as job 1" };
        assert!(lines.any(|line| line.starts_with(begins)), "{begins}");
        case.wait_for_a_part();
        std::process::Command::new("kill").args([signal, &waiting.id().to_string()]).status().unwrap();
        let told = lines.collect::<Vec<_>>().join("\n");
        assert_eq!(waiting.wait().unwrap().code(), Some(code), "{told}");
        let expected = if cancels { "Job 1 was cancelled" } else { "Job 1 goes on" };
        assert!(told.contains(expected), "{told}");
        let is_over = |state: &String| ["CANCELLED", "COMPLETED", "COMPLETING"].iter().any(|over| state.contains(over));
        if cancels {
            wait_for("the end of tasks", || case.cluster.states().iter().all(is_over));
        }
    }
    case.ends_well();
}

#[test]
fn what_will_never_run_is_told_with_its_reason() {
    if !is_there() {
        return;
    }
    let pipeline = fixture("torchscript/pipeline");
    let of = ["--data", "digits", "--samples", "4", "--batch", "4", "--timesteps", "0..2"];
    let case = Case::new(&[&["measure", &pipeline][..], &of].concat());
    let output = case.submit(&["--slurm", "-p short -t 11"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("PartitionTimeLimit") && said(&output).contains("scancel 1"), "{}", said(&output));
    let output = case.submit(&["--slurm", "-p nowhere"]);
    assert!(said(&output).contains("job 1 (PartitionTimeLimit)"), "the job still waits: {}", said(&output));
    case.cluster.run("scancel", &["1"]);
    let output = case.submit(&["--slurm", "-p nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("invalid partition specified: nowhere"), "{}", said(&output));
    assert_eq!(case.submissions().len(), 1, "what was refused is no submission");
    // A GPU that is no GPU: the task fails instead of crawling on the CPU.
    let output = case.submit(&["--slurm", "--gres=gpu:1"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("--device is `cuda:0`"), "{}", said(&output));
    case.ends_well();
}

#[test]
fn more_shards_than_an_array_may_have_are_several_arrays() {
    if !is_there() {
        return;
    }
    let pipeline = fixture("torchscript/pipeline");
    let case =
        Case::new(&["measure", &pipeline, "--data", "digits", "--samples", "4", "--batch", "4", "--timesteps", "0..5"]);
    let case = Case { cluster: Cluster::with_arrays_below(3), ..case };
    let output = case.submit(&["--shards", "5"]);
    assert!(!output.status.success(), "--shards twice");
    let output = case.run(&["--out", "out", "--executor", "slurm", "--shards", "5"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(outcome(&case.out) == case.whole);
    let offsets: Vec<_> =
        case.submissions()[0]["jobs"].as_array().unwrap().iter().map(|job| job["offset"].clone()).collect();
    assert_eq!(offsets, [0, 3]);
}

/// Two trainings, one of which fails, and what is done with them.
const PLAN: &str = r#"
    title = "A small sweep"
    train = { data = "eight-gaussians", arch = "mlp:width=16,blocks=1", steps = 5, batch = 8 }
    [slurm]
    words = "-c 1"
    [slurm.train]
    words = "--comment 'a training'"
    setup = "export LOADED='a module'"
    [[model]]
    name = "DDPM"
    train.variant = "ddpm"
    [[setting]]
    name = "good"
    [[setting]]
    name = "bad"
    train.until = UNTIL
    train.variant = "e-tsdm"
    [[job]]
    command = "compare"
    flags = { data = "eight-gaussians", samples = 4, timesteps = "0,1,200,300" }
    [[job]]
    command = "stability"
    flags = { data = "eight-gaussians", samples = 4, timesteps = "0,1", sizes = 0.1, time-steps = 1 }
"#;

#[test]
fn steps_of_a_plan_are_jobs_and_one_that_fails_stops_what_needs_it_alone() {
    if !is_there() {
        return;
    }
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let plan = |until: &str| std::fs::write(here.join("plan.toml"), PLAN.replace("UNTIL", until)).unwrap();
    let words = ["reproduce", "plan.toml", "--results", "results", "--out", "out", "--threads", "1", "--quiet"];
    let run = |more: &[&str]| cluster.lipscope(here, &[&words[..], more].concat()).output().unwrap();
    plan("5000");
    let output = run(&["--executor", "slurm"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    for expected in ["1 of 6 steps failed: `train DDPM, bad, seed 0`", "5000", "Not run", "`stability, bad, seed 0`"] {
        assert!(said(&output).contains(expected), "{expected}: {}", said(&output));
    }
    let done = || {
        let results = here.join("results");
        names(&results).into_iter().filter(|name| results.join(name).join("done.json").exists()).collect::<Vec<_>>()
    };
    assert_eq!(done().len(), 3, "what does not need the failed step is done");
    assert_eq!(report(&here.join("out"))["complete"], false);
    let status = cluster.lipscope(here, &["status", "out"]).output().unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("job 1: 0 running") && status.contains("5000"), "{status}");
    // The same command redoes what is missing, and nothing else; the numbers are those of one machine.
    plan("50");
    let before = done();
    let output = run(&["--executor", "slurm"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(done().len() == 6 && before.iter().all(|name| done().contains(name)));
    let rows = |out: &str| {
        let text = std::fs::read_to_string(here.join(out).join("results.csv")).unwrap();
        text.lines().filter(|line| !line.contains("wall_seconds")).map(String::from).collect::<Vec<_>>()
    };
    let local = ["reproduce", "plan.toml", "--results", "others", "--out", "local", "--jobs", "1", "--threads", "1"];
    let output = cluster.lipscope(here, &local).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(rows("out"), rows("local"));
}
