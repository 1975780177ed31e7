//! Conditional networks: named inputs and outputs of TorchScript modules, classes, embeddings, guidance.

mod common;

use common::{clear, embeddings, fixture, lipscope, refuse, report};
use std::fs;
use std::path::Path;

/// tests/fixtures/torchscript/conditional.pt: ε = conv(x) cos(t/100) (1 + label) + strength·mean(context).
const INPUTS: [&str; 4] = ["--inputs", "x,context,t,class,strength=0.5", "--output", "eps"];

/// K(t, t+1) at two timesteps, and network evaluations.
fn measure(folder: &Path, arguments: &[&str]) -> (Vec<f64>, u64) {
    let module = fixture("torchscript/conditional.pt");
    let plan = ["--data", "digits", "--timesteps", "10,200", "--samples", "8", "--out", "out", "--quiet"];
    let all = [&["measure", &module], &INPUTS[..], &plan, arguments].concat();
    clear(folder);
    let output = lipscope(folder, &all);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = report(&folder.join("out"));
    let model = &report["models"][0];
    let points = model["curves"][0]["points"].as_array().unwrap();
    assert!(model["model"]["asked"].as_str().unwrap().contains("class "), "{}", model["model"]);
    let means = points.iter().map(|point| point["mean"].as_f64().unwrap()).collect();
    (means, model["spent"]["function_evaluations"].as_u64().unwrap())
}

#[test]
fn guidance_is_measured_as_a_model_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    embeddings(&here.join("prompt.npy"), 1.0, "(5, 3)", 15);
    embeddings(&here.join("empty.npy"), 0.0, "(1, 5, 3)", 15);
    let asked = ["--class", "3", "--context", "prompt.npy"];
    let (plain, evaluations) = measure(here, &asked);
    let guided = ["--guidance", "2", "--null-class", "0", "--null-context", "empty.npy"];
    let (guided, twice) = measure(here, &[&asked[..], &guided].concat());
    for (plain, guided) in plain.iter().zip(&guided) {
        // ((1 + w)(1 + c) − w(1 + ∅))/(1 + c) = (3·4 − 2·1)/4, to the rounding of float32 differences.
        assert!((guided / plain / 2.5 - 1.0).abs() < 1e-4, "{guided} {plain}");
    }
    assert_eq!(twice, 2 * evaluations);
}

#[test]
fn derivatives_go_through_named_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    embeddings(&here.join("prompt.npy"), 1.0, "(5, 3)", 15);
    let asked = ["--class", "1", "--context", "prompt.npy", "--quantity", "derivative"];
    let (one, _) = measure(here, &asked);
    let (two, _) = measure(here, &[&["--class", "3"], &asked[2..]].concat());
    for (one, two) in one.iter().zip(&two) {
        // ∂ε/∂t is proportional to 1 + label.
        assert!((two / one / 2.0 - 1.0).abs() < 1e-5, "{one} {two}");
    }
}

/// ε is proportional to 1 + label: with the class of each digit drawn with it, every sample's number is 1 + its class times
/// that of class 0.
#[test]
fn classes_are_drawn_with_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    embeddings(&here.join("prompt.npy"), 0.0, "(5, 3)", 15);
    let asked = |class: &'static str| ["--class", class, "--context", "prompt.npy"];
    // Raw numbers, sample by sample.
    let norms = |class: &'static str| -> Vec<Vec<f64>> {
        measure(here, &asked(class));
        let parts = here.join("out/parts");
        let part = fs::read_dir(parts).unwrap().next().unwrap().unwrap().path();
        let bytes = fs::read(part).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        // Norms are [samples], and covariates [samples, 3].
        let mut all = tensors.tensors();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let norms = all.into_iter().filter(|(_, tensor)| tensor.shape() == [8]);
        let numbers = |bytes: &[u8]| bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        norms.map(|(_, tensor)| numbers(tensor.data())).collect()
    };
    let (of_zero, drawn) = (norms("0"), norms("@"));
    let mut factors = Vec::new();
    for (zero, drawn) in of_zero.iter().flatten().zip(drawn.iter().flatten()) {
        let factor = drawn / zero;
        // A whole number, to the rounding of float32 differences.
        assert!((factor - factor.round()).abs() < 1e-3, "{factor}");
        factors.push(factor.round() as i64);
    }
    factors.sort_unstable();
    factors.dedup();
    assert!(factors.len() > 3 && factors.iter().all(|factor| (1..=10).contains(factor)), "{factors:?}");
    let asked = report(&here.join("out"))["models"][0]["model"]["asked"].to_string();
    // Other classes of the same digits would be another plan.
    assert!(asked.contains("class of each sample of the data, with SHA-256 "), "{asked}");
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    embeddings(&here.join("prompt.npy"), 1.0, "(5, 3)", 15);
    let module = fixture("torchscript/conditional.pt");
    let plain = fixture("torchscript/plain.pt");
    let pipeline = fixture("torchscript/pipeline");
    let data = ["--data", "digits"];
    let with = |more: &[&'static str]| [&["measure", module.as_str()], &INPUTS[..], &data, more].concat();
    refuse(here, &with(&[]), &["none was given", "--class"]);
    refuse(here, &with(&["--class", "1"]), &["--context FILE"]);
    let asked = ["--class", "1", "--context", "prompt.npy"];
    refuse(here, &with(&[&asked[..], &["--guidance", "1"]].concat()), &["--null-class"]);
    refuse(here, &with(&[&asked[..], &["--guidance", "1", "--null-class", "0"]].concat()), &["--null-context"]);
    refuse(here, &with(&[&asked[..2], &["--context", "nowhere.npy"]].concat()), &["nowhere.npy"]);
    let drawn = ["--class", "@", "--context", "prompt.npy"];
    let moons = [&["measure", module.as_str()], &INPUTS[..], &["--data", "moons"], &drawn].concat();
    refuse(here, &moons, &["have no classes", "array `labels`"]);
    refuse(here, &["measure", &plain, "--data", "digits", "--class", "@"], &["takes no class"]);
    refuse(here, &["measure", &plain, "--data", "digits", "--class", "cat"], &["whole number or @"]);
    refuse(here, &["measure", &module, "--data", "digits"], &["--inputs"]);
    refuse(here, &["measure", &module, "--data", "digits", "--inputs", "x,t,y"], &["`y` has no value"]);
    refuse(here, &["measure", &plain, "--data", "digits", "--output", "eps"], &["under the key `eps`"]);
    refuse(here, &["measure", &plain, "--data", "digits", "--class", "1"], &["takes no class"]);
    refuse(here, &["measure", &plain, "--data", "digits", "--guidance", "1"], &["takes no condition"]);
    refuse(here, &["measure", &plain, "--data", "digits", "--config", "num_heads=4"], &["--config", "num_heads"]);
    refuse(here, &["measure", &pipeline, "--data", "digits", "--context", "prompt.npy"], &["takes no embeddings"]);
    refuse(here, &["measure", &pipeline, "--data", "digits", "--inputs", "x,t"], &["loaded natively"]);
}

/// Latents of the digits, [1, 4, 4]: what is measured on them is measured on the same numbers given as an array.
#[test]
fn images_go_through_an_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (module, encoder) = (fixture("torchscript/plain.pt"), fixture("torchscript/encoder.pt"));
    let plan = ["--timesteps", "10", "--samples", "8", "--out", "out", "--quiet"];
    let run = |data: &[&str]| {
        clear(here);
        let output = lipscope(here, &[&["measure", &module], data, &plan].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        report(&here.join("out"))
    };
    // A constant image has constant latents.
    embeddings(&here.join("images.npy"), 0.5, "(20, 1, 8, 8)", 20 * 64);
    embeddings(&here.join("latents.npy"), 0.5, "(20, 1, 4, 4)", 20 * 16);
    let encoded = run(&["--data", "images.npy", "--encoder", &encoder, "--latent-scale", "0.18215"]);
    let stored = run(&["--data", "latents.npy", "--latent-scale", "0.18215"]);
    assert_eq!(encoded["provenance"]["plan"]["data"]["shape"], serde_json::json!([1, 4, 4]));
    let points = |report: &serde_json::Value| report["models"][0]["curves"][0]["points"].clone();
    assert_eq!(points(&encoded), points(&stored));
    let plain = run(&["--data", "latents.npy"]);
    assert_ne!(points(&plain), points(&stored));
    refuse(here, &["measure", &module, "--data", "images.npy", "--latent-scale", "0"], &["other than 0"]);
    refuse(
        here,
        &["measure", &module, "--data", "images.npy", "--encoder", &module],
        &["An encoder is called", "plain.pt"],
    );
}

#[test]
fn half_precision_is_measured_and_foreign_modules_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let run = |checkpoint: &str, dtype: &str| {
        let model = fixture(checkpoint);
        let plan = ["--data", "digits", "--timesteps", "100", "--dt", "100", "--samples", "8", "--out", "out"];
        clear(here);
        let output = lipscope(here, &[&["measure", &model, "--dtype", dtype], &plan[..]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = report(&here.join("out"));
        let mean = report["models"][0]["curves"][0]["points"][0]["mean"].as_f64().unwrap();
        (mean, report["warnings"].to_string())
    };
    let (exact, _) = run("torchscript/pipeline", "f32");
    for dtype in ["f16", "bf16"] {
        let (rounded, warnings) = run("torchscript/pipeline", dtype);
        // A change over 100 steps is large against the 2⁻⁸ of bfloat16 and the 2⁻¹¹ of float16.
        assert!((rounded / exact - 1.0).abs() < 0.1, "{dtype}: {rounded} {exact}");
        assert!(!warnings.contains("half-precision-time"), "{warnings}");
        assert!(run("torchscript/plain.pt", dtype).1.contains("half-precision-time"));
    }
}
