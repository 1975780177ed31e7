//! How much memory `measure` takes at its peak on a large network: a UNet2DModel with fresh weights at 256×256, batches
//! chosen automatically and given.
//!
//!     ./x bench --bench memory -- [ARCH] [SIZE]
//!
//! Prints a table and one line of JSON. Peaks are the largest resident sizes of a process of its own each.

mod common;

use common::{arguments, program};
use lipscope::checkpoint::{Content, Sidecar, WRITERS, WeightSet};
use lipscope::error::{Error, Result};
use lipscope::network;
use lipscope::nn::Weights;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

const ARCH: &str = "unet:channels=128-128-256-256-512-512,layers=2,attention=16,head-dim=64";
const SAMPLES: &str = "6";
const ROWS: [(&str, &str); 4] = [("secant", "1"), ("secant", "auto"), ("derivative", "1"), ("derivative", "auto")];

/// Writes the network as a diffusers folder with reference samples of random numbers; gives its number of parameters.
fn checkpoint(text: &str, shape: &[i64], path: &Path) -> Result<usize> {
    let arch = network::arch::parse(text, shape, 1000)?;
    let network = network::build(&arch, &Weights::fresh(0), Path::new("the benchmark"))?;
    let parameters = network.parameters();
    let count = parameters.iter().map(|(_, tensor)| tensor.numel()).sum();
    let sets = [WeightSet { name: "raw".into(), tensors: parameters }];
    let writer = WRITERS.iter().find(|writer| writer.name == "diffusers");
    let writer = writer.ok_or_else(|| Error::mismatch("there is no writer of diffusers folders", "Report this."))?;
    let sidecar = Sidecar { architecture: Some(arch), shape: Some(shape.to_vec()), ..Sidecar::default() };
    (writer.write)(&Content { sidecar, sets: &sets, reference: None }, path)?;
    Ok(count)
}

/// A file of random samples in [−1, 1].
fn data(shape: &[i64], path: &Path) -> Result<()> {
    let full: Vec<i64> = std::iter::once(4).chain(shape.iter().copied()).collect();
    let x = Tensor::rand(&full[..], (Kind::Float, Device::Cpu)) * 2.0 - 1.0;
    Tensor::write_safetensors(&[("x0", x)], path).map_err(|e| Error::torch("writing samples", &e.to_string()))
}

/// Seconds and peak resident megabytes of one measurement.
fn measure(folder: &Path, batch: &str, quantity: &str) -> Result<(f64, f64)> {
    let mut command = Command::new("/usr/bin/env");
    command.current_dir(folder).arg(program()).args(["measure", "model", "--data", "x0.safetensors", "--quiet"]);
    command.args(["--timesteps", "10", "--samples", SAMPLES, "--batch", batch, "--quantity", quantity, "--out", "out"]);
    let began = Instant::now();
    let child = command.spawn().map_err(|e| Error::io(program(), "starting", &e))?;
    let mut status = 0;
    // SAFETY: a struct of numbers, for which all zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values, and the child is ours and not waited for elsewhere.
    let waited = unsafe { libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage) };
    if waited < 0 || status != 0 {
        return Err(Error::mismatch(format!("lipscope measure ended with {status}"), "Run it by hand to see why."));
    }
    Ok((began.elapsed().as_secs_f64(), usage.ru_maxrss as f64 / 1024.0))
}

fn main() -> Result<()> {
    let arguments = arguments();
    let arch = arguments.first().map_or(ARCH, String::as_str);
    let size: i64 = arguments.get(1).and_then(|size| size.parse().ok()).unwrap_or(256);
    let shape = [3, size, size];
    let folder = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", "creating", &e))?;
    let parameters = checkpoint(arch, &shape, &folder.path().join("model"))?;
    data(&shape, &folder.path().join("x0.safetensors"))?;
    println!("{arch}: {:.1} M parameters, x {shape:?}, {SAMPLES} samples", parameters as f64 / 1e6);
    let mut rows = Vec::new();
    for (quantity, batch) in ROWS {
        let (seconds, peak) = measure(folder.path(), batch, quantity)?;
        println!("  {quantity:<10} --batch {batch:<5} peak {peak:>7.0} MB   {seconds:>6.1} s");
        rows.push(serde_json::json!({"quantity": quantity, "batch": batch, "megabytes": peak, "seconds": seconds}));
    }
    println!("{}", serde_json::json!({"bench": "memory", "parameters": parameters, "rows": rows}));
    Ok(())
}
