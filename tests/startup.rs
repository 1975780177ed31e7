//! What starts without libtorch, and how lipscope finds its engine.
#![cfg(unix)]

mod common;

use common::{fixture, fresh};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lipscope");
const ENGINE: &str = env!("CARGO_BIN_EXE_lipscope-engine");

/// lipscope without its engine. `cp` writes it: a file that this process itself has just written may still be open in a
/// child that another test is starting, and cannot be run then.
fn alone(folder: &Path) -> PathBuf {
    let program = folder.join("lipscope");
    assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    program
}

fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

/// Everything in one string, for comparisons.
fn heard(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn what_needs_no_libtorch_works_without_the_engine() {
    let (folder, _) = fresh("");
    let program = alone(folder.path());
    let report = concat!(env!("CARGO_MANIFEST_DIR"), "/analysis/mnist-first-look/report.json");
    let cases: [(&[&str], i32, &str); 13] = [
        (&["--version"], 0, concat!("lipscope ", env!("CARGO_PKG_VERSION"))),
        (&["--help"], 0, "Usage: lipscope [OPTIONS] <COMMAND>"),
        (&["train", "--help"], 0, "e-tsdm-noised"),
        (&["completions", "bash"], 0, "_lipscope()"),
        (&["man"], 0, ".TH lipscope"),
        (&["inspect", report], 0, "lipscope         report, of lipscope compare"),
        (&[], 2, "Usage: lipscope"),
        (&["measure"], 2, "<CKPT>"),
        (
            &["measure", "a.pt", "--axis", "time"],
            2,
            "--axis is `time`, but it is step, unit, sigma, log-snr or argument",
        ),
        (&["measure", "a.pt", "--timesteps", "0..x"], 2, "--timesteps is `0..x`"),
        (&["sample", "a.pt", "--sampler", "euler"], 2, "dpm-solver++-2m"),
        (&["stability", "a.pt", "--sizes", "0.1,-1"], 2, "--sizes is `0.1,-1`"),
        (&["measure", "a.pt", "--samples", "many"], 2, "--samples is `many`, but it is a whole number"),
    ];
    for (arguments, code, says) in cases {
        let (ended, stdout, stderr) = heard(&run(&program, arguments));
        assert_eq!(ended, Some(code), "{arguments:?}: {stderr}");
        let (said, silent) = if code == 0 { (stdout, stderr) } else { (stderr, stdout) };
        assert!(said.contains(says), "{arguments:?}: {said}");
        assert!(silent.is_empty(), "{arguments:?}: {silent}");
    }
}

#[test]
fn doctor_tells_what_there_is_as_json_too() {
    let (code, stdout, stderr) = heard(&run(Path::new(PROGRAM), &["doctor", "--json", "--threads", "1"]));
    assert_eq!(code, Some(0), "{stderr}");
    let told: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((told["threads"].as_u64(), told["devices"][0]["name"].as_str()), (Some(1), Some("cpu")), "{told}");
    assert_eq!(told["devices"][0]["works"], true, "{told}");
    assert!(told["gloo"].is_boolean() && told["nccl"].is_boolean(), "{told}");
    let (_, plain, _) = heard(&run(Path::new(PROGRAM), &["doctor"]));
    assert!(plain.contains("cpu: works") && plain.contains("threads: "), "{plain}");
    assert!(plain.contains("several processes: "), "{plain}");
}

#[test]
fn a_missing_engine_is_named_with_what_to_do() {
    let (folder, _) = fresh("");
    let (code, stdout, stderr) = heard(&run(&alone(folder.path()), &["doctor"]));
    assert_eq!(code, Some(2));
    assert!(stdout.is_empty(), "{stdout}");
    assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    for says in ["error: ", "lipscope-engine is missing", "./x install", &*folder.path().to_string_lossy()] {
        assert!(stderr.contains(says), "does not say `{says}`: {stderr}");
    }
}

#[test]
fn the_engine_is_found_through_links() {
    let (_folder, link) = fresh("other-name");
    std::os::unix::fs::symlink(PROGRAM, &link).unwrap();
    let checkpoint = fixture("torchscript/pipeline");
    let arguments = ["inspect", &*checkpoint, "--json"];
    let (code, stdout, stderr) = heard(&run(&link, &arguments));
    assert_eq!((code, &*stderr), (Some(0), ""));
    assert_eq!(stdout, heard(&run(Path::new(ENGINE), &arguments)).1);
}

#[test]
fn an_engine_that_does_not_start_is_reported() {
    let (folder, engine) = fresh("lipscope-engine");
    std::fs::write(engine, "not a program").unwrap();
    let (code, _, stderr) = heard(&run(&alone(folder.path()), &["doctor"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("lipscope-engine does not start (Permission denied"), "{stderr}");
}

/// A script as the engine tells what it was given.
#[test]
fn the_engine_takes_over_the_process_with_its_arguments_and_exit_code() {
    let (folder, _) = fresh("");
    let program = alone(folder.path());
    let script = r##"printf '#!/bin/sh\necho "$$ $*"\nexit 7\n' > lipscope-engine; chmod +x lipscope-engine"##;
    assert!(Command::new("sh").current_dir(folder.path()).args(["-c", script]).status().unwrap().success());
    let mut command = Command::new(program);
    let child = command.args(["measure", "a b.pt", "--dt", "2"]).stdout(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let (code, stdout, _) = heard(&child.wait_with_output().unwrap());
    assert_eq!((code, stdout), (Some(7), format!("{id} measure a b.pt --dt 2\n")));
}

/// The loader's own list of what a program needs.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn lipscope_is_not_linked_with_libtorch() {
    let needs = |program| {
        let output = Command::new(program).env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap();
        heard(&output).1
    };
    // The engine shows that the list would have it.
    assert!(needs(ENGINE).contains("libtorch_cpu.so"), "{}", needs(ENGINE));
    let needed = needs(PROGRAM);
    assert!(needed.contains("libc.so") && !needed.contains("libtorch_cpu.so"), "{needed}");
}
