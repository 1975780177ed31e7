//! How often 95 % intervals hold the truth, how far estimates are off on average, and how wide the intervals are: means with
//! control variates, paired ratios, and means at the sample counts that `--rel-error` chooses.
//!
//!     ./x bench --bench coverage -- [RUN …]
//!
//! Without arguments, norms of known mean: nearly symmetric ones to strongly skewed ones. RUN is the folder of a `lipscope
//! compare BASE CANDIDATE --samples 3000 …`: samples are then drawn from its raw norms, timestep by timestep, and the truth is
//! the mean of all of them. Prints a table, with Student's interval of the plain mean beside it, and one line of JSON.

mod common;

use common::arguments;
use lipscope::control_variates::{Control, Covariates, controlled};
use lipscope::error::{Error, Result};
use lipscope::measure::SampleRule;
use lipscope::random::{Purpose, stream};
use lipscope::ratio::paired_ratio;
use lipscope::stats::Moments;
use lipscope_core::store::{Folder, PLAN, Store, Survey};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::{Value, json};
use std::path::Path;

/// Trials of each row; 95 % of them have a standard deviation of a third of a per cent.
const TRIALS: u64 = 4000;
/// Trials with sample counts of hundreds.
const LONG_TRIALS: u64 = 1000;
const SAMPLES: [usize; 5] = [8, 16, 24, 64, 256];
const TARGETS: [f64; 3] = [0.1, 0.05, 0.02];
/// The most samples that the rule may take.
const MOST: u64 = 20_000;

/// What two models make of one pair (x₀, ε), and its covariates.
struct Row {
    norms: [f64; 2],
    covariates: Covariates,
}

/// A distribution of rows with its means.
struct Norms {
    name: String,
    means: [f64; 2],
    expected: Covariates,
    draw: Box<dyn Fn(&mut ChaCha8Rng) -> Row>,
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// ‖z‖ in `dims` dimensions, seen by the mean square of z, beside c = b e^{0.1z}.
fn euclidean(dims: usize) -> Norms {
    let draw = move |rng: &mut ChaCha8Rng| {
        let z: Vec<f64> = (0..dims).map(|_| normal(rng)).collect();
        let square = z.iter().map(|z| z * z).sum::<f64>();
        let mean = z.iter().sum::<f64>() / dims as f64;
        let covariates = [mean, square / dims as f64, normal(rng) / (dims as f64).sqrt()];
        Row { norms: [square.sqrt(), square.sqrt() * (0.1 * normal(rng)).exp()], covariates }
    };
    // E ‖z‖: √2 Γ((d + 1)/2)/Γ(d/2).
    let mean = lipscope::expectation::mean_norm(&vec![0.0; dims], &vec![1.0; dims]);
    Norms {
        name: format!("‖z‖, {dims} dimensions"),
        means: [mean, mean * f64::exp(0.005)],
        expected: [0.0, 1.0, 0.0],
        draw: Box::new(draw),
    }
}

/// b = e^{σu}, half of whose u is a covariate, beside c = b^0.8 e^{0.3z}/2.
fn lognormal(sigma: f64) -> Norms {
    let draw = move |rng: &mut ChaCha8Rng| {
        let z = [normal(rng), normal(rng), normal(rng), normal(rng), normal(rng)];
        let baseline = (sigma * (0.7 * z[0] + 0.51f64.sqrt() * z[1])).exp();
        let covariates = [z[0], 0.5 * z[0] * z[0] + 0.5 * z[2], z[3]];
        Row { norms: [baseline, 0.5 * baseline.powf(0.8) * (0.3 * z[4]).exp()], covariates }
    };
    let square = sigma * sigma;
    Norms {
        name: format!("e^{{{sigma}z}}"),
        means: [f64::exp(square / 2.0), 0.5 * f64::exp(0.32 * square + 0.045)],
        expected: [0.0, 0.5, 0.0],
        draw: Box::new(draw),
    }
}

/// Norms of a run, drawn with replacement, one distribution for each timestep at which both models have some.
fn measured(folder: &Path) -> Result<Vec<Norms>> {
    let unreadable = |problem: String| Error::file(folder, problem, "Name the folder of a finished lipscope compare.");
    let text = std::fs::read_to_string(folder.join(PLAN)).map_err(|e| Error::io(folder, "reading", &e))?;
    let plan: Value = serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
    let store = Store::open(&Folder::new(Some(folder), Default::default), &plan["plan"])?;
    let survey = Survey::of(folder)?.ok_or_else(|| unreadable("it holds no run".into()))?;
    let mut all = Vec::new();
    for key in survey.keys("points") {
        let Some(unit) = store.get("points", key) else { continue };
        for (i, t) in key.split(' ').enumerate() {
            let norms = [0, 1].map(|model| unit.numbers(&format!("{i}/norms/{model}/0")));
            let [Ok(baseline), Ok(candidate)] = norms else { continue };
            let flat = unit.numbers(&format!("{i}/covariates"))?;
            let covariates: Vec<Covariates> = flat.as_chunks().0.to_vec();
            let n = baseline.len();
            let mean = |values: &[f64]| values.iter().sum::<f64>() / n as f64;
            let means = [mean(&baseline), mean(&candidate)];
            let expected = std::array::from_fn(|p| covariates.iter().map(|row| row[p]).sum::<f64>() / n as f64);
            if n == 0 || covariates.len() != n || means.contains(&0.0) {
                continue;
            }
            let draw = move |rng: &mut ChaCha8Rng| {
                let i = rng.random_range(0..n);
                Row { norms: [baseline[i], candidate[i]], covariates: covariates[i] }
            };
            all.push(Norms { name: format!("t = {t}, {n} norms"), means, expected, draw: Box::new(draw) });
        }
    }
    Ok(all)
}

/// Samples as the measuring loop has them.
#[derive(Default)]
struct Sample {
    norms: [Vec<f64>; 2],
    covariates: Vec<Covariates>,
}

impl Sample {
    fn grow(&mut self, norms: &Norms, count: usize, rng: &mut ChaCha8Rng) {
        while self.covariates.len() < count {
            let row = (norms.draw)(rng);
            self.norms[0].push(row.norms[0]);
            self.norms[1].push(row.norms[1]);
            self.covariates.push(row.covariates);
        }
    }

    fn control(&self, expected: Covariates) -> Control {
        Control { covariates: self.covariates.clone(), expected: Some(expected) }
    }
}

/// What the trials of one row come to.
#[derive(Default)]
struct Tally {
    truth: f64,
    trials: u64,
    samples: usize,
    held: u64,
    value: f64,
    width: f64,
}

impl Tally {
    fn of(truth: f64) -> Self {
        Tally { truth, ..Tally::default() }
    }

    fn add(&mut self, samples: usize, value: f64, (low, high): (f64, f64)) {
        self.trials += 1;
        self.samples += samples;
        self.held += u64::from(low <= self.truth && self.truth <= high);
        self.value += value;
        self.width += high - low;
    }

    fn numbers(&self) -> [f64; 4] {
        let mean = |sum: f64| sum / self.trials as f64;
        let percent = |sum: f64| 100.0 * mean(sum) / self.truth;
        [mean(self.samples as f64), 100.0 * mean(self.held as f64), percent(self.value) - 100.0, percent(self.width)]
    }
}

/// Student's interval of the plain mean: of values without skewness and kurtosis.
fn student(values: &[f64]) -> Option<(f64, f64)> {
    Moments { skewness: 0.0, kurtosis: 3.0, ..Moments::new(values, 0.0)? }.interval()
}

/// Mean (with control variates), plain mean with Student's interval, and ratio, of `count` samples each time.
fn fixed(norms: &Norms, count: usize) -> [(&'static str, Tally); 3] {
    let [mut mean, mut plain] = [(); 2].map(|()| Tally::of(norms.means[0]));
    let mut ratio = Tally::of(norms.means[1] / norms.means[0]);
    for trial in 0..TRIALS {
        let mut sample = Sample::default();
        sample.grow(norms, count, &mut stream(0, Purpose::Noise, count as f64, trial));
        let control = sample.control(norms.expected);
        let (found, _) = controlled(&sample.norms[0], &control);
        if let (Some(value), Some(interval)) = (found.mean, found.interval) {
            mean.add(count, value, interval);
        }
        if let Some(interval) = student(&sample.norms[0]) {
            plain.add(count, (interval.0 + interval.1) / 2.0, interval);
        }
        let found = paired_ratio(&sample.norms[0], &sample.norms[1], &control);
        if let Some((value, interval)) = found.and_then(|found| Some((found.value, found.interval?))) {
            ratio.add(count, value, interval);
        }
    }
    [("mean", mean), ("plain mean, Student", plain), ("ratio", ratio)]
}

/// The mean where the rule stops.
fn stopped(norms: &Norms, target: f64) -> Tally {
    let rule = SampleRule::RelativeError { target, most: MOST };
    let mut mean = Tally::of(norms.means[0]);
    for trial in 0..LONG_TRIALS {
        let mut rng = stream(1, Purpose::Noise, target, trial);
        let (mut sample, mut wanted) = (Sample::default(), Some(rule.first_round()));
        let mut control = sample.control(norms.expected);
        while let Some(count) = wanted {
            sample.grow(norms, count as usize, &mut rng);
            control = sample.control(norms.expected);
            wanted = rule.next_round(count, &[&sample.norms[0]], &control);
        }
        let (found, _) = controlled(&sample.norms[0], &control);
        if let (Some(value), Some(interval)) = (found.mean, found.interval) {
            mean.add(sample.covariates.len(), value, interval);
        }
    }
    mean
}

fn print(norms: &Norms, what: &str, tally: &Tally) -> Value {
    let [samples, held, bias, width] = tally.numbers();
    println!("{:<24} {what:<20} {samples:>8.0} {held:>8.1} {bias:>+8.2} {width:>8.1}", norms.name);
    json!({"norms": norms.name, "what": what, "samples": samples, "held": held, "bias": bias, "width": width})
}

fn main() -> Result<()> {
    let folders = arguments();
    let mut all = Vec::new();
    for folder in &folders {
        all.extend(measured(Path::new(folder))?);
    }
    if folders.is_empty() {
        all.extend([1, 2, 16, 64].map(euclidean));
        all.extend([0.1, 0.5, 1.0].map(lognormal));
    }
    println!("{:<24} {:<20} {:>8} {:>8} {:>8} {:>8}", "norms", "estimate", "samples", "held %", "bias %", "width %");
    let mut rows = Vec::new();
    for norms in &all {
        for count in SAMPLES {
            rows.extend(fixed(norms, count).iter().map(|(what, tally)| print(norms, what, tally)));
        }
        for target in TARGETS {
            rows.push(print(norms, &format!("--rel-error {target}"), &stopped(norms, target)));
        }
    }
    println!("{}", json!({"coverage": rows}));
    Ok(())
}
