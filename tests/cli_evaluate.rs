//! `evaluate`: what lands in the report, the tables and the terminal, what is kept on --resume, and what is refused.

mod common;

use common::{clear, fixture, fresh, lipscope, names, refuse, rendered, report, succeed};
use serde_json::Value;
use std::fs;
use std::path::Path;

const QUALITY: &str = "model,sampler,spacing,nfe,metric,features,samples,seeds,mean,ci_low,ci_high,ratio,ratio_ci_low,\
                       ratio_ci_high";

/// Rows of a table of a report, as maps from column to value.
fn rows(report: &Value, table: &str) -> Vec<serde_json::Map<String, Value>> {
    let tables = report["tables"].as_array().unwrap();
    let table = tables.iter().find(|found| found["name"] == table).unwrap();
    let columns: Vec<String> =
        table["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap().to_string()).collect();
    let row = |row: &Value| columns.iter().cloned().zip(row.as_array().unwrap().iter().cloned()).collect();
    table["rows"].as_array().unwrap().iter().map(row).collect()
}

fn mean(report: &Value, model: &str, nfe: Option<u64>, metric: &str) -> f64 {
    let matches = |row: &&serde_json::Map<String, Value>| {
        row["model"] == model && row["metric"] == metric && row["nfe"].as_f64() == nfe.map(|nfe| nfe as f64)
    };
    rows(report, "quality").iter().find(matches).unwrap()["mean"].as_f64().unwrap()
}

#[test]
fn more_evaluations_of_the_truth_come_closer_to_it() {
    let (folder, out) = fresh("out");
    let arguments = ["evaluate", "ideal:eight-gaussians", "--nfe", "5,40", "--samples", "300", "--seeds", "3"];
    let stdout = succeed(folder.path(), &[&arguments[..], &["--metrics", "all", "--out", "out"]].concat());
    assert!(stdout.contains("frechet: best ideal eight-gaussians (ddim at 40) with"), "{stdout}");
    assert!(stdout.contains("the data against itself reaches"), "{stdout}");
    let report = report(&out);
    assert_eq!((report["complete"].as_bool(), report["command"].as_str()), (Some(true), Some("evaluate")));
    for metric in ["frechet", "sliced-wasserstein", "mixture-mmd"] {
        let of = |nfe| mean(&report, "ideal eight-gaussians", Some(nfe), metric);
        assert!(of(40) < 0.7 * of(5), "{metric}: {} and {}", of(5), of(40));
    }
    // The density itself is at its own distance of 0, up to the noise of 300 draws.
    assert!(mean(&report, "data", None, "frechet") < 0.03 && mean(&report, "data", None, "precision") > 0.9);
    let table = fs::read_to_string(out.join("quality.csv")).unwrap();
    assert_eq!(table.lines().next(), Some(QUALITY));
    // Eight metrics of the data and of two cells.
    assert_eq!(table.lines().count(), 1 + 8 * 3);
    assert_eq!(rows(&report, "seeds").len(), 8 * 3 * 3);
}

#[test]
fn numbers_do_not_depend_on_batches_and_figures_are_drawn() {
    let (folder, out) = fresh("one");
    let common = ["evaluate", "ideal:digits", "--nfe", "4,8", "--samples", "60", "--seeds", "2", "--threads", "1"];
    succeed(folder.path(), &[&common[..], &["--batch", "60", "--out", "one", "--plot=svg", "-q"]].concat());
    succeed(folder.path(), &[&common[..], &["--batch", "7", "--out", "other", "-q"]].concat());
    let files = ["frechet.svg", "kernel.svg", "quality.csv", "report.json", "seeds.csv", "sliced-wasserstein.svg"];
    assert_eq!(rendered(&out), files);
    let (one, other) = (report(&out), report(&folder.path().join("other")));
    for (a, b) in rows(&one, "seeds").iter().zip(rows(&other, "seeds")) {
        let (a, b) = (a["value"].as_f64().unwrap(), b["value"].as_f64().unwrap());
        // The kernel's value is a difference of means of about 1.
        assert!((a - b).abs() < 1e-6 * a.abs().max(1.0), "{a} {b}");
    }
}

/// The same model twice sees the same noise: a ratio of exactly 1.
#[test]
fn ratios_are_paired_by_seed() {
    let (folder, out) = fresh("out");
    let common = ["--nfe", "5", "--samples", "100", "--seeds", "3", "--metrics", "frechet", "--out", "out", "-q"];
    let models = ["evaluate", "ideal:eight-gaussians", "ideal:eight-gaussians", "--label", "a", "--label", "b"];
    succeed(folder.path(), &[&models[..], &common].concat());
    let report = report(&out);
    let rows = rows(&report, "quality");
    let ratios =
        |row: &serde_json::Map<String, Value>| ["ratio", "ratio_ci_low", "ratio_ci_high"].map(|c| row[c].as_f64());
    assert_eq!(rows.iter().map(|row| row["model"].as_str().unwrap()).collect::<Vec<_>>(), ["data", "a", "b"]);
    assert_eq!(ratios(&rows[0]), [None; 3]);
    assert_eq!(ratios(&rows[1]), [None; 3]);
    assert_eq!(ratios(&rows[2]), [Some(1.0); 3]);
}

#[test]
fn a_run_goes_on_where_it_was_and_not_with_another_plan() {
    let (folder, out) = fresh("out");
    let common = ["evaluate", "ideal:eight-gaussians", "--samples", "50", "--seeds", "2", "--out", "out", "-q"];
    let command = [&common[..], &["--nfe", "3,6", "--metrics", "frechet"]].concat();
    succeed(folder.path(), &command);
    let whole = report(&out);
    std::fs::remove_file(out.join("report.json")).unwrap();
    succeed(folder.path(), &command);
    let again = report(&out);
    assert_eq!((&again["complete"], &again["tables"]), (&whole["complete"], &whole["tables"]), "seconds and all");
    let other = [&common[..], &["--nfe", "3,7", "--metrics", "frechet", "--resume"]].concat();
    refuse(folder.path(), &other, &["another plan: `nfe` differs"]);
}

fn write_npy(path: &Path, rows: usize, columns: usize, value: impl Fn(usize) -> f32) {
    let array = ndarray::Array2::from_shape_fn((rows, columns), |(i, j)| value(i * columns + j));
    ndarray_npy::write_npy(path, &array).unwrap();
}

#[test]
fn ready_samples_are_evaluated_in_blocks() {
    let (folder, out) = fresh("out");
    write_npy(&folder.path().join("mine.npy"), 250, 2, |i| (i as f32 * 0.7).sin());
    let command =
        ["evaluate", "mine.npy", "--data", "eight-gaussians", "--samples", "100", "--out", "out", "--seeds", "5"];
    let stdout = succeed(folder.path(), &command);
    assert!(stdout.contains("best mine (ready samples)"), "{stdout}");
    let report = report(&out);
    let seeds = rows(&report, "seeds");
    let mine: Vec<_> = seeds.iter().filter(|row| row["model"] == "mine" && row["metric"] == "frechet").collect();
    assert_eq!(mine.len(), 2);
    assert_ne!(mine[0]["value"], mine[1]["value"]);
    refuse(folder.path(), &["evaluate", "mine.npy"], &["samples alone do not say", "--data"]);
    refuse(
        folder.path(),
        &["evaluate", "mine.npy", "--data", "digits"],
        &["the model takes samples of shape [1, 8, 8]"],
    );
}

/// 64 pictures of 2×1 grey levels whose numbers are those of an array: the distance is the same to rounding.
#[test]
fn pictures_are_ready_samples_like_arrays() {
    let (folder, out) = fresh("out");
    let here = folder.path();
    let level = |i: usize| ((i * i * 31 + i * 7) % 256) as u8;
    std::fs::create_dir(here.join("generated")).unwrap();
    for i in 0..64 {
        let pixels = vec![level(2 * i), level(2 * i + 1)];
        let picture = image::GrayImage::from_raw(2, 1, pixels).unwrap();
        picture.save(here.join(format!("generated/{i:03}.png"))).unwrap();
    }
    let array = ndarray::Array4::from_shape_fn((64, 1, 1, 2), |(i, _, _, j)| f32::from(level(2 * i + j)) / 127.5 - 1.0);
    ndarray_npy::write_npy(here.join("samples.npy"), &array).unwrap();
    let statistics = fixture("quality/statistics.npz");
    let common = ["--metrics", "frechet", "--samples", "64", "--out", "out", "-q"];
    let mut distances = Vec::new();
    for samples in ["generated", "images:generated", "samples.npy"] {
        // Statistics say everything: no data is needed.
        succeed(here, &[&["evaluate", samples, "--reference", &statistics], &common[..]].concat());
        let label = samples.trim_start_matches("images:").trim_end_matches(".npy");
        distances.push(mean(&report(&out), label, None, "frechet"));
        clear(here);
    }
    assert!(distances[0] > 0.0);
    // float32 numbers of one level each.
    assert!(distances.iter().all(|d| (d / distances[0] - 1.0).abs() < 1e-5), "{distances:?}");
    refuse(here, &["evaluate", "generated"], &["--data", "--reference"]);
}

#[test]
fn statistics_and_feature_networks_are_taken() {
    let (folder, out) = fresh("out");
    let common = ["--nfe", "5", "--samples", "80", "--seeds", "2", "--out", "out", "-q", "--no-cache"];
    let gaussians = [&["evaluate", "ideal:eight-gaussians", "--metrics", "frechet"], &common[..]].concat();
    succeed(folder.path(), &gaussians);
    let exact = mean(&report(&out), "ideal eight-gaussians", Some(5), "frechet");
    let statistics = fixture("quality/statistics.npz");
    clear(folder.path());
    succeed(folder.path(), &[&gaussians[..], &["--reference", &statistics]].concat());
    let given = mean(&report(&out), "ideal eight-gaussians", Some(5), "frechet");
    // The statistics are those of the density, which lipscope knows exactly.
    assert!((exact - given).abs() < 1e-12, "{exact} {given}");
    let kernel = ["evaluate", "ideal:eight-gaussians", "--reference", &statistics, "--metrics", "kernel"];
    refuse(folder.path(), &kernel, &["kernel with statistics alone is not supported"]);
    refuse(
        folder.path(),
        &["evaluate", "ideal:digits", "--reference", &statistics],
        &["the statistics are of 2 features, and identity has 64"],
    );
    let detector = fixture("quality/detector.pt");
    clear(folder.path());
    succeed(folder.path(), &[&["evaluate", "ideal:digits", "--features", &detector], &common[..]].concat());
    let plan = report(&out)["provenance"]["plan"].clone();
    let features = &plan["reference"]["features"];
    assert_eq!((features["input"].as_str(), features["grey_to_colour"].as_bool()), (Some("uint8"), Some(true)));
    assert_eq!(rows(&report(&out), "quality")[0]["features"], "detector");
}

#[test]
fn samples_that_are_not_finite_have_no_value() {
    let (folder, out) = fresh("out");
    let module = fixture("quality/diverges.pt");
    let options =
        ["--data", "digits", "--nfe", "3", "--samples", "8", "--seeds", "1", "--out", "out", "--clip", "none"];
    let output = lipscope(folder.path(), &[&["evaluate", &module], &options[..]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("diverges (ddim at 3), seed 0: 8 of 8 samples hold a NaN or an infinity"), "{stderr}");
    let report = report(&out);
    let row = rows(&report, "seeds").into_iter().find(|row| row["model"] == "diverges").unwrap();
    assert!(row["value"].is_null() && row["non_finite"].as_f64().unwrap() > 0.0, "{row:?}");
}

#[test]
fn a_dry_run_writes_nothing_and_bad_input_is_refused() {
    let (folder, _) = fresh("");
    let plan = succeed(folder.path(), &["evaluate", "ideal:digits", "--dry-run", "--sampler", "ddim:eta=0.5,ddim"]);
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["samplers"], serde_json::json!(["ddim:eta=0.5", "ddim"]));
    assert_eq!((plan["samples"].as_u64(), plan["seeds"].as_u64()), (Some(2000), Some(3)));
    let evaluate = |options: &[&'static str]| [&["evaluate", "ideal:digits"], options].concat();
    refuse(folder.path(), &evaluate(&["--metrics", "fid"]), &["--metrics is `fid`", "frechet, kernel"]);
    refuse(folder.path(), &evaluate(&["--metrics", "mixture-mmd"]), &["density in closed form"]);
    refuse(folder.path(), &evaluate(&["--samples", "0"]), &["--samples is `0`"]);
    refuse(folder.path(), &evaluate(&["--nfe", "10,0"]), &["--nfe is `0`"]);
    refuse(folder.path(), &evaluate(&["--nfe", "10,2000"]), &["2000 steps do not fit on 1000 whole timesteps"]);
    refuse(folder.path(), &evaluate(&["--sampler", "euler"]), &["--sampler is `euler`"]);
    refuse(folder.path(), &evaluate(&["--spacing", "log"]), &["--spacing is `log`"]);
    refuse(folder.path(), &evaluate(&["--clip", "-1"]), &["--clip is `-1`"]);
    refuse(folder.path(), &evaluate(&["--features", "none.pt"]), &["none.pt"]);
    refuse(folder.path(), &evaluate(&["--features-input", "int8"]), &["--features-input is `int8`"]);
    assert!(names(folder.path()).is_empty());
}
