//! What the Fréchet distance costs: mean and covariance of 10,000 samples of 2,048 features and the distance of two such
//! sets, beside numpy and scipy as pytorch-fid has them (LIPSCOPE_PYTHON names a Python with both); and the same for 1,000
//! samples, fewer than features.
//!
//!     ./x bench --bench quality -- [SAMPLES] [FEATURES]
//!
//! Prints a table and one line of JSON.

mod common;

use common::{arguments, median};
use lipscope::error::{Error, Result};
use lipscope::quality::{self, Moments, Reference, Setting};
use lipscope::random::{Purpose, fill_normal, stream};
use ndarray::Array2;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use tch::{Kind, Tensor};

const ROUNDS: usize = 3;

/// Features whose deviations fall from 1 to 1e-3 along the axes, [n, d].
fn features(samples: usize, width: usize, seed: u64) -> Array2<f32> {
    let mut values = vec![0.0f32; samples * width];
    for (i, row) in values.chunks_exact_mut(width).enumerate() {
        fill_normal(&mut stream(seed, Purpose::Noise, 0.0, i as u64), row);
        for (j, value) in row.iter_mut().enumerate() {
            *value *= 10f32.powf(-3.0 * j as f32 / width as f32);
        }
    }
    Array2::from_shape_fn((samples, width), |(i, j)| values[i * width + j])
}

fn tensor(features: &Array2<f32>) -> Tensor {
    let shape = [features.nrows() as i64, features.ncols() as i64];
    Tensor::from_slice(features.as_slice().unwrap_or_default()).to_kind(Kind::Double).reshape(shape)
}

/// Seconds of the statistics of one set, of a measurement against a reference that is ready, and the distance.
fn native(one: &Tensor, other: &Tensor) -> Result<(f64, f64, f64)> {
    let reference = Reference { moments: Some(Moments::of(other)?), ..Reference::default() };
    let metric = (quality::find("frechet")?.build)(&reference, &Setting { seed: 0, samples: 0 })?;
    let (mut statistics, mut whole, mut value) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        Moments::of(one)?;
        statistics.push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        value = metric.measure(one)?;
        whole.push(began.elapsed().as_secs_f64());
    }
    let (statistics, whole) = (median(statistics), median(whole));
    Ok((statistics, (whole - statistics).max(0.0), value))
}

fn in_python(folder: &Path, sets: [&Array2<f32>; 2]) -> Result<Option<Value>> {
    let python = std::env::var("LIPSCOPE_PYTHON").unwrap_or_else(|_| "python3".into());
    let works = Command::new(&python).args(["-c", "import numpy, scipy.linalg"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        println!("{python} has no numpy and scipy (LIPSCOPE_PYTHON names another): its rows are left out");
        return Ok(None);
    }
    let paths = [folder.join("one.npy"), folder.join("other.npy")];
    for (path, set) in paths.iter().zip(sets) {
        ndarray_npy::write_npy(path, set).map_err(|e| Error::file(path, e.to_string(), "Free some space."))?;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/quality.py");
    let output = Command::new(&python).arg(&script).args(&paths).output();
    let output = output.map_err(|e| Error::io(&script, "running", &e))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().last().and_then(|line| serde_json::from_str(line).ok()))
}

fn main() -> Result<()> {
    lipscope::device::keep_freed_memory();
    let numbers: Vec<usize> = arguments().iter().filter_map(|argument| argument.parse().ok()).collect();
    let (most, width) = (numbers.first().copied().unwrap_or(10_000), numbers.get(1).copied().unwrap_or(2048));
    let folder = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", "creating", &e))?;
    let mut rows = Vec::new();
    for samples in [most, most / 10] {
        let (one, other) = (features(samples, width, 1), features(samples, width, 2));
        println!("{samples} samples of {width} features, {} threads", tch::get_num_threads());
        let (statistics, distance, value) = native(&tensor(&one), &tensor(&other))?;
        println!("  lipscope        statistics {statistics:>7.2} s   distance {distance:>7.2} s   d² {value:.6}");
        let mut row = json!({"samples": samples, "features": width, "statistics": statistics, "distance": distance});
        if let Some(plain) = in_python(folder.path(), [&one, &other])? {
            let number = |name: &str| plain[name].as_f64().unwrap_or(f64::NAN);
            let (statistics, distance, value) = (number("statistics"), number("distance"), number("value"));
            println!("  numpy and scipy statistics {statistics:>7.2} s   distance {distance:>7.2} s   d² {value:.6}");
            row["python"] = plain;
        }
        rows.push(row);
    }
    println!("{}", json!({"bench": "quality", "rows": rows}));
    Ok(())
}
