//! `lipscope doctor`: what this installation can use, and with `--bench` how fast it is.

use super::watch::Terminal;
use crate::device::{self, speed};
use crate::error::{Error, Result};
use crate::libtorch::group;
use crate::run::Watch;
use lipscope_core::cli::args::{DoctorArgs, Global};
use lipscope_core::cli::{Outcome, output};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;
use tch::{Device, Kind, Tensor};

/// Time for all networks together.
const BENCH: Duration = Duration::from_secs(24);

#[derive(Serialize)]
struct Examined {
    lipscope: &'static str,
    libtorch: &'static str,
    libtorch_folder: PathBuf,
    threads: i32,
    /// Of the machine over the last minute, before anything was measured.
    load: Option<f64>,
    devices: Vec<ExaminedDevice>,
    /// Why there is no CUDA device.
    no_cuda: Option<String>,
    /// Whether several processes can train together.
    gloo: bool,
    /// Whether they sum the gradients of GPUs where these lie.
    nccl: bool,
    /// What is measured of every device.
    network: Option<String>,
}

#[derive(Serialize)]
struct ExaminedDevice {
    name: String,
    works: bool,
    free_bytes: Option<u64>,
    speeds: Vec<speed::NetworkSpeed>,
    copies: Option<speed::CopySpeed>,
}

/// Lists devices and tries a small product on each.
pub(super) fn run(args: &DoctorArgs, global: &Global) -> Result<Option<Outcome>> {
    device::set_threads(global.threads)?;
    let mut examined = Examined {
        lipscope: env!("CARGO_PKG_VERSION"),
        libtorch: device::LIBTORCH_VERSION,
        libtorch_folder: device::libtorch_folder(),
        threads: tch::get_num_threads(),
        load: load(),
        devices: device::available().into_iter().map(examine).collect(),
        no_cuda: device::why_no_cuda(),
        gloo: group::has_gloo(),
        nccl: group::has_nccl(),
        network: None,
    };
    if args.bench {
        bench(&mut examined, &Terminal::new(global.quiet)?)?;
    }
    if global.json { output::print_json(&examined) } else { output::print(&text(&examined)) }
}

fn examine(found: Device) -> ExaminedDevice {
    let ones = Tensor::f_ones([64, 64], (Kind::Float, found));
    let sum = ones.and_then(|ones| ones.f_matmul(&ones)).and_then(|product| product.f_sum(Kind::Float));
    let works = sum.and_then(|sum| sum.f_double_value(&[])).is_ok_and(|sum| sum == 262_144.0);
    let (name, free_bytes) = speed::memory(found);
    ExaminedDevice { name, works, free_bytes, speeds: Vec::new(), copies: None }
}

/// Measures every device that works; a dtype that it does not have is left out.
fn bench(examined: &mut Examined, watch: &dyn Watch) -> Result<()> {
    examined.network = Some(speed::about()?);
    let devices = device::available();
    let working = || devices.iter().zip(&examined.devices).filter(|(_, examined)| examined.works);
    let pieces: usize = working().map(|(device, _)| speed::dtypes(*device).len()).sum();
    let budget = BENCH / pieces.max(1) as u32;
    watch.begin((pieces + working().count()) as u64, "measurements");
    for (&device, examined) in devices.iter().zip(&mut examined.devices).filter(|(_, examined)| examined.works) {
        for &kind in speed::dtypes(device) {
            watch.say(&format!("{} {}", examined.name, device::dtype_name(kind)));
            match speed::network(device, kind, budget, &|| watch.goes_on()) {
                Ok(Some(speed)) => examined.speeds.push(speed),
                Ok(None) => return Err(Error::Interrupted { next: "Run it again for all numbers.".into() }),
                Err(_) if kind != Kind::Float => {}
                Err(error) => return Err(error),
            }
            watch.advance();
        }
        watch.say(&format!("copies to {}", examined.name));
        examined.copies = Some(speed::copies(device)?);
        watch.advance();
    }
    watch.end();
    Ok(())
}

/// The machine's load over the last minute, on Linux.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn text(examined: &Examined) -> String {
    let mut text = format!("lipscope {}\n", examined.lipscope);
    let _ = writeln!(text, "libtorch in {}", examined.libtorch_folder.display());
    let _ = writeln!(text, "threads: {}", examined.threads);
    for device in &examined.devices {
        let works = if device.works { "works" } else { "is there but does not compute" };
        let _ = writeln!(text, "{}: {works}", device.name);
    }
    if let Some(reason) = &examined.no_cuda {
        let _ = writeln!(text, "cuda: {reason}");
    }
    let sums = match (examined.gloo, examined.nccl) {
        (false, _) => "cannot train together: this libtorch has no Gloo",
        (true, false) => {
            "sum gradients over Gloo; NCCL is not built in, so those of GPUs are copied to the CPU and back"
        }
        (true, true) => "sum gradients over Gloo, those of GPUs over NCCL",
    };
    let _ = writeln!(text, "several processes: {sums}");
    if let Some(network) = &examined.network {
        bench_text(&mut text, examined, network);
    }
    text
}

fn bench_text(text: &mut String, examined: &Examined, network: &str) {
    let load = examined.load.map(|load| format!(", load {load:.1} when it began")).unwrap_or_default();
    let _ = writeln!(text, "\n{network}{load}\n");
    let _ = writeln!(text, "device  dtype  forwards/s  samples/s (at once)  derivative  secant");
    for device in &examined.devices {
        for speed in &device.speeds {
            let speed::NetworkSpeed { dtype, batch, .. } = speed;
            let (forwards, samples) = (speed.forwards_per_second, speed.samples_per_second);
            let (derivative, secant) = (speed.derivative_in_forwards, speed.secant_in_forwards);
            let at_once = format!("({batch})");
            let _ = writeln!(
                text,
                "{:<7} {dtype:<6} {forwards:>10.1}  {samples:>9.1} {at_once:<9}  {derivative:>8.2} ×  {secant:>4.2} ×",
                device.name
            );
        }
    }
    let _ = writeln!(text, "\nderivative and secant: their time over that of a forward pass of the same batch");
    for device in &examined.devices {
        let free = device.free_bytes.map(|bytes| format!("{:.1} GB of memory free", bytes as f64 / 1e9));
        let copies = device.copies.as_ref().map(|copies| {
            let pinned = copies.pinned.map(|rate| format!(", from pinned memory {rate:.1} GB/s")).unwrap_or_default();
            let place = if device.name == "cpu" { "within" } else { "from" };
            format!("copies {place} main memory {:.1} GB/s{pinned}", copies.plain)
        });
        let known: Vec<String> = free.into_iter().chain(copies).collect();
        let _ = writeln!(text, "{}: {}", device.name, known.join(", "));
    }
}
