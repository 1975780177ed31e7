//! Functions f(x, s) of any scalar, without noise: `--schedule none`.
//!
//! tests/fixtures/hitting_times/hitting.pt: h(y, β), the expected times at which an epidemic with infection probability β reached
//! the nodes of a small graph, given the snapshot y, by enumeration of all histories.

mod common;

use common::closeness::{Tolerance, assert_close};
use common::{clear, fixture, refuse, report, succeed};
use serde_json::Value;
use std::path::Path;

/// β from 0.05 to 0.6 in steps of 0.01.
const RANGE: &str = "none:from=0.05,to=0.6,timesteps=56";

fn measure(folder: &Path, module: &str, data: &str, more: &[&str]) -> Value {
    clear(folder);
    let (module, data) = (fixture(&format!("hitting_times/{module}")), fixture(&format!("hitting_times/{data}")));
    let asked = ["measure", &module, "--data", &data, "--scale", "none", "--schedule", RANGE, "--samples", "4"];
    succeed(folder, &[&asked[..], &["--dtype", "f64", "--out", "out", "--quiet"], more].concat());
    report(&folder.join("out"))
}

fn means(report: &Value, curve: usize) -> Vec<f64> {
    let points = report["models"][0]["curves"][curve]["points"].as_array().unwrap();
    points.iter().map(|point| point["mean"].as_f64().unwrap()).collect()
}

/// ‖∂h/∂β‖ and K(β, β + 0.01) at β = 0.05, 0.1, 0.3, by enumeration in another program.
#[test]
fn hitting_times_change_with_the_rate_as_enumerated() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = [
        ("all.npy", [2.08874232045, 2.13897738553, 2.18028945031], [2.0943960138, 2.14313568093, 2.17835777698]),
        ("three.npy", [2.53830829806, 2.48010968489, 2.01089943883], [2.53379136093, 2.47260573024, 1.9968332793]),
    ];
    for (data, derivatives, secants) in snapshots {
        let report = measure(folder.path(), "hitting.pt", data, &["--quantity", "both", "--timesteps", "0,5,25"]);
        let model = &report["models"][0];
        let reason = "the truths have 12 digits";
        assert_close(data, &means(&report, 0), &secants, Tolerance::of_largest(1e-10, reason));
        assert_close(data, &means(&report, 1), &derivatives, Tolerance::of_largest(1e-10, reason));
        let curve = &model["curves"][0];
        assert_eq!((&curve["axis"], &curve["unit"]), (&"argument".into(), &"1/argument".into()));
        assert_eq!((&curve["of"], &model["model"]["conditioning"]), (&"output".into(), &"argument".into()));
        assert!(curve["points"][0]["sigma"].is_null() && curve["points"][0]["alpha"].is_null());
    }
    // Per step β moves by 0.01, and the secant's second end is 0.6.
    let more = ["--axis", "step", "--timesteps", "25,54", "--plot=svg"];
    let per_step = means(&measure(folder.path(), "hitting.pt", "all.npy", &more), 0);
    assert!((per_step[0] / 0.0217835777698 - 1.0).abs() < 1e-10, "{per_step:?}");
    let figure = std::fs::read_to_string(folder.path().join("out/lipschitz.svg")).unwrap();
    assert!(figure.contains("the network's output"), "{figure:.300}");
}

/// g(y, s) = s² Σ y, one number per sample: K = (2 s + Δs) |Σ y|, D = 2 s |Σ y|.
#[test]
fn an_output_need_not_have_the_shape_of_x() {
    let folder = tempfile::tempdir().unwrap();
    for (data, sum) in [("all.npy", 4.0), ("three.npy", 3.0)] {
        let more = ["--quantity", "both", "--timesteps", "0,5,25"];
        let report = measure(folder.path(), "energy.pt", data, &more);
        let tolerance = Tolerance::of_largest(1e-12, "differences of float64 over 0.01");
        assert_close("K", &means(&report, 0), &[0.11, 0.21, 0.61].map(|s| s * sum), tolerance);
        assert_close("D", &means(&report, 1), &[0.1, 0.2, 0.6].map(|s| s * sum), tolerance);
    }
    // Any other number is a function of s: the module is told its half.
    let halves = ["--time-input", "argument*0.5", "--timesteps", "5", "--quantity", "size"];
    let report = measure(folder.path(), "energy.pt", "all.npy", &halves);
    assert_close("S", &means(&report, 0), &[0.01], Tolerance::of_largest(1e-12, "float64"));
}

#[test]
fn what_needs_noise_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let module = fixture("hitting_times/hitting.pt");
    let data = fixture("hitting_times/all.npy");
    let with = |more: &[&'static str]| {
        let asked = ["measure", &module, "--data", &data, "--scale", "none", "--schedule", RANGE];
        [&asked[..], more].concat().into_iter().map(str::to_string).collect::<Vec<String>>()
    };
    let refused = |more: &[&'static str], says: &[&str]| {
        let arguments = with(more);
        refuse(here, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), says);
    };
    refused(&["--axis", "sigma"], &["--axis is `sigma`", "Use --axis step"]);
    refused(&["--axis", "unit"], &["--axis is `unit`"]);
    refused(&["--quantity", "path"], &["--quantity path under the process none"]);
    refused(&["--quantity", "spatial"], &["--quantity spatial under the process none"]);
    refused(&["--prediction", "v"], &["--prediction", "the network's output is measured as it is"]);
    refused(&["--of", "epsilon"], &["--of epsilon", "there is output"]);
    refused(&["--time-input", "sigma"], &["--time-input is `sigma`"]);
    for command in ["sample", "evaluate", "stability"] {
        refuse(here, &[command, &module, "--schedule", RANGE], &["under the process none"]);
    }
    refuse(here, &["measure", &module, "--schedule", RANGE, "--shape", "4"], &["there is no data", "Give --data"]);
    refuse(here, &["measure", &module, "--data", &data, "--schedule", "none:from=1,to=1"], &["different numbers"]);
    refuse(here, &["theory", "--data", "digits", "--schedule", RANGE], &["nothing is noised"]);
    let native = fixture("torchscript/pipeline");
    refuse(here, &["measure", &native, "--data", "digits", "--axis", "argument"], &["--axis is `argument`"]);
    assert!(!here.join("lipscope-out").exists(), "nothing is half-written");
}
