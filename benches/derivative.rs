//! What the exact ∂ε/∂t costs, in forward passes of the same network: tangents through the native layers, and the ways that
//! a TorchScript module of the same weights leaves (forward mode without attention, double backward with it); and the
//! same in PyTorch, where there is a Python with torch and diffusers.
//!
//!     ./x bench --bench derivative
//!
//! Prints a table and one line of JSON. Rounds alternate between all rows, so that noise of the machine hits all alike.

mod common;

use common::{median, plain, python};
use lipscope::checkpoint::{Content, Sidecar, WRITERS, WeightSet};
use lipscope::dual::Dual;
use lipscope::error::{Error, Result};
use lipscope::network::torchscript::{Signature, TorchScript};
use lipscope::network::{self, Argument, Condition, Network, Probe};
use lipscope::nn::Weights;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

const ROUNDS: usize = 7;
const CALLS: usize = 3;
const BATCH: i64 = 16;
const SHAPE: [i64; 3] = [3, 32, 32];
const ARCHITECTURES: [&str; 2] =
    ["unet:channels=64-96-128,attention=16-8,head-dim=16", "unet:channels=64-96-128,attention=none"];

/// Seconds of a call, with a tangent of ones on t or without.
fn seconds(network: &dyn Network, with_tangent: bool) -> Result<f64> {
    let _no_grad = tch::no_grad_guard();
    let x = Tensor::ones([BATCH, SHAPE[0], SHAPE[1], SHAPE[2]], (Kind::Float, Device::Cpu));
    let t = Tensor::full([BATCH], 37.0, (Kind::Float, Device::Cpu));
    let began = Instant::now();
    for _ in 0..CALLS {
        let time = Dual { value: t.shallow_clone(), tangent: with_tangent.then(|| t.ones_like()) };
        network.forward(&Dual::constant(x.shallow_clone()), &time, &Condition::default())?;
    }
    Ok(began.elapsed().as_secs_f64() / CALLS as f64)
}

/// Writes the same network in a format of the family.
fn write(arch: &serde_json::Value, native: &dyn Network, format: &str, path: &Path) -> Result<()> {
    let sidecar = Sidecar { architecture: Some(arch.clone()), shape: Some(SHAPE.to_vec()), ..Sidecar::default() };
    let sets = [WeightSet { name: "raw".into(), tensors: native.parameters() }];
    let writer = WRITERS.iter().find(|writer| writer.name == format);
    let writer = writer.ok_or_else(|| Error::mismatch(format!("there is no writer of {format}"), "Report this."))?;
    (writer.write)(&Content { sidecar, sets: &sets, reference: None }, path)
}

/// Prints what PyTorch takes for the same weights, in its own forward passes, and gives the rows.
fn in_python(python: &str, arch: &serde_json::Value, native: &dyn Network, folder: &Path) -> Result<Vec<Value>> {
    let path = folder.join("pipeline");
    write(arch, native, "diffusers", &path)?;
    let unet = path.join("unet").display().to_string();
    let result = plain(python, &["derivative", &unet, "--shape", "3,32,32", "--batch", "16"])?;
    let times = |name: &str| -> Vec<f64> {
        result["seconds"][name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let forward = times("forward");
    let mut rows = Vec::new();
    for name in ["forward", "torch.func.jvp", "double backward"] {
        let label = format!("PyTorch, {name}");
        let seconds = times(name);
        if seconds.is_empty() {
            println!("  {label:<42} fails: {}", result["failures"][name].as_str().unwrap_or("no reason given"));
            rows.push(json!({"row": label, "fails": result["failures"][name]}));
            continue;
        }
        let own = median(seconds.iter().zip(&forward).map(|(a, b)| a / b).collect());
        println!("  {label:<42} {:>8.1} ms   {own:>29.2} own forwards", 1e3 * median(seconds));
        rows.push(json!({"row": label, "own_forwards": own}));
    }
    Ok(rows)
}

/// The same network as a TorchScript module that knows nothing of ours.
fn script(arch: &serde_json::Value, native: &dyn Network, folder: &Path) -> Result<TorchScript> {
    let path = folder.join("model.pt");
    write(arch, native, "pt", &path)?;
    let mut module = TorchScript::load(&path, Device::Cpu, Signature::default())?;
    let condition = Condition::default();
    let (device, kind) = (Device::Cpu, Kind::Float);
    let probe = Probe {
        sample_shape: &SHAPE,
        times: [0.0, 500.0],
        condition: &condition,
        device,
        kind,
        beside: 0,
        moving: &[Argument::T],
        answers_x: true,
    };
    module.prepare(&probe)?;
    module.prepare_rate(&probe)?;
    Ok(module)
}

fn main() -> Result<()> {
    lipscope::device::keep_freed_memory();
    let python = python();
    let folder = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", "creating", &e))?;
    let mut results = Vec::new();
    for text in ARCHITECTURES {
        let arch = network::arch::parse(text, &SHAPE, 1000)?;
        let native = network::build(&arch, &Weights::fresh(0), Path::new("the benchmark"))?;
        for (_, mut parameter) in native.parameters() {
            let _ = parameter.requires_grad_(false);
        }
        let module = script(&arch, &*native, folder.path())?;
        let rows: [(&str, &dyn Network, bool); 4] = [
            ("native, forward", &*native, false),
            ("native, forward and tangent", &*native, true),
            ("TorchScript, forward", &module, false),
            (&module.rate_route(), &module, true),
        ];
        let parameters: usize = native.parameters().iter().map(|(_, tensor)| tensor.numel()).sum();
        println!("{text}: {parameters} parameters, x {SHAPE:?}, batch {BATCH}, median of {ROUNDS} rounds");
        for (_, network, tangent) in rows {
            seconds(network, tangent)?;
        }
        let mut times = vec![Vec::new(); rows.len()];
        for _ in 0..ROUNDS {
            for ((_, network, tangent), times) in rows.iter().zip(&mut times) {
                times.push(seconds(*network, *tangent)?);
            }
        }
        for (i, (name, ..)) in rows.iter().enumerate() {
            let own_forward = if i < 2 { 0 } else { 2 };
            let ratio = |over: usize| median(times[i].iter().zip(&times[over]).map(|(a, b)| a / b).collect());
            let (native, own) = (ratio(0), ratio(own_forward));
            let milliseconds = 1e3 * median(times[i].clone());
            println!("  {name:<42} {milliseconds:>8.1} ms   {native:>5.2} native forwards   {own:>5.2} own forwards");
            results.push(json!({"arch": text, "row": name, "native_forwards": native, "own_forwards": own}));
        }
        if let Some(python) = &python {
            results.extend(in_python(python, &arch, &*native, folder.path())?);
        }
    }
    println!("{}", json!({"bench": "derivative", "rows": results}));
    Ok(())
}
