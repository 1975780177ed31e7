//! How long lipscope takes to start: what needs no libtorch, what the same took while every command loaded it (the engine
//! by itself), a small measurement from the command line to the report, and, where a Python has it, `import torch`.
//!
//!     ./x bench --bench startup
//!
//! Prints a table and one line of JSON. Rounds alternate between all rows, so that noise of the machine hits all alike.

mod common;

use common::{median, python};
use lipscope::error::{Error, Result};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 9;
const PROGRAM: &str = env!("CARGO_BIN_EXE_lipscope");
const ENGINE: &str = env!("CARGO_BIN_EXE_lipscope-engine");
const CHECKPOINT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/torchscript/plain.pt");

struct Row {
    label: &'static str,
    command: Command,
    seconds: Vec<f64>,
}

fn row(label: &'static str, program: impl AsRef<OsStr>, arguments: &[&str], folder: &Path) -> Row {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Row { label, command, seconds: Vec::new() }
}

fn rows(folder: &Path) -> Vec<Row> {
    let measure = ["measure", CHECKPOINT, "--data", "digits", "--timesteps", "0,1", "--samples", "2", "--out", "out"];
    let mut rows = vec![
        row("lipscope --version", PROGRAM, &["--version"], folder),
        row("lipscope --help", PROGRAM, &["--help"], folder),
        row("lipscope-engine --version", ENGINE, &["--version"], folder),
        row("lipscope measure, 2 samples at 2 timesteps", PROGRAM, &measure, folder),
    ];
    if let Some(python) = python() {
        rows.push(row("python -c 'import torch'", python, &["-c", "import torch"], folder));
    }
    rows
}

/// Wall time of one run, which must succeed.
fn seconds(row: &mut Row) -> Result<f64> {
    let began = Instant::now();
    let status = row.command.status().map_err(|e| Error::io(row.label, "starting", &e))?;
    let seconds = began.elapsed().as_secs_f64();
    if status.success() {
        return Ok(seconds);
    }
    Err(Error::mismatch(format!("`{}` ended with {status}", row.label), "Run it by hand to see why."))
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", "creating", &e))?;
    let mut rows = rows(folder.path());
    // Once for nothing: the files come from the disk.
    for row in &mut rows {
        seconds(row)?;
    }
    for _ in 0..ROUNDS {
        for row in &mut rows {
            let taken = seconds(row)?;
            row.seconds.push(taken);
        }
    }
    println!("{:<44} {:>11} {:>9} {:>9}", "command", "median [ms]", "min", "max");
    let mut medians = serde_json::Map::new();
    for Row { label, seconds, .. } in rows {
        let (min, max) = seconds.iter().fold((f64::MAX, 0.0_f64), |(min, max), &s| (min.min(s), max.max(s)));
        let middle = median(seconds);
        println!("{label:<44} {:>11.1} {:>9.1} {:>9.1}", 1e3 * middle, 1e3 * min, 1e3 * max);
        medians.insert(label.into(), middle.into());
    }
    println!("{}", serde_json::json!({"bench": "startup", "rounds": ROUNDS, "median_seconds": medians}));
    Ok(())
}
