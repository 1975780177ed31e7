//! Images per second of a training in one process and in several, each with one thread, over the same batches.
//!
//!     ./x bench --bench ranks [-- PROCESSES [ARCH]]
//!
//! Prints a table and one line of JSON. Rounds alternate between both, so that noise of the machine hits them alike. Times
//! are those of train.csv from its second row on: without the start.

mod common;

use common::{arguments, median, program};
use lipscope::error::{Error, Result};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const ROUNDS: usize = 7;
const ARCH: &str = "unet:channels=32-64,attention=4";
const STEPS: &str = "60";

/// Images per second, the median over rows of train.csv.
fn images_per_second(folder: &Path, of: usize, arch: &str) -> Result<f64> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = port.map_err(|e| Error::io("127.0.0.1", "finding a free port", &e))?.port().to_string();
    let start = |rank: usize| -> Result<Child> {
        let mut command = Command::new(program());
        command.args([
            "train",
            "--variant",
            "ddpm",
            "--data",
            "digits",
            "--threads",
            "1",
            "--device",
            "cpu",
            "--quiet",
        ]);
        command.args([
            "--arch",
            arch,
            "--steps",
            STEPS,
            "--log-every",
            "10",
            "--format",
            "safetensors",
            "--out",
            "out",
        ]);
        command.current_dir(folder).stdin(Stdio::null());
        if of > 1 {
            command.env("RANK", rank.to_string()).env("WORLD_SIZE", of.to_string());
            command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", &port);
        }
        command.spawn().map_err(|e| Error::io(program(), "starting", &e))
    };
    let out = folder.join("out");
    let _ = std::fs::remove_dir_all(&out);
    let children = (0..of).map(start).collect::<Result<Vec<_>>>()?;
    for mut child in children {
        let status = child.wait().map_err(|e| Error::io(program(), "waiting for", &e))?;
        if !status.success() {
            return Err(Error::mismatch(format!("a rank ended with {status}"), "See what it says above."));
        }
    }
    let log = out.join("train.csv");
    let text = std::fs::read_to_string(&log).map_err(|e| Error::io(&log, "reading", &e))?;
    let last = |line: &str| line.rsplit(',').next().and_then(|field| field.parse().ok());
    Ok(median(text.lines().skip(2).filter_map(last).collect()))
}

fn main() -> Result<()> {
    let arguments = arguments();
    let of = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(2);
    let arch = arguments.get(1).map_or(ARCH, String::as_str);
    let folder = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", "creating", &e))?;
    let (mut one, mut several, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let pair = (images_per_second(folder.path(), 1, arch)?, images_per_second(folder.path(), of, arch)?);
        one.push(pair.0);
        several.push(pair.1);
        ratios.push(pair.1 / pair.0);
    }
    let (one, several, ratio) = (median(one), median(several), median(ratios));
    println!("{arch}, batch 64, one thread each, medians of {ROUNDS} pairs");
    println!("{:<16} {:>10}", "processes", "images/s");
    println!("{:<16} {one:>10.0}\n{of:<16} {several:>10.0}\n{:<16} {ratio:>10.2}", 1, "ratio of pairs");
    println!(
        "{}",
        serde_json::json!({"bench": "ranks", "processes": of, "one": one, "several": several, "ratio": ratio})
    );
    Ok(())
}
