//! A run that is killed, interrupted or terminated at any instant, and the same command again: equal to one that was not
//! disturbed. `LIPSCOPE_INSTANTS=40 cargo test --test going_on` tries so many instants for each command and signal.
#![cfg(unix)]

mod common;

use common::{fixture, fresh, names, report};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Instants per command and signal, where the environment names no other number.
const INSTANTS: u32 = 2;

/// Rounds after which a command must have come to its end: each gets later instants than the one before.
const ROUNDS: u32 = 60;

fn start(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lipscope"));
    command.current_dir(folder).args(arguments).args(["--threads", "1", "--quiet", "--out", "out"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// What was measured: the report without times.
fn numbers(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let timed = ["wall_seconds", "began", "threads"];
            let kept = object.iter().filter(|(key, _)| !timed.contains(&key.as_str()));
            kept.map(|(key, value)| (key.clone(), numbers(value))).collect()
        }
        Value::Array(items) => items.iter().map(numbers).collect(),
        other => other.clone(),
    }
}

/// The report of curves or tables, or the samples themselves. Tables have their seconds in the last column of `seeds`.
fn outcome(out: &Path) -> Value {
    if out.join("samples.npy").exists() {
        return std::fs::read(out.join("samples.npy")).unwrap().into();
    }
    let mut report = numbers(&report(out));
    for table in report["tables"].as_array_mut().into_iter().flatten().filter(|table| table["name"] == "seeds") {
        for row in table["rows"].as_array_mut().unwrap() {
            row.as_array_mut().unwrap().pop();
        }
    }
    report
}

/// Repeats the command until it comes to its end, disturbed by `signal` after `delay` and later with every round; how
/// often it was disturbed.
fn disturbed(folder: &Path, arguments: &[&str], (signal, code): (&str, Option<i32>), delay: Duration) -> u32 {
    for round in 0..ROUNDS {
        let mut child = start(folder, arguments);
        std::thread::sleep(delay * (1 + round));
        let _ = Command::new("kill").args([signal, &child.id().to_string()]).stderr(Stdio::null()).status();
        let status = child.wait().unwrap();
        if status.success() {
            return round;
        }
        // Before it listens a signal ends it as any program.
        assert!(status.code().is_none() || status.code() == code, "{arguments:?} ended with {status}");
    }
    panic!("{arguments:?} did not come to its end within {ROUNDS} rounds");
}

/// The command undisturbed, and disturbed by every signal at a number of instants.
fn check(arguments: &[&str]) {
    let instants: u32 = std::env::var("LIPSCOPE_INSTANTS").map_or(INSTANTS, |text| text.parse().unwrap());
    let (whole, out) = fresh("out");
    let began = Instant::now();
    assert!(start(whole.path(), arguments).wait().unwrap().success());
    let (took, expected) = (began.elapsed(), outcome(&out));
    let mut times = 0;
    for signal in [("-KILL", None), ("-INT", Some(130)), ("-TERM", Some(143))] {
        for instant in 0..instants {
            let (folder, out) = fresh("out");
            let delay = took.mul_f64((f64::from(instant) + 0.7) / f64::from(instants));
            times += disturbed(folder.path(), arguments, signal, delay);
            assert_eq!(outcome(&out), expected, "{signal:?} after {delay:?}: {arguments:?}");
            let left = names(&out).into_iter().filter(|name| name.ends_with(".tmp"));
            assert!(signal.0 == "-KILL" || left.count() == 0, "{signal:?} leaves temporary files");
        }
    }
    println!("{}: disturbed {times} times, {took:?} undisturbed", arguments[0]);
    assert!(times > 0, "nothing was disturbed");
}

#[test]
fn curves() {
    let pipeline = fixture("torchscript/pipeline");
    let of = ["--data", "digits", "--timesteps", "auto", "--samples", "8", "--batch", "4", "--tolerance", "0.3"];
    check(&[&["measure", &pipeline][..], &of].concat());
}

#[test]
fn comparisons_on_samples_of_the_model() {
    let pipeline = fixture("torchscript/pipeline");
    let of = ["--data", "model", "--timesteps", "0..40", "--samples", "12", "--batch", "4"];
    check(&[&["compare", &pipeline, &pipeline, "--share", "n=2,until=20"][..], &of].concat());
}

#[test]
fn perturbations() {
    let pipeline = fixture("torchscript/pipeline");
    check(&["stability", &pipeline, "--data", "digits", "--samples", "12", "--batch", "4"]);
}

#[test]
fn evaluations() {
    let pipeline = fixture("torchscript/pipeline");
    let of = ["--data", "digits", "--nfe", "10,20", "--samples", "40", "--seeds", "2", "--metrics", "frechet"];
    check(&[&["evaluate", &pipeline, "--batch", "4"][..], &of].concat());
}

#[test]
fn samples() {
    let pipeline = fixture("torchscript/pipeline");
    check(&["sample", &pipeline, "--samples", "48", "--nfe", "50", "--batch", "4", "--format", "npy"]);
}
