//! `lipscope demo`: the shipped networks, and what is told of them.

mod common;

use common::{lipscope, refuse, succeed};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn report(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap()
}

#[test]
fn the_shipped_networks_show_the_singularity_and_what_sharing_does() {
    let folder = tempfile::tempdir().unwrap();
    let told = succeed(folder.path(), &["demo", "--out", "demo", "--quiet", "--json"]);
    let out = folder.path().join("demo/compare");
    let report = report(&out);
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), report);
    for file in ["lipschitz.png", "report.html", "curve.csv", "../ddpm.safetensors", "../e-tsdm.safetensors"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let model = |i: usize| &report["models"][i]["summary"][0];
    let near = |i: usize, key: &str| model(i)["near_zero"][key].as_f64().unwrap();
    // The phenomenon, with room for other machines' rounding: measured peaks and sums are told in analysis/demonstration.
    assert_eq!(
        (&model(0)["singularity"]["verdict"], &model(2)["singularity"]["verdict"]),
        (&"singular".into(), &"singular".into())
    );
    assert!(model(0)["peak_ratio"].as_f64().unwrap() > 50.0);
    assert!(near(0, "argmax") < 5.0 && near(0, "max") > 3.0);
    assert!(near(1, "total_variation") < 0.5 * near(0, "total_variation"));
    assert!(near(0, "total_variation") < near(2, "total_variation"));
    let shared = report["models"][1]["curves"][0]["points"].as_array().unwrap();
    let still = shared.iter().filter(|p| p["mean"] == 0.0).count();
    assert_eq!(still, 95, "0 to 99 but for five boundaries");

    // Finished work is told again without being measured.
    let again = succeed(folder.path(), &["demo", "--out", "demo"]);
    let sentences: Vec<&str> = again.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(sentences.len(), 5, "{again}");
    for (sentence, words) in
        sentences.iter().zip(["peaks at", "It is singular", "exactly 0 at 95", "jumps", "Above t = 100"])
    {
        assert!(sentence.contains(words), "{sentence}");
    }
    assert!(again.contains("demo/compare/lipschitz.png") && again.contains("demo/compare/report.html"), "{again}");
}

#[test]
fn the_shipped_networks_are_small_and_say_where_they_come_from() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (nets, data) = (sources.join("src/demonstration"), sources.join("crates/core/src/data/mnist-1000.png"));
    let files = ["ddpm", "e-tsdm"].map(|name| nets.join(name).with_extension("safetensors"));
    let bytes: u64 = files.iter().chain([&data]).map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes < 1_500_000, "{bytes} bytes are built into every lipscope");
    let here = tempfile::tempdir().unwrap();
    let trained_on = |file: &Path| {
        let told = succeed(here.path(), &["inspect", "--json", &file.display().to_string()]);
        let told: Value = serde_json::from_str(&told).unwrap();
        let plan = &told["training plan"];
        assert_eq!((&plan["data"]["source"], &plan["seed"]), (&"mnist-1000".into(), &0.into()));
        plan["data"]["sha256"].clone()
    };
    let plan = succeed(
        here.path(),
        &["train", "--variant", "ddpm", "--data", "mnist-1000", "--arch", "mlp:width=8,blocks=1", "--dry-run"],
    );
    let embedded = serde_json::from_str::<Value>(&plan).unwrap()["data"]["sha256"].clone();
    assert!(embedded.is_string());
    files.iter().for_each(|file| assert_eq!(trained_on(file), embedded));
}

#[test]
fn a_dry_run_names_the_commands_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, commands) in [(&["demo"][..], 1), (&["demo", "--train", "--steps", "7"], 3)] {
        let output = lipscope(folder.path(), &[flags, &["--dry-run"]].concat());
        assert!(output.status.success() && output.stdout.is_empty());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.matches("  lipscope ").count(), commands, "{said}");
        assert_eq!(said.contains("--steps 7"), commands == 3, "{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    refuse(folder.path(), &["demo", "--steps", "7"], &["--train"]);
}

#[test]
fn train_trains_both_and_compares_them() {
    let folder = tempfile::tempdir().unwrap();
    let told = succeed(folder.path(), &["demo", "--train", "--steps", "2", "--out", "demo"]);
    assert!(told.contains("demo/trained/compare/lipschitz.png"), "{told}");
    let report = report(&folder.path().join("demo/trained/compare"));
    let labels: Vec<&Value> = report["models"].as_array().unwrap().iter().map(|model| &model["label"]).collect();
    assert_eq!(labels, ["DDPM", "E-TSDM", "ideal denoiser"]);
}
