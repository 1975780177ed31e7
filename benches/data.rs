//! Training from 50,000 small pictures: in memory, from a folder and from tar shards. Images per second, resident memory over
//! time, and how many samples a second are made where no network takes them.
//!
//!     ./x bench --bench data -- [COUNT] [STEPS] [ROUNDS] [ARCH]
//!
//! Prints a table and one line of JSON. Rounds alternate between the layouts, so that noise of the machine hits all of them;
//! ratios are medians over pairs of one round.

mod common;

use common::{arguments, median, program};
use image::{Rgb, RgbImage};
use lipscope::data::{ByteSize, DataSpec, LoadOptions, SampleShape, Set};
use lipscope::error::{Error, Result};
use lipscope::train::{Batches, Data};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

const SIDE: u32 = 32;
const SHARDS: usize = 10;
const BATCH: u64 = 64;
const ARCH: &str = "unet:channels=16-32,layers=1,attention=8";
const LAYOUTS: [(&str, &str, &str); 3] =
    [("in memory", "images:photos", "64GiB"), ("folder", "images:photos", "0"), ("tar shards", "tar:shards", "0")];

/// A smooth picture with noise on it: of about 2 kB as PNG, as a photograph of this size has.
fn picture(number: usize) -> RgbImage {
    let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
    let phase = rng.next_u32() % 360;
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let noise = rng.next_u32();
        Rgb([0u32, 1, 2].map(|c| {
            let angle = f64::from(phase + 7 * x * (c + 1) + 5 * y) / 57.3;
            (110.0 + 90.0 * angle.sin()) as u8 + ((noise >> (8 * c)) & 15) as u8
        }))
    })
}

fn header(name: &str, bytes: usize) -> [u8; 512] {
    let mut header = [0u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{bytes:011o}").as_bytes());
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Writes the folder and the shards.
fn write(count: usize, folder: &Path) -> Result<()> {
    let failed = |e: std::io::Error| Error::io(folder, "writing", &e);
    let (photos, shards) = (folder.join("photos"), folder.join("shards"));
    fs::create_dir_all(&photos).and_then(|()| fs::create_dir_all(&shards)).map_err(failed)?;
    let name = |i: usize| format!("{i:06}.png");
    (0..count).into_par_iter().try_for_each(|i| {
        let path = photos.join(name(i));
        picture(i).save(&path).map_err(|e| Error::file(&path, e.to_string(), "Check the disk."))
    })?;
    for shard in 0..SHARDS {
        let file = File::create(shards.join(format!("{shard:03}.tar"))).map_err(failed)?;
        let mut file = BufWriter::new(file);
        for i in count * shard / SHARDS..count * (shard + 1) / SHARDS {
            let mut bytes = fs::read(photos.join(name(i))).map_err(failed)?;
            file.write_all(&header(&name(i), bytes.len())).map_err(failed)?;
            bytes.resize(bytes.len().next_multiple_of(512), 0);
            file.write_all(&bytes).map_err(failed)?;
        }
        file.write_all(&[0; 1024]).and_then(|()| file.flush()).map_err(failed)?;
    }
    Ok(())
}

/// Megabytes that a process holds.
fn resident(child: &Child) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}

struct Run {
    images_per_second: f64,
    seconds: f64,
    /// Megabytes: after a quarter of the run, at its end, at most.
    memory: [f64; 3],
}

/// One training by the built program.
fn train(folder: &Path, data: (&str, &str), arch: &str, steps: u64) -> Result<Run> {
    let out = folder.join("out");
    let _ = fs::remove_dir_all(&out);
    let mut command = Command::new(program());
    command.current_dir(folder).args([
        "train",
        "--variant",
        "ddpm",
        "--shape",
        "3,32,32",
        "--flip",
        "--quiet",
        "--out",
        "out",
    ]);
    command.args(["--data", data.0, "--data-memory", data.1, "--arch", arch, "--log-every", "5"]);
    command.args(["--batch", &BATCH.to_string(), "--steps", &steps.to_string(), "--save-every", &steps.to_string()]);
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn().map_err(|e| Error::io(program(), "starting", &e))?;
    let mut memory = Vec::new();
    let status = loop {
        // From the first row of its log on it trains.
        if out.join("train.csv").exists() {
            memory.extend(resident(&child).filter(|megabytes| *megabytes > 0.0));
        }
        match child.try_wait().map_err(|e| Error::io(program(), "waiting for", &e))? {
            Some(status) => break status,
            None => sleep(Duration::from_millis(50)),
        }
    };
    if !status.success() {
        return Err(Error::mismatch(format!("lipscope train ended with {status}"), "Run it by hand to see why."));
    }
    let path = out.join("train.csv");
    let csv = fs::read_to_string(&path).map_err(|e| Error::io(&path, "reading", &e))?;
    let speeds = csv.lines().skip(2).filter_map(|line| line.rsplit_once(',')?.1.parse().ok());
    let at = |share: usize| memory.get(memory.len() * share / 4).or(memory.last()).copied().unwrap_or(f64::NAN);
    let most = memory.iter().fold(0.0, |most: f64, megabytes| most.max(*megabytes));
    Ok(Run {
        images_per_second: median(speeds.collect()),
        seconds: began.elapsed().as_secs_f64(),
        memory: [at(1), at(4), most],
    })
}

/// Samples per second of batches that nothing waits for.
fn made(folder: &Path, data: &str, workers: usize, batches: usize) -> Result<f64> {
    let data = data
        .split_once(':')
        .map_or(data.to_string(), |(kind, place)| format!("{kind}:{}", folder.join(place).display()));
    let want = SampleShape { sample: Some(vec![3, SIDE.into(), SIDE.into()]), ..SampleShape::default() };
    let options = LoadOptions { want, memory: ByteSize(0), ..LoadOptions::default() };
    let data = match data.parse::<DataSpec>()?.open(&options)? {
        Set::Held(samples) => Data::Rows(Arc::new(samples.images)),
        Set::Indexed(indexed) => Data::Indexed(Arc::new(indexed)),
    };
    let shape = vec![3, SIDE.into(), SIDE.into()];
    let receiver =
        Batches { data, shape, timesteps: 1000, flip: true, seed: 0, size: BATCH, rows: 0..BATCH, workers }.start(0);
    // The order of the first epoch is not counted.
    receiver.recv().map_err(|_| Error::mismatch("the batches ended", "Report this."))??;
    let began = Instant::now();
    receiver.iter().take(batches).try_for_each(|batch| batch.map(|_| ()))?;
    Ok((batches as u64 * BATCH) as f64 / began.elapsed().as_secs_f64())
}

fn main() -> Result<()> {
    let arguments = arguments();
    let number = |i: usize, default| arguments.get(i).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, steps, rounds) = (number(0, 50_000), number(1, 100) as u64, number(2, 5));
    let arch = arguments.get(3).map_or(ARCH, String::as_str);
    let folder = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", "creating", &e))?;
    write(count, folder.path())?;
    println!("{count} pictures of {SIDE}x{SIDE}, {steps} steps of {BATCH}, {arch}, {rounds} rounds");
    let mut runs: Vec<Vec<Run>> = LAYOUTS.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (all, (_, data, memory)) in runs.iter_mut().zip(LAYOUTS) {
            all.push(train(folder.path(), (data, memory), arch, steps)?);
        }
    }
    println!("               images/s  over memory   whole run  RSS at 1/4, at the end, at most (MB)");
    let mut rows = Vec::new();
    for (all, (name, ..)) in runs.iter().zip(LAYOUTS) {
        let speed = median(all.iter().map(|run| run.images_per_second).collect());
        let ratio = median(all.iter().zip(&runs[0]).map(|(a, b)| a.images_per_second / b.images_per_second).collect());
        let seconds = median(all.iter().map(|run| run.seconds).collect());
        let memory = [0, 1, 2].map(|i| median(all.iter().map(|run| run.memory[i]).collect()));
        println!(
            "  {name:<12} {speed:>8.0} {ratio:>12.3} {seconds:>9.1} s  {:.0}, {:.0}, {:.0}",
            memory[0], memory[1], memory[2]
        );
        rows.push(serde_json::json!({"data": name, "images_per_second": speed, "ratio": ratio, "seconds": seconds,
                                     "megabytes": memory}));
    }
    for (name, data, _) in &LAYOUTS[1..] {
        for workers in [1, 2] {
            let speed = made(folder.path(), data, workers, count / BATCH as usize)?;
            println!("  {name}, no network, {workers} threads: {speed:.0} samples/s");
            rows.push(serde_json::json!({"data": name, "workers": workers, "samples_per_second": speed}));
        }
    }
    println!("{}", serde_json::json!({"bench": "data", "count": count, "steps": steps, "rows": rows}));
    Ok(())
}
