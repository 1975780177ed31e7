//! `lipscope sample`: its files, that samples depend on seed and number alone, and what is refused.

mod common;

use common::closeness::{Tolerance, assert_close, distance, largest};
use common::{fixture, fresh, names, refuse, rendered, succeed};
use lipscope::tensor_file;
use serde_json::{Value, json};
use std::path::Path;

fn account(out: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(out.join("sample.json")).unwrap()).unwrap()
}

fn numbers(file: &Path) -> (Vec<usize>, Vec<f64>) {
    let arrays = tensor_file::read(file).unwrap().arrays;
    assert_eq!(arrays.len(), 1);
    (arrays[0].1.shape().to_vec(), arrays[0].1.to_f64().unwrap().into_iter().collect())
}

#[test]
fn files_hold_samples_a_picture_and_an_account() {
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let common = ["sample", &pipeline, "--samples", "5", "--nfe", "7", "--out", "out", "--seed", "4"];
    let stdout = succeed(folder.path(), &common);
    assert!(stdout.contains("5 samples of pipeline by ddim, 7 network evaluations each"), "{stdout}");
    assert_eq!(rendered(&out), ["sample.json", "samples.png", "samples.safetensors"]);
    let (shape, values) = numbers(&out.join("samples.safetensors"));
    assert_eq!(shape, [5, 1, 8, 8]);
    let account = account(&out);
    let plan = &account["provenance"]["plan"];
    assert_eq!((account["nfe"].as_u64(), account["samples"].as_u64()), (Some(7), Some(5)));
    assert_eq!(plan["seed"], json!(4));
    assert_eq!(plan["sampling"]["timesteps"], json!([999.0, 833.0, 666.0, 500.0, 333.0, 167.0, 0.0]));
    assert_eq!(plan["models"][0]["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(account["max"].as_f64(), Some(largest(values)));
    // The plan travels with the numbers.
    let file = tensor_file::read(out.join("samples.safetensors")).unwrap();
    let written: Value = serde_json::from_str(&file.metadata[0].1).unwrap();
    assert_eq!(&written, plan);
    // Other commands read the file as data.
    let again = ["measure", &pipeline, "--data", "out/samples.safetensors", "--timesteps", "0,5", "--samples", "2"];
    succeed(folder.path(), &[&again[..], &["--out", "measured", "-q"]].concat());
    // A plan alone, or the account alone, on stdout.
    let dry: Value = serde_json::from_str(&succeed(folder.path(), &[&common[..], &["--dry-run"]].concat())).unwrap();
    assert_eq!(&dry, plan);
    let printed: Value = serde_json::from_str(&succeed(folder.path(), &[&common[..], &["--json"]].concat())).unwrap();
    assert_eq!(printed["max"], account["max"]);
}

#[test]
fn samples_depend_on_seed_and_number_alone() {
    let (folder, _) = fresh("");
    let pipeline = fixture("torchscript/pipeline");
    let draw = |out: &str, more: &[&str]| {
        let common = ["sample", &pipeline, "--nfe", "8", "--sampler", "ddpm", "--format", "npy", "-q", "--out", out];
        succeed(folder.path(), &[&common[..], more].concat());
        numbers(&folder.path().join(out).join("samples.npy")).1
    };
    let all = draw("a", &["--samples", "7"]);
    let batches = draw("b", &["--samples", "7", "--batch", "3"]);
    let threads = draw("c", &["--samples", "7", "--threads", "1"]);
    let fewer = draw("d", &["--samples", "2"]);
    let other = draw("e", &["--samples", "7", "--seed", "1"]);
    let order = "eight steps of float32, whose sums a convolution takes in another order for another batch";
    for (what, samples) in [("batches", &batches), ("threads", &threads), ("fewer", &fewer)] {
        assert_close(what, &samples[..], &all[..samples.len()], Tolerance::absolute(1e-4, order));
    }
    assert_eq!((batches.len(), threads.len(), fewer.len()), (7 * 64, 7 * 64, 2 * 64));
    assert!(distance(&all, &other) > 0.1);
}

/// Shared timesteps change what the network is asked, also between whole timesteps; half precision stays within a network
/// call, and x keeps float32.
#[test]
fn maps_and_half_precision_are_followed() {
    let (folder, _) = fresh("");
    let pipeline = fixture("torchscript/pipeline");
    let draw = |out: &str, more: &[&str]| {
        let solver = ["--sampler", "dpm-solver-3", "--spacing", "log-snr", "--nfe", "20", "--clip", "1"];
        let common = ["sample", &pipeline, "--samples", "4", "--format", "npy", "-q", "--out", out];
        succeed(folder.path(), &[&common[..], &solver, more].concat());
        numbers(&folder.path().join(out).join("samples.npy")).1
    };
    let (plain, shared) = (draw("a", &[]), draw("b", &["--share", "n=5,until=100"]));
    assert!(plain.iter().chain(&shared).all(|x| x.abs() <= 1.0) && distance(&plain, &shared) > 1e-4);
    let half = draw("c", &["--dtype", "bf16"]);
    let apart = plain.iter().zip(&half).map(|(a, b)| (a - b).abs()).sum::<f64>() / half.len() as f64;
    // bfloat16 has eight bits; on average the samples stay themselves.
    assert!(apart > 1e-5 && apart < 0.2, "{apart}");
}

#[test]
fn points_become_a_scatter_plot_and_a_measured_curve_a_grid() {
    let (folder, out) = fresh("out");
    let measure = ["measure", "ideal:eight-gaussians", "--samples", "4", "--timesteps", "log:20", "--out", "measured"];
    succeed(folder.path(), &[&measure[..], &["-q"]].concat());
    let common = ["sample", "ideal:eight-gaussians", "--samples", "300", "--nfe", "25", "--out", "out"];
    let spacing = ["--sampler", "dpm-solver-3", "--spacing", "lipschitz:measured/report.json"];
    succeed(folder.path(), &[&common[..], &spacing].concat());
    assert_eq!(rendered(&out), ["sample.json", "samples.png", "samples.safetensors"]);
    let sampling = account(&out)["provenance"]["plan"]["sampling"].clone();
    assert_eq!(sampling["evaluations"], json!([3, 3, 3, 3, 3, 3, 3, 2, 1]));
    let times: Vec<f64> = sampling["timesteps"].as_array().unwrap().iter().map(|t| t.as_f64().unwrap()).collect();
    // K is largest near 0, and so the steps are shortest there.
    assert!(times.windows(3).next_back().unwrap()[0] < 200.0 && times[0] == 999.0, "{times:?}");
    // The eight centres lie on a circle: samples lie about there.
    let (shape, values) = numbers(&out.join("samples.safetensors"));
    assert_eq!(shape, [300, 2]);
    let radii: Vec<f64> = values.chunks_exact(2).map(|p| p[0].hypot(p[1])).collect();
    let mean = radii.iter().sum::<f64>() / radii.len() as f64;
    assert!(radii.iter().all(|r| (r / mean - 1.0).abs() < 0.5), "{mean}");
}

#[test]
fn what_cannot_be_done_is_refused_and_leaves_nothing() {
    let (folder, _) = fresh("");
    let pipeline = fixture("torchscript/pipeline");
    let cases: [(&[&str], &[&str]); 12] = [
        (
            &["--sampler", "euler"],
            &["--sampler is `euler`", "ddpm[:variance=large], ddim[:eta=1,epsilon=own], dpm-solver-1", "heun"],
        ),
        (&["--sampler", "ddim:eta=3"], &["eta is `3`", "between 0 and 1"]),
        (&["--sampler", "heun:eta=1"], &["takes no parameters"]),
        (&["--nfe", "0"], &["--nfe is `0`"]),
        (&["--nfe", "1001"], &["1001 steps do not fit on 1000 whole timesteps", "uniform-real"]),
        (&["--spacing", "even"], &["--spacing is `even`", "log-snr", "lipschitz:REPORT"]),
        (&["--spacing", "lipschitz:nowhere.json"], &["nowhere.json: reading the report failed"]),
        (&["--spacing", "times:0-5", "--nfe", "3"], &["names 2 timesteps", "--nfe 2"]),
        (&["--clip", "-1"], &["--clip is `-1`"]),
        (&["--samples", "0"], &["--samples is `0`"]),
        (&["--batch", "0"], &["--batch is `0`"]),
        (&["--format", "png"], &["--format is `png`", "safetensors or npy"]),
    ];
    for (more, says) in cases {
        let joined: Vec<String> = more.chunks(2).map(|pair| format!("{}={}", pair[0], pair[1])).collect();
        let more: Vec<&str> = joined.iter().map(String::as_str).collect();
        refuse(folder.path(), &[&["sample", &pipeline, "--out", "out"], &more[..]].concat(), says);
    }
    assert!(names(folder.path()).is_empty());
}

/// Where α is 1e-150 and nothing clamps x̂₀, it is infinite in float32: counted, not hidden.
#[test]
fn what_is_not_finite_is_counted_and_warned_about() {
    let (folder, out) = fresh("out");
    std::fs::write(folder.path().join("steep.txt"), "0.9, 0.5, 1e-300").unwrap();
    let pipeline = fixture("torchscript/pipeline");
    let schedule = ["--schedule", "alpha-bar:file=steep.txt", "--clip", "none", "--samples", "3", "--nfe", "2"];
    let arguments = [&["sample", &pipeline, "--out", "out"], &schedule[..]].concat();
    let output = common::lipscope(folder.path(), &arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("3 of 3 samples hold a NaN or an infinity"), "{stderr}");
    let account = account(&out);
    assert_eq!((account["non_finite"].as_u64(), account["max"].is_null()), (Some(3), true));
}
