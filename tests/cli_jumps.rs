//! Discrete diffusion from the command line: exact laws of data, networks over symbols, calibration and uniformization.

mod common;

use common::{clear, fixture, lipscope, refuse, report};
use std::path::Path;

const GEOMETRIC: &str = "flip:noise=geometric,min=1e-3,max=2,timesteps=100";

fn run(here: &Path, arguments: &[&str]) -> (serde_json::Value, String) {
    clear(here);
    let output = lipscope(here, &[arguments, &["--out", "out"]].concat());
    assert!(output.status.success(), "{arguments:?} {}", String::from_utf8_lossy(&output.stderr));
    let said = [output.stdout, output.stderr].concat();
    (report(&here.join("out")), String::from_utf8_lossy(&said).into_owned())
}

fn points(report: &serde_json::Value, model: usize, curve: usize) -> Vec<serde_json::Value> {
    report["models"][model]["curves"][curve]["points"].as_array().unwrap().clone()
}

fn number(point: &serde_json::Value, key: &str) -> f64 {
    point[key].as_f64().unwrap_or_else(|| panic!("{key} of {point}"))
}

fn close(got: f64, expected: f64, tolerance: f64) {
    assert!((got / expected - 1.0).abs() < tolerance, "{got} {expected}");
}

/// ∫ sup R dσ = 21.934 over [0.001, 2], of three points of five bits.
#[test]
fn theory_has_suprema_and_integrals_over_all_states() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let bits = fixture("jumps/bits.npy");
    let theory = ["theory", "--schedule", GEOMETRIC, "--data", &bits];
    let (found, said) = run(here, &[&theory[..], &["--quantity", "size", "--timesteps", "all"]].concat());
    let points = points(&found, 0, 0);
    assert_eq!(points.len(), 100);
    for point in &points {
        close(number(point, "mean"), 5.0, 1e-12);
        assert!(number(point, "max") >= number(point, "p999") && point["samples"] == 0);
    }
    // σ = 2 is the last one.
    close(number(&points[99], "max"), 5.04601021277, 1e-10);
    let summary = &found["models"][0]["summary"][0];
    let steps = &summary["uniformization"];
    close(number(steps, "to"), 2.0, 1e-12);
    // What lies below the first σ is that of a blow-up as 1/σ, 2·ln(σ₀/0.001).
    let below = 2.0 * (number(steps, "from") / 0.001).ln();
    close(number(steps, "expected_steps_sup") + below, 21.9342215394, 1e-3);
    assert_eq!((&steps["exact"], &summary["calibration"]["z"]), (&serde_json::json!(true), &serde_json::Value::Null));
    close(number(&summary["calibration"], "measured"), 5.0, 1e-12);
    assert!(said.contains("steps at the supremum of R"), "{said}");
    assert_eq!(found["models"][0]["curves"][0]["unit"], "1/σ");
}

/// At σ = 0.1: E|∂ ln R| and the speed of the jump law by enumeration; under masking the first is a formula.
#[test]
fn theory_tells_how_fast_rates_and_laws_move() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let schedule = "flip:noise=geometric,min=0.1,max=10,timesteps=2";
    let theory = ["theory", "--schedule", schedule, "--data", &fixture("jumps/bits.npy"), "--timesteps", "0"];
    // σ is 1 at t = 0 of two steps.
    let (jumps, _) = run(here, &[&theory[..], &["--of", "jumps", "--quantity", "derivative"]].concat());
    close(number(&points(&jumps, 0, 0)[0], "mean"), 0.0989256504097, 1e-10);
    assert_eq!(jumps["models"][0]["curves"][0]["norm"], "total-variation");
    let (rate, _) = run(here, &[&theory[..], &["--quantity", "derivative"]].concat());
    close(number(&points(&rate, 0, 0)[0], "max"), 0.421694129162, 1e-10);
    let masked = ["theory", "--schedule", "absorb:symbols=3", "--data", &fixture("jumps/tokens.npy")];
    let (masked, _) = run(here, &[&masked[..], &["--quantity", "derivative", "--timesteps", "499"]].concat());
    // e^σ/(e^σ − 1) = 1/((1 − eps) u).
    close(number(&points(&masked, 0, 0)[0], "max"), 1.0 / (0.999 * 0.5), 1e-10);
}

/// A module that answers with the exact log-ratios, on the same samples as the exact law.
#[test]
fn networks_over_symbols_are_measured_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (bits, ideal) = (fixture("jumps/bits.npy"), format!("ideal:{}", fixture("jumps/bits.npy")));
    for (name, of) in [("bits", "rate"), ("bits_flat", "rate"), ("bits", "jumps")] {
        let network = fixture(&format!("jumps/{name}.pt"));
        let base = ["compare", &network, &ideal, "--schedule", GEOMETRIC, "--data", &bits, "--of", of];
        let more = ["--quantity", "both", "--timesteps", "30,60,90", "--samples", "24", "--dtype", "f64"];
        let (found, said) = run(here, &[&base[..], &more].concat());
        let rows = found["comparison"].as_array().unwrap();
        assert_eq!(rows.len(), 6, "{found}");
        // Every sample is the same; the module rounds σ to float32 inside nothing.
        rows.iter().for_each(|row| close(number(row, "ratio"), 1.0, 1e-6));
        assert!(said.contains("told sigma = ") && said.contains("predicts log-ratio (assumed)"), "{said}");
    }
    assert!(std::fs::read_to_string(here.join("out/curve.csv")).unwrap().contains(",derivative of jumps,"));
}

#[test]
fn a_network_that_jumps_too_often_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let bits = fixture("jumps/bits.npy");
    let calibration = |name: &str| {
        let module = fixture(&format!("jumps/{name}.pt"));
        let base = ["measure", &module, "--schedule", GEOMETRIC, "--data", &bits, "--quantity", "size"];
        let (found, said) = run(here, &[&base[..], &["--timesteps", "0..100/9", "--samples", "600"]].concat());
        let summary = found["models"][0]["summary"][0].clone();
        assert_eq!(summary["uniformization"]["exact"], false);
        (summary["calibration"].clone(), said)
    };
    let (exact, said) = calibration("bits");
    assert!(number(&exact, "z").abs() < 4.0 && said.contains("calibrated, as far as"), "{exact} {said}");
    // With three points few samples have jumped near 0: those timesteps do not count.
    assert!(exact["timesteps"].as_u64().unwrap() < exact["of"].as_u64().unwrap(), "{exact}");
    let (off, said) = calibration("bits_off");
    assert!(number(&off, "z") > 4.0 && said.contains("not calibrated: the model jumps too often by"), "{off} {said}");
    close(number(&off, "measured"), 5.5, 0.02);
}

/// Masked networks, by their ratios or by log p(x₀ | x), which does not depend on time.
#[test]
fn masked_networks_conserve_probability_whatever_they_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let tokens = fixture("jumps/tokens.npy");
    for (name, prediction) in [("masked", None), ("time_free", Some("x0"))] {
        let module = fixture(&format!("jumps/{name}.pt"));
        let base = ["measure", &module, "--schedule", "absorb:symbols=3", "--data", &tokens, "--timesteps", "499,899"];
        let prediction: Vec<&str> = prediction.into_iter().flat_map(|p| ["--prediction", p]).collect();
        let base = [&base[..], &prediction].concat();
        let (size, _) = run(here, &[&base[..], &["--quantity", "size"]].concat());
        // Σ_a r_a (e^σ − 1) = 1 at every mask, to the rounding of float32.
        let worst = number(&size["models"][0]["summary"][0]["calibration"], "worst_state");
        assert!(worst < 1e-5, "{name} {worst}");
        for (point, u) in points(&size, 0, 0).iter().zip([0.5f64, 0.9]) {
            // L e^−σ, which the number of masks explains to the rounding of float32; all are masked at the most.
            close(number(point, "mean"), 3.0 * (1.0 - 0.999 * u), 1e-5);
            close(number(point, "max"), 3.0 * (1.0 - 0.999 * u) / (0.999 * u), 1e-5);
        }
        let (rate, said) = run(here, &[&base[..], &["--quantity", "derivative"]].concat());
        for (point, u) in points(&rate, 0, 0).iter().zip([0.5, 0.9]) {
            close(number(point, "max"), 1.0 / (0.999 * u), 1e-4);
        }
        assert_eq!(said.contains("does not depend on t"), name == "time_free", "{said}");
        let (jumps, _) = run(here, &[&base[..], &["--quantity", "both", "--of", "jumps"]].concat());
        let all = [points(&jumps, 0, 0), points(&jumps, 0, 1)].concat();
        // Posteriors do not move; without time in them, to the last digit.
        let limit = if name == "time_free" { 0.0 } else { 1e-3 };
        all.iter().for_each(|point| assert!(number(point, "max") <= limit, "{name} {point}"));
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (bits, tokens) = (fixture("jumps/bits.npy"), fixture("jumps/tokens.npy"));
    let (module, plain) = (fixture("jumps/bits.pt"), fixture("torchscript/plain.pt"));
    let masked = fixture("jumps/masked.pt");
    let wide = here.join("wide.npy");
    common::embeddings(&wide, 1.0, "(2, 17)", 34);
    let wide = wide.display().to_string();
    for (arguments, says) in [
        (&["theory", "--schedule", "flip", "--data", &tokens][..], "no symbol of it"),
        (&["theory", "--schedule", "absorb:symbols=2", "--data", &tokens], "the mask"),
        (&["theory", "--schedule", "uniform", "--data", &bits], "`symbols` is needed"),
        (&["theory", "--schedule", "flip", "--data", &wide], "65536 at most"),
        (&["theory", "--schedule", "flip", "--data", "gaussian:std=1"], "is a density"),
        (&["theory", "--schedule", "flip", "--data", &bits, "--of", "score"], "rate, jumps"),
        (&["theory", "--schedule", "flip", "--data", &bits, "--of", "jumps", "--quantity", "size"], "adds up to 1"),
        (&["theory", "--schedule", "flip", "--data", &bits, "--of", "jumps", "--norm", "rms"], "total variation"),
        (&["theory", "--schedule", "flip", "--data", &bits, "--axis", "log-snr"], "no such axis"),
        (&["theory", "--schedule", "flip", "--data", &bits, "--quantity", "path"], "derivatives in x"),
        (&["theory", "--data", "digits", "--of", "rate"], "there is epsilon"),
        (&["theory", "--data", "digits", "--norm", "total-variation"], "distance of two laws"),
        (&["measure", &module, "--schedule", "flip", "--shape", "5"], "no data was given"),
        (&["measure", &module, "--schedule", "flip", "--data", &bits, "--prediction", "v"], "no such output"),
        (&["measure", &module, "--schedule", "uniform:symbols=3", "--data", &tokens], "symbols 0 to 2 as int64"),
        (&["measure", &masked, "--schedule", "uniform:symbols=2", "--data", &tokens], "[2, 3, 4]"),
        (&["measure", &plain, "--schedule", "flip", "--data", &bits], "symbols 0 to 1 as int64"),
        (&["measure", &module, "--schedule", "flip", "--data", &bits, "--rounding"], "Gaussian noise"),
        (
            &["measure", &module, "--schedule", "flip", "--data", &bits, "--quantity", "both", "--attribute", "site"],
            "with --of rate",
        ),
        (&["measure", &module, "--schedule", "flip", "--data", &bits, "--scale", "0..1"], "no symbol of it"),
        (&["sample", &module, "--schedule", "flip", "--shape", "5"], "Gaussian noise"),
        (&["train", "--schedule", "flip", "--data", "digits"], "it is one of linear"),
    ] {
        let out: &[&str] = if arguments[0] == "train" { &[] } else { &["--out", "out"] };
        refuse(here, &[arguments, out].concat(), &[says]);
        assert!(!here.join("out/report.json").exists(), "{arguments:?}");
    }
}
