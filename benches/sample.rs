//! The speed of sampling beside diffusers' own loop: DDIM with the same network, start noise, timesteps, batch, clip and
//! number of threads.
//!
//!     ./x bench --bench sample -- [DIFFUSERS_FOLDER] [C,H,W] [NFE] [BATCH] [ROUNDS]
//!
//! Prints a table and one line of JSON; `LIPSCOPE_PYTHON` names a Python with torch and diffusers. Rounds alternate between
//! the two, so that noise of the machine hits both, and the samples are compared.

mod common;

use common::{arguments, median, plain, python};
use lipscope::checkpoint::{self, Request};
use lipscope::denoiser::{AskedNetwork, NetworkDenoiser};
use lipscope::error::{Error, Result};
use lipscope::prediction::Prediction;
use lipscope::random::{Purpose, fill_normal, stream};
use lipscope::sampler::{self, Sampling, Which, draw, spacing};
use lipscope::schedule;
use lipscope::time::Conditioning;
use lipscope::timestep_map::Identity;
use ndarray::{ArrayD, IxDyn};
use ndarray_npy::{read_npy, write_npy};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tch::{Device, Kind};

/// What is timed.
struct Job {
    folder: String,
    shape: Vec<i64>,
    nfe: usize,
    batch: u64,
    rounds: usize,
}

impl Job {
    fn from(arguments: &[String]) -> Self {
        let default = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/unet2d/ddpm_cifar10");
        let number = |i: usize, default| arguments.get(i).and_then(|text| text.parse().ok()).unwrap_or(default);
        let shape = arguments.get(1).map_or("3,32,32", String::as_str);
        Job {
            folder: arguments.first().map_or(default, String::as_str).into(),
            shape: shape.split(',').filter_map(|size| size.parse().ok()).collect(),
            nfe: number(2, 50),
            batch: number(3, 32) as u64,
            rounds: number(4, 7),
        }
    }

    fn denoiser(&self) -> Result<NetworkDenoiser> {
        let request = Request::on(Device::Cpu);
        Ok(NetworkDenoiser {
            asked: AskedNetwork {
                network: checkpoint::open(Path::new(&self.folder), &request)?.network,
                map: Arc::new(Identity),
                conditioning: Conditioning::default(),
                given: Default::default(),
                sample_shape: self.shape.clone(),
                device: Device::Cpu,
                kind: Kind::Float,
            },
            process: schedule::parse("linear")?.into(),
            prediction: Prediction::Epsilon,
            guidance: None,
        })
    }

    /// DDIM on diffusers' grid: 0, T/nfe, 2 T/nfe, ….
    fn sampling(&self) -> Result<Sampling> {
        let times: Vec<String> = (0..self.nfe).map(|i| (i * (1000 / self.nfe)).to_string()).collect();
        let spacing = spacing::parse(&format!("times:{}", times.join("-")))?;
        Ok(Sampling { sampler: sampler::parse("ddim")?, spacing, nfe: self.nfe, clip: Some(1.0) })
    }

    /// Seconds, and the samples.
    fn sample(&self, denoiser: &NetworkDenoiser, sampling: &Sampling) -> Result<(f64, Vec<f32>)> {
        let began = Instant::now();
        let drawn = draw(denoiser, sampling, Which { seed: 0, samples: 0..self.batch, labels: None }, &mut || true)?;
        let seconds = began.elapsed().as_secs_f64();
        let values = drawn.and_then(|x| Vec::try_from(x.reshape([-1])).ok()).unwrap_or_default();
        Ok((seconds, values))
    }

    /// Seconds of diffusers' loop from the same noise, and its samples.
    fn diffusers(&self, python: &str, file: &Path) -> Result<(f64, Vec<f32>)> {
        let unreadable = |e: &dyn std::fmt::Display| Error::file(file, e.to_string(), "Run it again.");
        let dim: i64 = self.shape.iter().product();
        let mut noise = vec![0.0f32; self.batch as usize * dim as usize];
        for (sample, row) in noise.chunks_exact_mut(dim as usize).enumerate() {
            fill_normal(&mut stream(0, Purpose::Start, 0.0, sample as u64), row);
        }
        let full: Vec<usize> =
            std::iter::once(self.batch as usize).chain(self.shape.iter().map(|n| *n as usize)).collect();
        let start = ArrayD::from_shape_vec(IxDyn(&full), noise).map_err(|e| unreadable(&e))?;
        write_npy(file, &start).map_err(|e| unreadable(&e))?;
        let (name, nfe, threads) =
            (file.display().to_string(), self.nfe.to_string(), tch::get_num_threads().to_string());
        let options = ["--nfe", &nfe, "--rounds", "1", "--threads", &threads];
        let report = plain(python, &[&["sample", &self.folder, &name], &options[..]].concat())?;
        let samples: ArrayD<f32> = read_npy(file).map_err(|e| unreadable(&e))?;
        Ok((report["seconds"][0].as_f64().unwrap_or(f64::NAN), samples.into_iter().collect()))
    }
}

fn main() -> Result<()> {
    let job = Job::from(&arguments());
    let (denoiser, sampling) = (job.denoiser()?, job.sampling()?);
    let folder = tempfile::tempdir().map_err(|e| Error::io(std::env::temp_dir(), "making a folder", &e))?;
    let file = folder.path().join("start.npy");
    let python = python();
    job.sample(&denoiser, &sampling)?;
    let (mut ours, mut theirs, mut difference) = (Vec::new(), Vec::new(), 0.0f32);
    println!("round   lipscope [s]   diffusers [s]");
    for round in 0..job.rounds {
        let (seconds, samples) = job.sample(&denoiser, &sampling)?;
        ours.push(seconds);
        let Some(python) = &python else { continue };
        let (plain, expected) = job.diffusers(python, &file)?;
        theirs.push(plain);
        let apart = samples.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        difference = difference.max(if samples.len() == expected.len() { apart } else { f32::INFINITY });
        println!("{round:>5}   {seconds:>12.3}   {plain:>13.3}");
    }
    let Job { nfe, batch, shape, .. } = &job;
    let threads = tch::get_num_threads();
    let about = format!("DDIM, {nfe} evaluations, batch {batch}, x {shape:?}, {threads} threads");
    let ratio = (!theirs.is_empty()).then(|| median(ours.clone()) / median(theirs.clone()));
    match ratio {
        Some(ratio) => println!("ratio of medians {ratio:.3}: {about}; samples differ by at most {difference:.1e}"),
        None => println!("median {:.3} s: {about}", median(ours.clone())),
    }
    println!(
        "{}",
        serde_json::json!({"bench": "sample", "ratio": ratio, "lipscope": ours, "diffusers": theirs,
            "difference": difference, "nfe": nfe, "batch": batch, "shape": shape, "threads": threads})
    );
    Ok(())
}
