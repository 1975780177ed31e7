//! What the benches share.
#![allow(dead_code)]

use lipscope::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The middle of the values, or of the two in the middle the larger.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A Python that has torch and diffusers: LIPSCOPE_PYTHON, else python3, else none, which is said.
pub fn python() -> Option<String> {
    let named = std::env::var("LIPSCOPE_PYTHON").unwrap_or_else(|_| "python3".into());
    let works = Command::new(&named).args(["-c", "import torch, diffusers"]).output();
    if works.is_ok_and(|output| output.status.success()) {
        return Some(named);
    }
    println!("{named} has no torch and diffusers (LIPSCOPE_PYTHON names another): its rows are left out");
    None
}

/// Runs `benches/plain.py` and reads the JSON on its last line.
pub fn plain(python: &str, arguments: &[&str]) -> Result<serde_json::Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/plain.py");
    let output = Command::new(python).arg(&script).args(arguments).output();
    let output = output.map_err(|e| Error::io(&script, "running", &e))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let parsed = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    parsed.ok_or_else(|| {
        let problem = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("no output").to_string();
        Error::file(&script, problem, "Run it by hand to see more.")
    })
}

/// The built program.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_lipscope"))
}

/// Arguments after those that cargo bench passes.
pub fn arguments() -> Vec<String> {
    std::env::args().skip(1).filter(|argument| argument != "--bench").collect()
}
