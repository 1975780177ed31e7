//! A run that is killed, interrupted or terminated at any instant, and the same command again: equal to one that was not
//! disturbed. `LIPSCOPE_INSTANTS=40 cargo test --test going_on` tries so many instants for each command and signal. So are
//! the units of several processes, put together.
#![cfg(unix)]

mod common;

use common::{fixture, fresh, names};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
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

/// The report of curves or tables, or the samples themselves.
fn outcome(out: &Path) -> Value {
    if out.join("samples.npy").exists() {
        return std::fs::read(out.join("samples.npy")).unwrap().into();
    }
    common::outcome(out)
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

/// The units of a part: kinds and keys.
fn units(part: &Path) -> BTreeSet<(String, String)> {
    let listing = lipscope::tensor_file::entries(part).unwrap();
    let header: Value =
        serde_json::from_str(&listing.metadata.iter().find(|(key, _)| key == "lipscope").unwrap().1).unwrap();
    let word = |unit: &Value, key: &str| unit[key].as_str().unwrap().to_string();
    header["units"].as_array().unwrap().iter().map(|unit| (word(unit, "kind"), word(unit, "key"))).collect()
}

fn parts(out: &Path) -> Vec<PathBuf> {
    let parts = out.join("parts");
    if parts.is_dir() { names(&parts).iter().map(|name| parts.join(name)).collect() } else { Vec::new() }
}

fn copy(parts: &[PathBuf], out: &Path) {
    std::fs::create_dir_all(out.join("parts")).unwrap();
    for part in parts {
        std::fs::copy(part, out.join("parts").join(part.file_name().unwrap())).unwrap();
    }
}

/// Interrupts the command after it has finished units besides those of `given`, and before its end; its own parts.
fn own_parts(folder: &Path, arguments: &[&str], given: &[PathBuf], took: Duration) -> Vec<PathBuf> {
    let out = folder.join("out");
    let mut delay = took / 3;
    for _ in 0..ROUNDS {
        let _ = std::fs::remove_dir_all(&out);
        copy(given, &out);
        let mut child = start(folder, arguments);
        std::thread::sleep(delay);
        let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
        let finished = child.wait().unwrap().success();
        let is_given = |part: &PathBuf| given.iter().any(|given| given.file_name() == part.file_name());
        let own: Vec<PathBuf> = parts(&out).into_iter().filter(|part| !is_given(part)).collect();
        if !finished && !own.is_empty() {
            return own;
        }
        delay = if finished { delay.mul_f64(0.8) } else { delay.mul_f64(1.1) };
    }
    panic!("{arguments:?} was not interrupted between its first unit and its end within {ROUNDS} rounds");
}

/// Units of one plan that three processes made in folders of their own, put together in a fourth: the first two have none
/// in common, the third made some of theirs again.
fn put_together(arguments: &[&str]) {
    let (whole, out) = fresh("out");
    let began = Instant::now();
    assert!(start(whole.path(), arguments).wait().unwrap().success());
    let (took, expected) = (began.elapsed(), outcome(&out));
    let all = |parts: &[PathBuf]| parts.iter().flat_map(|part| units(part)).collect::<BTreeSet<_>>();
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let first = own_parts(folders[0].path(), arguments, &[], took);
    // It is given the units of the first and makes others; only those that it made are taken.
    let second = own_parts(folders[1].path(), arguments, &first, took);
    let third = own_parts(folders[2].path(), arguments, &[], took);
    assert!(all(&first).is_disjoint(&all(&second)), "the second made units that it had been given");
    assert!(!all(&first).is_disjoint(&all(&third)), "the third made no unit again");

    for together in [vec![first.clone(), second.clone()], vec![third, first, second]] {
        let (folder, out) = fresh("out");
        let together = together.concat();
        copy(&together, &out);
        assert!(start(folder.path(), arguments).wait().unwrap().success());
        assert_eq!(outcome(&out), expected, "{arguments:?}");
        let fresh: Vec<PathBuf> = parts(&out)
            .into_iter()
            .filter(|part| together.iter().all(|given| given.file_name() != part.file_name()))
            .collect();
        assert!(all(&fresh).is_disjoint(&all(&together)), "units that were there were made again");
        assert_eq!(all(&parts(&out)), all(&parts(&whole.path().join("out"))));
    }
}

#[test]
fn curves_of_several_processes() {
    let pipeline = fixture("torchscript/pipeline");
    let of = ["--data", "digits", "--timesteps", "auto", "--samples", "8", "--batch", "4", "--tolerance", "0.3"];
    put_together(&[&["measure", &pipeline][..], &of].concat());
}

#[test]
fn comparisons_of_several_processes_on_samples_of_the_model() {
    let pipeline = fixture("torchscript/pipeline");
    let of = ["--data", "model", "--timesteps", "0..40", "--samples", "12", "--batch", "4"];
    put_together(&[&["compare", &pipeline, &pipeline, "--share", "n=2,until=20"][..], &of].concat());
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
