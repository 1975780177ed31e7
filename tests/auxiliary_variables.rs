//! Diffusions with auxiliary variables from the command line: closed forms, modules in closed form, and what is refused.
//!
//! `tests/fixtures/processes/networks.py` wrote the modules: the ideal noise of N(0.3, 0.25) data, by formulas of their own.

mod common;

use common::{clear, fixture, lipscope, names, refuse, report, succeed};
use serde_json::Value;
use std::path::Path;

const DATA: &str = "gaussian:mean=0.3,std=0.5,dim=3";
const MDM: &str = r#"{"Q": [[0, -1], [1, 0]], "D": [[0, 0], [0, 2]]}"#;

fn run(here: &Path, arguments: &[&str]) -> Value {
    clear(here);
    let output = lipscope(here, &[arguments, &["--out", "out"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    report(&here.join("out"))
}

/// Means of a model's curve of a quantity and a variable.
fn curve(report: &Value, model: usize, quantity: &str, block: &str) -> Vec<f64> {
    let curves = report["models"][model]["curves"].as_array().unwrap();
    let found = curves.iter().find(|curve| curve["quantity"] == quantity && curve["block"] == block);
    let points = found.unwrap_or_else(|| panic!("no {quantity} of {block}"))["points"].as_array().unwrap();
    points.iter().map(|point| point["mean"].as_f64().unwrap()).collect()
}

fn close(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got / expected - 1.0).abs() < tolerance, "{got} {expected}");
    }
}

/// Of 50 digits (tests/fixtures/processes/make.py): D and K at u = 0.001 and 0.1, per unit of time.
#[test]
fn theory_of_a_gaussian_is_the_expectation_itself() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("mdm.json"), MDM).unwrap();
    let three = ["--data", DATA, "--quantity", "derivative", "--axis", "unit", "--timesteps", "0,99"];
    for (process, x, v) in [
        ("cld:eps=0", [379.029781386727, 8.97408105341], [32.6479729590853, 4.42203277247]),
        ("mdm:mdm.json", [43.8857977647, 11.1577975867], [88.6279245984, 5.78918231423]),
    ] {
        let found = run(here, &[&["theory", "--schedule", process], &three[..]].concat());
        assert_eq!(found["models"][0]["curves"][0]["estimator"], "closed-form");
        close(&curve(&found, 0, "derivative", "x"), &x, 1e-9);
        close(&curve(&found, 0, "derivative", "v"), &v, 1e-9);
    }
    let one = ["--data", "gaussian:mean=0.3,std=0.5,dim=1", "--axis", "unit", "--timesteps", "0"];
    let found = run(here, &[&["theory", "--schedule", "cld:eps=0"], &one[..]].concat());
    close(&curve(&found, 0, "secant", "x"), &[137.217911726], 1e-9);
    close(&curve(&found, 0, "secant", "v"), &[7.79710814682], 1e-9);
    // An exponent stands beside the timesteps that it is of, and has no cause: there is no σ.
    let range = run(here, &["theory", "--schedule", "cld:eps=0", "--data", DATA, "--timesteps", "0..30"]);
    let singularity = &range["models"][0]["summary"][0]["singularity"];
    assert_eq!((singularity["range"][0].as_f64(), singularity["driver"].as_str()), (Some(0.0), Some("unknown")));
    assert!(singularity["exponent_per_sigma"].is_null() && singularity["range"][1].as_f64().unwrap() > 10.0);
}

/// The same x_t: the module's numbers are those of the closed form, also of v alone beside x and v.
#[test]
fn modules_in_closed_form_are_the_ideal_noise() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("mdm.json"), MDM).unwrap();
    let ideal = format!("ideal:{DATA}");
    let plan = ["--data", DATA, "--dtype", "f64", "--quantity", "both", "--timesteps", "0,9,99", "--samples", "8"];
    for (module, options, variables) in [
        ("cld_v.pt", &["--schedule", "cld", "--output", "v=0"][..], &["v"][..]),
        ("cld_mixed.pt", &["--schedule", "cld", "--prediction", "mixed"], &["v"]),
        ("mdm_all.pt", &["--schedule", "mdm:mdm.json"], &["x", "v"]),
        ("mdm_all.pt", &["--schedule", "mdm:mdm.json", "--output", "x=0:3,v=3:6"], &["x", "v"]),
        ("mdm_all.pt", &["--schedule", "mdm:mdm.json", "--output", "v=3:6"], &["v"]),
    ] {
        let module = fixture(&format!("processes/{module}"));
        let found = run(here, &[&["compare", &module, &ideal], options, &plan].concat());
        for quantity in ["secant", "derivative"] {
            for variable in variables {
                let (network, exact) = (curve(&found, 0, quantity, variable), curve(&found, 1, quantity, variable));
                // Its variances lose up to 7 digits at u = 0.001 by their cancelling formulas.
                close(&network, &exact, 1e-6);
            }
        }
        let rows = found["comparison"].as_array().unwrap();
        assert_eq!(rows.len(), 2 * 3 * variables.len());
        assert!(rows.iter().all(|row| (row["ratio"].as_f64().unwrap() - 1.0).abs() < 1e-6), "{rows:?}");
        let model = &found["models"][0]["model"];
        assert_eq!((model["conditioning"].as_str(), model["basis"]["told"][0].as_f64()), (Some("unit"), Some(1e-3)));
    }
}

/// Around the closed form, with the standard error that the report names.
#[test]
fn a_measured_curve_is_that_of_theory() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let module = fixture("processes/cld_mixed.pt");
    let grid = ["--data", DATA, "--timesteps", "2,20,200", "--quantity", "both"];
    let cld = ["--schedule", "cld"];
    let measured = ["measure", &module, "--prediction", "mixed", "--output", "v=0", "--samples", "1024"];
    let measured = run(here, &[&measured[..], &cld, &grid].concat());
    let theory = run(here, &[&["theory"], &cld[..], &grid].concat());
    for quantity in ["secant", "derivative"] {
        let curves = measured["models"][0]["curves"].as_array().unwrap();
        let points = curves.iter().find(|curve| curve["quantity"] == quantity).unwrap()["points"].as_array().unwrap();
        for (point, exact) in points.iter().zip(curve(&theory, 0, quantity, "v")) {
            let (mean, error) = (point["mean"].as_f64().unwrap(), point["std_error"].as_f64().unwrap());
            assert!((mean - exact).abs() < 5.0 * error && error < 0.05 * exact, "{quantity}: {mean} {error} {exact}");
        }
    }
    // The raw output of a mixed score is something else.
    let raw = ["measure", &module, "--prediction", "mixed", "--of", "output", "--samples", "16"];
    let raw = run(here, &[&raw[..], &cld, &grid].concat());
    assert!((curve(&raw, 0, "secant", "v")[1] / curve(&theory, 0, "secant", "v")[1] - 1.0).abs() > 0.2);
}

/// Mixtures and data sets are averaged over samples; images keep their shape.
#[test]
fn other_laws_and_shapes_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let digits = ["--timesteps", "5,50", "--samples", "4", "--quantity", "both"];
    let found = run(here, &[&["theory", "--schedule", "cld", "--data", "digits"], &digits[..]].concat());
    assert_eq!(found["models"][0]["curves"].as_array().unwrap().len(), 4);
    assert!(curve(&found, 0, "derivative", "x")[0] > 0.0);
    let module = fixture("processes/cld_v.pt");
    let found = run(here, &[&["measure", &module, "--schedule", "cld", "--data", "digits"], &digits[..]].concat());
    assert!(curve(&found, 0, "secant", "v")[1] > 0.0);
    let size = ["--quantity", "size", "--samples", "64", "--timesteps", "500"];
    let found = run(here, &[&["measure", &module, "--schedule", "cld", "--data", DATA], &size[..]].concat());
    // E‖ε_v‖² of three elements is 3 less what the data hides: nearly all of it at the end.
    let square = found["models"][0]["curves"][0]["points"][0]["mean_square"]["mean"].as_f64().unwrap();
    assert!((square - 3.0).abs() < 1.5, "{square}");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("bad.json"), r#"{"Q": [[0, 1], [1, 0]], "D": [[0, 0], [0, 2]]}"#).unwrap();
    let module = fixture("processes/cld_v.pt");
    let cld = |more: &[&'static str]| {
        let base = ["measure", &module, "--schedule", "cld", "--data", DATA, "--timesteps", "0,9", "--out", "out"];
        [&base[..], more].concat()
    };
    for (more, says) in [
        (&["--output", "w=0"][..], &["`w`", "x, v", "--output v=0"][..]),
        (&["--output", "v=0:2"], &["channels 0:2", "output of 3"]),
        (&["--output", "v=1"], &["place 1"]),
        (&["--axis", "sigma"], &["no such axis", "--axis step"]),
        (&["--axis", "log-snr"], &["no such axis"]),
        (&["--time-input", "sigma"], &["no such number"]),
        (&["--prediction", "v"], &["epsilon or mixed"]),
        (&["--prediction", "mixed", "--output", "x=0"], &["last variable alone"]),
        (&["--of", "score"], &["epsilon, output"]),
        (&["--quantity", "path"], &["--quantity secant"]),
        (&["--quantity", "spatial"], &["--quantity secant"]),
        (&["--attribute", "site", "--quantity", "derivative"], &["Gaussian noise"]),
    ] {
        refuse(here, &cld(more), says);
        assert!(!here.join("out").exists(), "{more:?} left {:?}", names(&here.join("out")));
    }
    let ideal = |process: &'static str| ["theory", "--schedule", process, "--data", DATA, "--out", "out"];
    refuse(here, &ideal("cld:mass=0"), &["mass"]);
    refuse(here, &ideal("cld:weight=2"), &["mass, gamma, beta, eps, timesteps"]);
    refuse(here, &ideal("mdm"), &["JSON file with Q and D"]);
    refuse(here, &ideal("mdm:nowhere.json"), &["nowhere.json"]);
    refuse(here, &ideal("mdm:bad.json"), &["antisymmetric"]);
    refuse(here, &[&ideal("cld")[..], &["--axis", "sigma"]].concat(), &["no such axis"]);
    refuse(here, &[&ideal("cld")[..], &["--of", "score"]].concat(), &["epsilon"]);
    refuse(here, &["sample", &module, "--schedule", "cld"], &["under the process cld"]);
    let named = ["measure", &module, "--schedule", "linear", "--output", "v=0", "--data", DATA];
    refuse(here, &named, &["no variables to choose from"]);
    assert!(!here.join("out").exists());
}

#[test]
fn help_names_the_processes() {
    let folder = tempfile::tempdir().unwrap();
    let help = succeed(folder.path(), &["measure", "--help"]);
    assert!(help.contains("v=0") && help.contains("mixed"), "{help}");
}
