//! `suggest`: from a curve to flags that other commands take, to files, and to Python that agrees with the timestep map.

mod common;

use common::{fixture, fresh, means, names, refuse, report, succeed};
use lipscope::timestep_map;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A curve in closed form: every step of data near a point, as a network sees near a manifold.
fn theory(folder: &Path, timesteps: &str, out: &str, more: &[&str]) {
    let data = ["theory", "--data", "gaussian:mean=0,std=0.001,dim=16", "--timesteps", timesteps, "--out", out, "-q"];
    succeed(folder, &[&data[..], more].concat());
}

fn suggestion(folder: &Path, more: &[&str]) -> Value {
    let text = succeed(folder, &[&["suggest", "theory", "--json", "--out", "out"], more].concat());
    serde_json::from_str(&text).unwrap()
}

fn boundaries(shared: &Value) -> Vec<f64> {
    shared["boundaries"].as_array().unwrap().iter().map(|t| t.as_f64().unwrap()).collect()
}

fn largest(shared: &Value, column: &str) -> f64 {
    common::closeness::largest(shared["intervals"].as_array().unwrap().iter().map(|i| i[column].as_f64().unwrap()))
}

#[test]
fn a_curve_becomes_sub_intervals_that_other_commands_take() {
    let (folder, out) = fresh("out");
    theory(folder.path(), "all", "theory", &[]);
    let stdout = succeed(folder.path(), &["suggest", "theory/report.json", "--until", "100", "--out", "out"]);
    assert!(
        stdout.contains("5 sub-intervals of equal Lipschitz mass") && stdout.contains("the paper's split"),
        "{stdout}"
    );
    assert_eq!(names(&out), ["intervals.csv", "shared_timesteps.py", "suggest.json"]);
    let table = fs::read_to_string(out.join("intervals.csv")).unwrap();
    let header = "split,from,until,error_bound,mean_error_bound,x0_error_bound,jump_bound,typical_jump";
    assert_eq!((table.lines().next(), table.lines().count()), (Some(header), 1 + 4 * 5));
    let found = suggestion(folder.path(), &["--until", "100"]);
    let paper = found["others"].as_array().unwrap().iter().find(|other| other["split"] == "paper").unwrap();
    assert_eq!(boundaries(paper), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
    let suggested = &found["suggested"];
    assert!(largest(suggested, "error_bound") < 0.5 * largest(paper, "error_bound"), "{found}");
    let share = found["arguments"]["measure"][1].as_str().unwrap();
    assert!(stdout.contains(share), "{stdout}");
    // Laid over the ideal denoiser, the jump at the first boundary is what the mass below it bounds.
    theory(folder.path(), "0..100", "shared", &["--share", share]);
    let measured = means(&report(&folder.path().join("shared")), 0);
    let inside = measured.iter().filter(|(_, k)| *k > 0.0).map(|(t, _)| t + 1.0).collect::<Vec<f64>>();
    assert_eq!(inside, boundaries(suggested)[1..]);
}

#[test]
fn bounds_decide_on_the_number_of_sub_intervals() {
    let (folder, _) = fresh("");
    theory(folder.path(), "all", "theory", &[]);
    let mut before = 1;
    for error in ["0.5", "0.2", "0.05"] {
        let found = suggestion(folder.path(), &["--max-error", error, "--until", "60"]);
        let n = boundaries(&found["suggested"]).len() - 1;
        assert!(largest(&found["suggested"], "error_bound") <= error.parse().unwrap());
        assert!(n > before, "{error}: {n}");
        before = n;
    }
    let found = suggestion(folder.path(), &["--max-jump", "0.6", "--until", "60", "--split", "error"]);
    assert!(largest(&found["suggested"], "jump_bound") <= 0.6);
    let one = ["suggest", "theory", "--max-jump", "0.01", "--until", "60"];
    refuse(folder.path(), &one, &["--max-jump is `0.01`", "within one step"]);
    let found = suggestion(folder.path(), &["--intervals", "3", "--level", "8"]);
    assert_eq!(boundaries(&found["suggested"]).len(), 4);
    assert!(found["why_until"].as_str().unwrap().contains("8 times its median"));
}

#[test]
fn a_step_grid_is_what_the_spacing_of_that_name_gives() {
    let (folder, _) = fresh("");
    theory(folder.path(), "all", "theory", &[]);
    let found = suggestion(folder.path(), &["--steps", "10"]);
    let grid: Vec<f64> = found["step_grid"].as_array().unwrap().iter().map(|t| t.as_f64().unwrap()).collect();
    let text = found["arguments"]["sample"][1].as_str().unwrap();
    assert_eq!(text, "lipschitz:theory/report.json");
    let absolute = text.replace("theory/", &format!("{}/theory/", folder.path().display()));
    let spacing = lipscope::sampler::spacing::parse(&absolute).unwrap();
    let schedule = lipscope::schedule::parse("linear").unwrap();
    let shares: Vec<f64> = (0..10).map(|i| f64::from(i) / 9.0).collect();
    assert_eq!(grid, spacing.timesteps(&*schedule, (999.0, 0.0), &shares).unwrap());
}

#[test]
fn sparse_curves_are_warned_about() {
    let (folder, out) = fresh("out");
    theory(folder.path(), "0..999/10", "theory", &[]);
    let found = suggestion(folder.path(), &["--until", "50"]);
    assert!(found["warnings"][0].as_str().unwrap().starts_with("45 of the 50 steps before t = 50"), "{found}");
    assert!(out.join("suggest.json").exists());
}

#[test]
fn what_cannot_be_used_is_refused_and_nothing_is_written() {
    let (folder, _) = fresh("");
    let here = folder.path();
    theory(here, "all", "theory", &[]);
    let with = |more: &[&'static str]| [&["suggest", "theory"], more].concat();
    refuse(here, &["suggest", "nowhere.json"], &["nowhere.json", "reading the report"]);
    refuse(here, &with(&["--model", "other"]), &["--model is `other`", "ideal gaussian"]);
    refuse(here, &with(&["--until", "5000"]), &["--until is `5000`", "t = 999"]);
    refuse(here, &with(&["--until", "0"]), &["--until is `0`"]);
    refuse(here, &with(&["--level", "-1"]), &["--level is `-1`"]);
    refuse(here, &with(&["--max-error", "nan"]), &["--max-error is `NaN`"]);
    refuse(here, &with(&["--split", "even"]), &["mass, error or uniform"]);
    refuse(here, &with(&["--intervals", "0"]), &["--intervals is `0`"]);
    refuse(here, &with(&["--intervals", "9", "--until", "5"]), &["5 timesteps to be shared"]);
    refuse(here, &with(&["--level", "100000"]), &["nothing to share", "--until"]);
    refuse(here, &with(&["--steps", "1"]), &["--steps is `1`"]);
    let edit = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut value = report(&here.join("theory"));
        change(&mut value);
        fs::write(here.join(name), value.to_string()).unwrap();
    };
    edit("cut.json", &|value| value["complete"] = false.into());
    refuse(here, &["suggest", "cut.json"], &["not finished", "goes on from there"]);
    edit("axis.json", &|value| value["models"][0]["curves"][0]["axis"] = "sigma".into());
    refuse(here, &["suggest", "axis.json"], &["per sigma, not per step"]);
    edit("dt.json", &|value| value["models"][0]["curves"][0]["dt"] = 5.into());
    refuse(here, &["suggest", "dt.json"], &["over 5 steps"]);
    edit("rate.json", &|value| value["models"][0]["curves"][0]["quantity"] = "derivative".into());
    refuse(here, &["suggest", "rate.json"], &["no secants, but derivative"]);
    edit("shared.json", &|value| value["models"][0]["model"]["boundaries"] = serde_json::json!([0, 20]));
    refuse(here, &["suggest", "shared.json"], &["shares timesteps already"]);
    let tidy = r#"{"schema_version": 1, "complete": true, "command": "evaluate", "title": "", "provenance": {"plan": {},
        "versions": {}, "device": "cpu", "threads": 1, "began": "", "wall_seconds": 0}, "tables": [], "charts": [],
        "reading": [], "warnings": []}"#;
    fs::write(here.join("tidy.json"), tidy).unwrap();
    refuse(here, &["suggest", "tidy.json"], &["of evaluate, holds no curves"]);
    fs::write(here.join("half.json"), "{\"models\": [").unwrap();
    refuse(here, &["suggest", "half.json"], &["this JSON ends too early"]);
    assert!(!here.join("lipscope-out").exists());
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let (folder, out) = fresh("out");
    theory(folder.path(), "all", "theory", &[]);
    let text = succeed(folder.path(), &["suggest", "theory", "--dry-run", "--out", "out", "--intervals", "4"]);
    let plan: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((plan["intervals"].as_u64(), plan["split"].as_str()), (Some(4), Some("mass")));
    assert!(!out.exists());
}

/// The module is imported as it stands, and its map compared with the one that lipscope trains and measures with.
#[test]
fn the_python_agrees_with_the_timestep_map() {
    let Ok(python) = std::env::var("LIPSCOPE_PYTHON") else { return };
    let (folder, out) = fresh("out");
    theory(folder.path(), "all", "theory", &[]);
    let found = suggestion(folder.path(), &["--until", "77", "--intervals", "6"]);
    let typed = found["arguments"]["train"][3].as_str().unwrap();
    let map = timestep_map::parse(&format!("boundaries={typed}"), 1000).unwrap();
    let script = fixture("../check_suggested.py");
    let output = Command::new(python).arg(script).arg(&out).env("OMP_NUM_THREADS", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shared: Vec<f64> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shared.len(), 1000);
    for (t, got) in shared.iter().enumerate() {
        assert_eq!(*got, map.condition(t as f64), "at {t}");
    }
}
