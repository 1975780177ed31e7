//! Diffusion policies as their trainers save them: a workspace of diffusion_policy, and a folder of LeRobot.
//!
//! tests/fixtures/policies is written by tests/fixtures/networks/unet1d/make.py.

mod common;

use common::{clear, fixture, lipscope, refuse, report, succeed};
use serde_json::Value;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Six demonstrations of eight actions, with an observation each.
fn demonstrations(folder: &Path) {
    let ramp = |shape: &[i64], by: f64| {
        let count = shape.iter().product::<i64>();
        ((Tensor::arange(count, (Kind::Float, Device::Cpu)) * by).sin() * 0.8).reshape(shape)
    };
    let arrays = [("action", ramp(&[6, 8, 2], 0.7)), ("obs", ramp(&[6, 3], 1.3))];
    Tensor::write_safetensors(&arrays, folder.join("demos.safetensors")).unwrap();
}

fn measure(folder: &Path, policy: &str, more: &[&str]) -> Value {
    let data = ["--data", "demos.safetensors#action", "--observation", "@obs", "--out", "out", "--quiet"];
    clear(folder);
    succeed(folder, &[&["measure", policy], &data[..], more].concat());
    report(&folder.join("out"))
}

#[test]
fn a_workspace_opens_with_its_averages() {
    let (folder, policy) = (tempfile::tempdir().unwrap(), fixture("policies/latest.ckpt"));
    let here = folder.path();
    demonstrations(here);
    let more =
        ["--config", "n_groups=4", "--timesteps", "1..3/0.25", "--quantity", "both", "--dt", "0.001", "--dtype", "f64"];
    let report = measure(here, &policy, &more);
    let model = &report["models"][0];
    let about = &model["model"];
    assert_eq!((about["architecture"].as_str(), about["timesteps"].as_u64()), (Some("ConditionalUnet1D"), Some(100)));
    assert_eq!(about["basis"]["weights"]["name"], "state_dicts.ema_model.model");
    assert_eq!(about["basis"]["schedule"]["file"], "as its trainers do", "{}", about["basis"]);
    // Between steps, too: K over a thousandth of a step is D, to its curvature.
    let [secants, rates] = [0, 1].map(|curve| model["curves"][curve]["points"].as_array().unwrap());
    assert_eq!(secants.len(), 8);
    for (secant, rate) in secants.iter().zip(rates) {
        let ratio = secant["mean"].as_f64().unwrap() / rate["mean"].as_f64().unwrap();
        assert!((ratio - 1.0).abs() < 2e-3, "{ratio}");
    }
}

#[test]
fn a_folder_of_lerobot_says_how_it_is_used() {
    let (folder, policy) = (tempfile::tempdir().unwrap(), fixture("policies/lerobot"));
    let here = folder.path();
    demonstrations(here);
    let weights = format!("{policy}/model.safetensors");
    let mut curves = Vec::new();
    for path in [&policy, &weights] {
        let report = measure(here, path, &["--timesteps", "5,20", "--noises", "8", "--samples", "64"]);
        let model = &report["models"][0];
        let about = &model["model"];
        assert_eq!((about["format"].as_str(), about["timesteps"].as_u64()), (Some("lerobot"), Some(50)), "{about}");
        assert_eq!(
            (about["prediction"].as_str(), about["schedule"].as_str()),
            (Some("x0"), Some("cosine:timesteps=50"))
        );
        assert!(about["asked"].as_str().unwrap().contains("for each row of the data [3]"), "{about}");
        assert!(model["curves"][0]["points"][0]["max_row"].as_u64().is_some_and(|row| row < 6), "{model}");
        curves.push(model["curves"].clone());
    }
    assert_eq!(curves[0], curves[1]);
    let inspected = succeed(here, &["inspect", &policy]);
    assert!(inspected.contains("width of an observation 3"), "{inspected}");
    assert!(inspected.contains("ConditionalUnet1D") && inspected.contains("cosine:timesteps=50"), "{inspected}");
    // What it makes has the horizon of its configuration.
    let row = Tensor::from_slice(&[0.1f32, -0.4, 0.8]);
    Tensor::write_safetensors(&[("obs", row)], here.join("one.safetensors")).unwrap();
    clear(here);
    let asked = ["--observation", "one.safetensors", "--samples", "2", "--nfe", "4", "--out", "out", "--quiet"];
    succeed(here, &[&["sample", policy.as_str()], &asked[..]].concat());
}

#[test]
fn what_a_policy_lacks_is_asked_for() {
    let (folder, policy) = (tempfile::tempdir().unwrap(), fixture("policies/latest.ckpt"));
    let here = folder.path();
    demonstrations(here);
    let data = ["--data", "demos.safetensors#action"];
    let with = |more: &[&'static str]| [&["measure", policy.as_str()], &data[..], more].concat();
    refuse(here, &with(&[]), &["takes an observation", "--observation @COLUMN", "[N, 3]"]);
    refuse(here, &with(&["--observation", "@action"]), &["[6, 8, 2]", "[N, 3]"]);
    let other = ["measure", &policy, "--data", "demos.safetensors#obs", "--observation", "@obs"];
    refuse(here, &other, &["[L, 2], sequences of any length L"]);
    let lerobot = fixture("policies/lerobot");
    let twice =
        ["measure", &lerobot, "--data", "demos.safetensors#action", "--observation", "@obs", "--config", "n_groups=8"];
    refuse(here, &twice, &["--config", "n_groups"]);
    let output = lipscope(here, &with(&["--observation", "@obs", "--timesteps", "3", "--out", "out"]));
    assert!(String::from_utf8_lossy(&output.stderr).contains("8 groups of channels"), "{output:?}");
}

/// tests/fixtures/torchscript/goal_policy.pt, in the form of BESO: D(x; σ) = m + s²/(s² + σ²) (x − m) with m = goal + state[:2] and
/// s = 0.1. Around the demonstrated action m of each observation, x − m = σ z, and so
/// ε = σ²/(s² + σ²) z with |∂ε/∂σ| = σ |s² − σ²|/(s² + σ²)² ‖z‖, and for the score −σ/(s² + σ²) z, 2 σ²/(s² + σ²)² ‖z‖.
#[test]
fn a_policy_with_a_goal_is_its_closed_form_per_sigma() {
    let (folder, policy) = (tempfile::tempdir().unwrap(), fixture("torchscript/goal_policy.pt"));
    let here = folder.path();
    let ramp = |shape: [i64; 3], by: f64| {
        (Tensor::arange(shape.iter().product::<i64>(), (Kind::Float, Device::Cpu)) * by).sin().reshape(shape)
    };
    let (obs, goal) = (ramp([40, 1, 3], 0.7), ramp([40, 1, 2], 1.3));
    let action = &goal + obs.narrow(2, 0, 2);
    let arrays = [("action", action), ("obs", obs), ("goal", goal)];
    Tensor::write_safetensors(&arrays, here.join("demos.safetensors")).unwrap();
    let inputs = ["--inputs", "state=@obs,x,goal=@goal,t", "--condition", "sigma", "--prediction", "x0"];
    let process = ["--schedule", "ve:sigma-min=0.005,sigma-max=1,timesteps=100", "--axis", "sigma", "--dtype", "f64"];
    let plan = [
        "--data",
        "demos.safetensors#action",
        "--scale",
        "none",
        "--timesteps",
        "5,40,70,95",
        "--samples",
        "2048",
        "--shape",
        "1,2",
    ];
    // E‖z‖ of two standard normal numbers.
    let (square, rayleigh) = (0.01f64, (std::f64::consts::PI / 2.0).sqrt());
    for (of, is_score) in [("epsilon", false), ("score", true)] {
        clear(here);
        let asked = ["--of", of, "--quantity", "derivative", "--out", "out", "--quiet"];
        succeed(here, &[&["measure", &policy], &inputs[..], &process, &plan, &asked].concat());
        let report = report(&here.join("out"));
        let points = report["models"][0]["curves"][0]["points"].as_array().unwrap();
        assert_eq!(points.len(), 4);
        for point in points {
            let number = |name: &str| point[name].as_f64().unwrap();
            let variance = number("sigma").powi(2);
            let rate = if is_score { 2.0 * variance } else { number("sigma") * (square - variance).abs() };
            let truth = rate / (square + variance).powi(2) * rayleigh;
            // Covariates explain part of it; the spread of ‖z‖ is half its mean.
            let off = (number("mean") - truth).abs();
            assert!(off < 4.0 * number("std_error") && number("std_error") < 0.02 * truth, "{of}: {point} {truth}");
        }
    }
}
