//! `lipscope reproduce`: what is run, what is kept, and what an interrupt leaves.

mod common;

use common::{lipscope, names, refuse, report, succeed};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// Two small models × two seeds, compared at three timesteps.
const PLAN: &str = r#"
    title = "A small sweep"
    seeds = [0, 1]
    headlines = ["secant rest mean"]
    train = { data = "eight-gaussians", arch = "mlp:width=16,blocks=1", steps = 5, batch = 8 }
    [[model]]
    name = "DDPM"
    train.variant = "ddpm"
    [[model]]
    name = "E-TSDM"
    train.variant = "e-tsdm"
    [[job]]
    command = "compare"
    flags = { data = "eight-gaussians", samples = 4, timesteps = "0,1,200,300" }
    [[job]]
    command = "evaluate"
    flags = { data = "eight-gaussians", nfe = [2, 3], samples = 8, seeds = 1, metrics = ["frechet"] }
    [[job]]
    command = "stability"
    flags = { data = "eight-gaussians", samples = 4, timesteps = "0,1", sizes = 0.1, time-steps = 1 }
    [[figure]]
    name = "curve"
    title = "K"
    table = "curves"
    only = [["quantity", "secant"]]
    x = { column = "noise_steps", label = "steps of noise", log = true }
    y = { column = "mean", label = "K [1/step]", log = true }
    series = "model"
"#;

fn folder_with(plan: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plan.toml"), plan).unwrap();
    folder
}

const RUN: [&str; 7] = ["reproduce", "plan.toml", "--results", "results", "--out", "out", "--jobs=2"];

/// Rows of a table but for times.
fn rows(folder: &Path, table: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join("out").join(format!("{table}.csv"))).unwrap();
    text.lines().filter(|line| !line.contains("wall_seconds")).map(str::to_string).collect()
}

/// When each step was finished.
fn finished(folder: &Path) -> Vec<(String, SystemTime)> {
    let results = folder.join("results");
    let done = |name: &String| fs::metadata(results.join(name).join("done.json")).ok()?.modified().ok();
    names(&results).into_iter().filter_map(|name| done(&name).map(|time| (name, time))).collect()
}

#[test]
fn a_plan_is_carried_out_once() {
    let folder = folder_with(PLAN);
    let dry: Value = serde_json::from_str(&succeed(folder.path(), &[&RUN[..], &["--dry-run"]].concat())).unwrap();
    let steps = dry.as_array().unwrap();
    assert_eq!(steps.len(), 10);
    assert!(steps.iter().all(|step| step["done"] == false) && !folder.path().join("results").exists());

    let said = succeed(folder.path(), &[&RUN[..], &["--plot=svg"]].concat());
    assert!(said.contains("secant rest mean: E-TSDM over DDPM, 2 seeds: "), "{said}");
    assert_eq!(
        names(&folder.path().join("out")),
        ["curve.svg", "curves.csv", "report.json", "results.csv", "summary.csv"]
    );
    let (first, kept) = (rows(folder.path(), "results"), finished(folder.path()));
    assert_eq!(kept.len(), 10);
    let found = report(&folder.path().join("out"));
    assert_eq!((found["complete"].as_bool(), found["command"].as_str()), (Some(true), Some("reproduce")));
    for found in
        ["frechet,ddim,uniform,2,2,", "frechet,ddim,uniform,3,2,", "perturbed x,,,,2,", "secant rest mean,,,,2,"]
    {
        for model in ["DDPM", "E-TSDM"] {
            let has = |line: &String| line.starts_with(&format!(",{model},")) && line.contains(found);
            assert!(rows(folder.path(), "summary").iter().any(has), "{model}: no {found}");
        }
    }
    let text = found.to_string();
    assert!(!text.contains(&folder.path().display().to_string()), "the report names the machine's folders");

    // Again: the same tables, and nothing is run.
    succeed(folder.path(), &RUN);
    assert_eq!((rows(folder.path(), "results"), finished(folder.path())), (first, kept.clone()));

    // One more seed: what is there stays.
    fs::write(folder.path().join("plan.toml"), PLAN.replace("[0, 1]", "[0, 1, 2]")).unwrap();
    succeed(folder.path(), &RUN);
    let more = finished(folder.path());
    assert_eq!(more.len(), 15);
    assert!(kept.iter().all(|step| more.contains(step)));
}

#[test]
fn an_interrupt_loses_and_repeats_nothing() {
    // Long enough that the trainings are under way when the interrupt comes.
    let plan = PLAN.replace("steps = 5", "steps = 3000, save-every = 1000");
    let (whole, cut) = (folder_with(&plan), folder_with(&plan));
    succeed(whole.path(), &RUN);

    let mut command = Command::new(env!("CARGO_BIN_EXE_lipscope"));
    let child = command.current_dir(cut.path()).args(RUN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let results = cut.path().join("results");
    let began = || results.exists() && names(&results).iter().any(|name| results.join(name).join("train.csv").exists());
    while !began() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    let status = child.wait_with_output().unwrap().status;
    assert_eq!(status.code(), Some(130));
    assert_eq!(report(&cut.path().join("out"))["complete"], false);
    let kept = finished(cut.path());
    assert!(kept.len() < 10);

    succeed(cut.path(), &RUN);
    assert_eq!(rows(cut.path(), "summary"), rows(whole.path(), "summary"));
    assert_eq!(report(&cut.path().join("out"))["complete"], true);
    assert!(kept.iter().all(|step| finished(cut.path()).contains(step)));
}

#[test]
fn what_fails_is_named_and_the_rest_is_kept() {
    let plan = PLAN.replace(r#"train.variant = "e-tsdm""#, r#"train = { variant = "e-tsdm", until = 5000 }"#);
    let folder = folder_with(&plan);
    refuse(folder.path(), &RUN, &["`train E-TSDM, seed 0` failed", "5000", "log.txt"]);
    assert!(!finished(folder.path()).is_empty());
    assert_eq!(report(&folder.path().join("out"))["complete"], false);
}

#[test]
fn plans_that_cannot_be_carried_out_are_refused_beforehand() {
    let cases = [
        (PLAN.replace("samples = 4", "sample = 4"), "`compare, seed 0` is no command"),
        (PLAN.replace("command = \"compare\"", "command = \"rm\""), "`rm`"),
        (PLAN.replace("title = \"A", "heading = \"A"), "line 2: unknown field `heading`"),
        (PLAN.replace("data = \"eight-gaussians\", arch", "data = \"./missing.npy\", arch"), "missing.npy"),
    ];
    for (plan, says) in cases {
        let folder = folder_with(&plan);
        refuse(folder.path(), &RUN, &[says]);
        assert_eq!(names(folder.path()), ["plan.toml"]);
    }
    let folder = folder_with(PLAN);
    refuse(folder.path(), &["reproduce", "nowhere.toml"], &["nowhere.toml"]);
    refuse(folder.path(), &[&RUN[..6], &["--jobs=0"]].concat(), &["--jobs"]);
    assert!(lipscope(folder.path(), &["reproduce", "--help"]).status.success());
}
