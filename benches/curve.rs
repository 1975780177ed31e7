//! Time to a curve that is within 2 % of a reference at every timestep, against a plain PyTorch loop with 64 samples at
//! each, and the error that the loop reaches.
//!
//!     ./x bench --bench curve -- DATA MODEL REFERENCE [MODEL REFERENCE …]
//!
//! MODEL is a diffusers folder (or a pipeline's), and REFERENCE the report of `lipscope measure MODEL --data DATA
//! --timesteps 0..1000/10 --samples 4096 --seed 99` (for `--derivative` as the first argument, with `--quantity derivative`).
//! Prints a table and one line of JSON. Rounds alternate, with a seed each; the PyTorch rows need a Python with torch and
//! diffusers.

mod common;

use common::{arguments, median, plain, program, python};
use lipscope::error::{Error, Result};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const ROUNDS: u64 = 5;
const LONG_ROUNDS: u64 = 1;
const TIMESTEPS: &str = "0..1000/10";
/// Relative standard error asked for at every timestep: a maximum over a hundred of them is about 2.7 times that.
const REL_ERROR: &str = "0.0075";
const WITHIN: f64 = 0.02;

/// One way to the curve, over all rounds.
#[derive(Default)]
struct Row {
    /// The measuring loop alone.
    seconds: Vec<f64>,
    /// The whole process.
    whole: Vec<f64>,
    evaluations: Vec<f64>,
    worst: Vec<f64>,
    within: Vec<f64>,
}

impl Row {
    fn add(&mut self, seconds: f64, whole: f64, evaluations: f64, errors: &[f64]) {
        self.seconds.push(seconds);
        self.whole.push(whole);
        self.evaluations.push(evaluations);
        self.worst.push(errors.iter().copied().fold(0.0, f64::max));
        self.within.push(errors.iter().filter(|error| **error <= WITHIN).count() as f64 / errors.len().max(1) as f64);
    }
}

/// Means by timestep of a list of points.
fn means(points: &Value) -> Vec<(f64, f64)> {
    let number = |point: &Value, key: &str| point.get(key).and_then(Value::as_f64);
    let points = points.as_array().into_iter().flatten();
    points.filter_map(|point| Some((number(point, "timestep")?, number(point, "mean")?))).collect()
}

/// |K/K_reference − 1| wherever the reference is above 0.
fn errors(curve: &[(f64, f64)], reference: &[(f64, f64)]) -> Vec<f64> {
    let of = |(t, mean): &(f64, f64)| {
        let (_, truth) = reference.iter().find(|(other, truth)| other == t && *truth > 0.0)?;
        Some((mean / truth - 1.0).abs())
    };
    curve.iter().filter_map(of).collect()
}

fn report(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "reading", &e))?;
    serde_json::from_str(&text).map_err(|e| Error::file(path, format!("this is no report ({e})"), "Make it again."))
}

fn points(report: &Value) -> Vec<(f64, f64)> {
    means(&report["models"][0]["curves"][0]["points"])
}

/// `lipscope measure` as a user types it.
fn ours(job: &Job, seed: u64, more: &[&str], row: &mut Row) -> Result<()> {
    let folder = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", "creating", &e))?;
    let out = folder.path().join("out");
    let mut command = Command::new(program());
    command.args(["measure", job.model, "--data", job.data, "--timesteps", TIMESTEPS, "--quiet", "--threads", "2"]);
    command.args(["--quantity", job.quantity(), "--seed", &seed.to_string()]).args(more).arg("--out").arg(&out);
    let began = Instant::now();
    let status = command.status().map_err(|e| Error::io(program(), "starting", &e))?;
    let whole = began.elapsed().as_secs_f64();
    if !status.success() {
        return Err(Error::mismatch(format!("lipscope measure ended with {status}"), "Run it by hand to see why."));
    }
    let report = report(&out.join("report.json"))?;
    let evaluations = report["models"][0]["spent"]["function_evaluations"].as_f64().unwrap_or(f64::NAN);
    let seconds = report["provenance"]["wall_seconds"].as_f64().unwrap_or(f64::NAN);
    row.add(seconds, whole, evaluations, &errors(&points(&report), &job.reference));
    Ok(())
}

/// The plain loop.
fn theirs(job: &Job, python: &str, seed: u64, samples: &str, row: &mut Row) -> Result<()> {
    let seed = seed.to_string();
    let unet = Path::new(job.model).join("unet");
    let folder = if unet.exists() { unet.display().to_string() } else { job.model.to_string() };
    let mut words = vec!["curve", &folder, job.data, "--timesteps", TIMESTEPS, "--samples", samples, "--seed", &seed];
    words.extend(job.derivative.then_some("--derivative"));
    let began = Instant::now();
    let result = plain(python, &words)?;
    let number = |key: &str| result[key].as_f64().unwrap_or(f64::NAN);
    let whole = began.elapsed().as_secs_f64();
    row.add(number("seconds"), whole, number("evaluations"), &errors(&means(&result["curve"]), &job.reference));
    Ok(())
}

struct Job<'a> {
    data: &'a str,
    model: &'a str,
    derivative: bool,
    reference: Vec<(f64, f64)>,
}

impl Job<'_> {
    fn quantity(&self) -> &'static str {
        if self.derivative { "derivative" } else { "secant" }
    }
}

/// Measures one model in all ways and prints the table.
fn bench(job: &Job, python: Option<&str>) -> Result<Value> {
    let names =
        ["lipscope, --rel-error 0.0075", "lipscope, --samples 64", "plain loop, 64 samples", "plain loop, 384 samples"];
    let mut rows: [Row; 4] = std::array::from_fn(|_| Row::default());
    for round in 0..ROUNDS {
        ours(job, round, &["--rel-error", REL_ERROR], &mut rows[0])?;
        ours(job, round, &["--samples", "64"], &mut rows[1])?;
        if let Some(python) = python {
            theirs(job, python, round, "64", &mut rows[2])?;
            // About what it takes for the same error; long, and so in fewer rounds.
            if round < LONG_ROUNDS {
                theirs(job, python, round, "384", &mut rows[3])?;
            }
        }
    }
    println!("{}: {} at {TIMESTEPS}, medians of {ROUNDS} rounds", job.model, job.quantity());
    let mut json = Vec::new();
    for (name, row) in names.iter().zip(rows).filter(|(_, row)| !row.seconds.is_empty()) {
        let [seconds, whole, evaluations, worst, within] =
            [row.seconds, row.whole, row.evaluations, row.worst, row.within].map(median);
        println!(
            "  {name:<30} loop {seconds:>6.2} s   process {whole:>6.2} s   {evaluations:>7} evaluations   worst error \
             {:>5.2} %   {:>5.1} % of the points within 2 %",
            100.0 * worst,
            100.0 * within
        );
        json.push(serde_json::json!({
            "row": name, "seconds": seconds, "process_seconds": whole, "evaluations": evaluations,
            "worst_relative_error": worst, "within": within,
        }));
    }
    Ok(serde_json::json!({"model": job.model, "quantity": job.quantity(), "rows": json}))
}

fn main() -> Result<()> {
    let mut arguments = arguments();
    let derivative = arguments.first().is_some_and(|first| first == "--derivative");
    arguments.drain(..usize::from(derivative));
    let Some((data, models)) = arguments.split_first().filter(|(_, models)| models.len() >= 2) else {
        println!("curve: give DATA MODEL REFERENCE …, as the head of benches/curve.rs says");
        return Ok(());
    };
    let python = python();
    let mut results = Vec::new();
    for pair in models.chunks_exact(2) {
        let reference = points(&report(Path::new(&pair[1]))?);
        results.push(bench(&Job { data, model: &pair[0], derivative, reference }, python.as_deref())?);
    }
    println!("{}", serde_json::json!({"bench": "curve", "models": results}));
    Ok(())
}
