//! Running the built program, and comparing numbers.
#![allow(dead_code)]

pub mod cluster;

#[path = "../../src/testing/closeness.rs"]
pub mod closeness;
#[path = "../../src/testing/tensors.rs"]
mod tensors;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A file or folder under `tests/fixtures`.
pub fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name).display().to_string()
}

/// Has this process take exponentials of float32 numbers as the one that made the fixtures did. MKL's differ in the last digit
/// from processor to processor, unless it is told not to use what only some of them have; and with them differ the frequencies of
/// time embeddings, by 1e-7, which is 1e-5 in a network's output. To be called before anything is computed.
pub fn exponentials_of_the_fixtures() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: the tests of a program all wait here, before any of them has libtorch read the environment.
    ONCE.call_once(|| unsafe { std::env::set_var("MKL_CBWR", "COMPATIBLE") });
}

/// Runs lipscope in `folder`.
pub fn lipscope(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lipscope"));
    command.current_dir(folder).args(arguments).env_remove("NO_COLOR").output().unwrap()
}

/// Runs lipscope, which must succeed, and returns its stdout.
pub fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = lipscope(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Removes the folder `out` within `folder`, so that another plan may use its name.
pub fn clear(folder: &Path) {
    match std::fs::remove_dir_all(folder.join("out")) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => panic!("{e}"),
        _ => {}
    }
}

/// Runs lipscope, which must refuse with exit 2 and one paragraph that says all of `says`.
pub fn refuse(folder: &Path, arguments: &[&str], says: &[&str]) {
    let output = lipscope(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{arguments:?}: {stderr}");
    assert!(!stderr.contains("panicked") && !stderr.contains("stack backtrace"), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed on stdout");
    for words in says {
        assert!(stderr.contains(words), "{arguments:?} does not say `{words}`: {stderr}");
    }
}

/// A report.
pub fn report(out: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(out.join("report.json")).unwrap()).unwrap()
}

/// What was measured: the report without times and who did it; tables have their seconds in the last column of `seeds`.
pub fn outcome(out: &Path) -> serde_json::Value {
    fn numbers(value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::Object(object) => {
                let timed = ["wall_seconds", "began", "threads", "parts"];
                let kept = object.iter().filter(|(key, _)| !timed.contains(&key.as_str()));
                kept.map(|(key, value)| (key.clone(), numbers(value))).collect()
            }
            Value::Array(items) => items.iter().map(numbers).collect(),
            other => other.clone(),
        }
    }
    let mut report = numbers(&report(out));
    for table in report["tables"].as_array_mut().into_iter().flatten().filter(|table| table["name"] == "seeds") {
        for row in table["rows"].as_array_mut().unwrap() {
            row.as_array_mut().unwrap().pop();
        }
    }
    report
}

/// Means of one model's first curve, by timestep.
pub fn means(report: &serde_json::Value, model: usize) -> Vec<(f64, f64)> {
    let points = report["models"][model]["curves"][0]["points"].as_array().unwrap();
    points.iter().map(|point| (point["timestep"].as_f64().unwrap(), point["mean"].as_f64().unwrap())).collect()
}

/// Names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into()).collect();
    names.sort();
    names
}

/// What a run rendered into its folder: all but its plan and units, which must be there.
pub fn rendered(out: &Path) -> Vec<String> {
    let (kept, rendered): (Vec<String>, Vec<String>) = names(out)
        .into_iter()
        .partition(|name| ["command.json", "parts", "plan.json", "units"].contains(&name.as_str()));
    // What needs no measuring has no units.
    assert!(kept == ["command.json", "parts", "plan.json", "units"] || kept == ["parts", "plan.json"], "{kept:?}");
    rendered
}

/// A fresh folder and the path `name` in it.
pub fn fresh(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

/// A .npy file of zeros or ones in float32.
pub fn embeddings(path: &Path, value: f32, shape: &str, count: usize) {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    (0..count).for_each(|_| bytes.extend(value.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}
