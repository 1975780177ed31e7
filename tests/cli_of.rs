//! What is measured: `--of`, `--quantity size`, several guidance scales, what is left of the data, and memorisation.

mod common;

use common::{clear, embeddings, fixture, lipscope, refuse, report};
use std::path::Path;

/// tests/fixtures/torchscript/conditional.pt: ε = conv(x) cos(t/100) (1 + label) + strength·mean(context).
const MODULE: [&str; 6] = ["--inputs", "x,context,t,class,strength=0.5", "--output", "eps", "--context", "prompt.npy"];
const PLAN: [&str; 8] = ["--data", "digits", "--timesteps", "10,200", "--samples", "8", "--out", "out"];

fn run(here: &Path, arguments: &[&str]) -> serde_json::Value {
    clear(here);
    let output = lipscope(here, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    report(&here.join("out"))
}

fn means(curve: &serde_json::Value) -> Vec<f64> {
    curve["points"].as_array().unwrap().iter().map(|point| point["mean"].as_f64().unwrap()).collect()
}

/// ε(c) − ε(∅) is (c − ∅)/(1 + c) of what moves in ε(c), as ∅ has the same prompt.
#[test]
fn guidance_is_a_quantity() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    embeddings(&here.join("prompt.npy"), 1.0, "(1, 5, 3)", 15);
    let module = fixture("torchscript/conditional.pt");
    let null = ["--null-class", "0", "--null-context", "prompt.npy"];
    let base = [&["measure", &module, "--class", "3"], &MODULE[..], &PLAN].concat();
    let plain = means(&run(here, &base)["models"][0]["curves"][0]);
    let guidance = run(here, &[&base[..], &null, &["--of", "guidance"]].concat());
    let curve = &guidance["models"][0]["curves"][0];
    assert_eq!(curve["of"], "guidance");
    let asked = guidance["models"][0]["model"]["asked"].as_str().unwrap();
    assert!(asked.starts_with("class 3, embeddings") && asked.contains(", less class 0, embeddings"), "{asked}");
    for (plain, guidance) in plain.iter().zip(means(curve)) {
        // To the rounding of float32 differences.
        assert!((guidance / plain / 0.75 - 1.0).abs() < 1e-4, "{guidance} {plain}");
    }
    let table = std::fs::read_to_string(here.join("out/curve.csv")).unwrap();
    assert!(table.lines().nth(1).unwrap().contains(",secant of guidance,"), "{table}");
    refuse(here, &[&base[..], &null, &["--of", "guidance", "--guidance", "2"]].concat(), &["the same for every w"]);
    refuse(here, &[&base[..], &["--of", "guidance"]].concat(), &["--null-class"]);
}

#[test]
fn several_scales_are_a_curve_each_of_one_set_of_evaluations() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    embeddings(&here.join("prompt.npy"), 1.0, "(1, 5, 3)", 15);
    let module = fixture("torchscript/conditional.pt");
    let null = ["--null-class", "0", "--null-context", "prompt.npy"];
    let base = [&["measure", &module, "--class", "3"], &MODULE[..], &PLAN, &null].concat();
    let together = run(here, &[&base[..], &["--guidance", "0,2"]].concat());
    let model = &together["models"][0];
    let alone: Vec<serde_json::Value> = ["0", "2"].map(|w| run(here, &[&base[..], &["--guidance", w]].concat())).into();
    for (curve, alone) in model["curves"].as_array().unwrap().iter().zip(&alone) {
        for (a, b) in means(curve).iter().zip(means(&alone["models"][0]["curves"][0])) {
            assert!((a / b - 1.0).abs() < 1e-4, "{a} {b}");
        }
    }
    assert_eq!(model["curves"][1]["block"], "w = 2");
    assert!(model["model"]["asked"].as_str().unwrap().contains("; guidance 0,2 over class 0"), "{}", model["model"]);
    assert_eq!(model["spent"]["function_evaluations"], alone[0]["models"][0]["spent"]["function_evaluations"]);
    for (more, says) in [
        (&["--guidance", "1,1"][..], "different ones"),
        (&["--guidance", "0,1", "--data", "model"], "one w"),
        (&["--guidance", "0,1", "--quantity", "path"], "one w"),
    ] {
        let base = [&["measure", &module, "--class", "3"], &MODULE[..], &null].concat();
        let data: &[&str] = if more.contains(&"--data") { &[] } else { &["--data", "digits"] };
        refuse(here, &[&base[..], data, more].concat(), &[says]);
    }
    refuse(here, &[&["compare", &module], &base[1..], &["--guidance", "0,1"]].concat(), &["for measure"]);
}

#[test]
fn what_cannot_be_measured_is_refused_before_anything_is() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let plain = fixture("torchscript/plain.pt");
    for (arguments, says) in [
        (&["--of", "noise"][..], "epsilon, score, x0, output, excess, guidance, rate, jumps or spread"),
        (&["--of", "score", "--quantity", "spatial"], "for ε only"),
        (&["--of", "score", "--rounding"], "Leave out --rounding"),
        (&["--of", "guidance"], "no condition"),
        (&["--quantity", "size", "--axis", "sigma"], "no time axis"),
        (&["--of", "x0", "--schedule", "trigflow", "--timesteps", "999", "--quantity", "size"], "α = 0"),
        (&["--data-limit", "50,200"], "theory"),
        (&["--data-limit", "none"], "whole number"),
        (&["--guidance", "a"], "Such as --guidance 2"),
    ] {
        let all = [&["measure", &plain, "--data", "digits"], arguments].concat();
        refuse(here, &all, &[says]);
    }
    refuse(here, &["theory", "--data", "digits", "--of", "output"], &["--of output with theory"]);
}

#[test]
fn theory_says_where_it_is_memorisation_and_what_is_left_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let base = ["theory", "--samples", "12", "--timesteps", "0,100,200,400,999", "--quantity", "size", "--out", "out"];
    let sets = run(here, &[&base[..], &["--data", "digits", "--data-limit", "40,all"]].concat());
    let half = |i: usize| sets["models"][i]["summary"][0]["memorisation"]["own_weight_half_at"].as_f64().unwrap();
    assert!(half(0) > half(1) && (100.0..400.0).contains(&half(1)), "{} {}", half(0), half(1));
    let table = std::fs::read_to_string(here.join("out/memorisation.csv")).unwrap();
    assert_eq!(table.lines().count(), 11, "{table}");
    let excess = run(here, &[&base[..], &["--data", "digits", "--of", "excess"]].concat());
    let found = &excess["models"][0]["summary"][0]["terminal"];
    let (low, high) = (found["kl_lower"].as_f64().unwrap(), found["kl_upper"].as_f64().unwrap());
    assert!(0.0 < low && low < high && found["kl_bound"].as_f64().unwrap() > 0.9 * low, "{found}");
    let squares = std::fs::read_to_string(here.join("out/curve.csv")).unwrap();
    assert!(squares.contains(",mean-square of excess,") && squares.contains(",mean-square-per-element of excess,"));
}
