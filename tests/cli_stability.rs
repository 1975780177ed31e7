//! `stability`: what lands in tables and figures, against a closed form, and what is refused.

mod common;

use common::{fixture, fresh, refuse, rendered, report, succeed};
use serde_json::Value;
use std::fs;

const HEADER: &str = "model,perturbed,timestep,size,samples,mean,std_error,ci_low,ci_high,amplification,ratio,\
                      ratio_ci_low,ratio_ci_high";

fn rows<'a>(report: &'a Value, name: &str) -> Vec<&'a Value> {
    let tables = report["tables"].as_array().unwrap();
    tables.iter().find(|table| table["name"] == name).unwrap()["rows"].as_array().unwrap().iter().collect()
}

#[test]
fn models_are_perturbed_alike_and_compared() {
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let arguments = ["stability", &pipeline, &pipeline, "--share", "n=5,until=100", "--label", "A", "--label", "B"];
    let options = ["--data", "digits", "--timesteps", "0,19,50", "--sizes", "0.01,0.1", "--time-steps", "1,5"];
    let rest = ["--samples", "6", "--out", "out", "--plot=svg"];
    let stdout = succeed(folder.path(), &[&arguments[..], &options, &rest].concat());
    assert!(stdout.contains("B's predicted x₀ changes by") && stdout.contains("of A's:"), "{stdout}");
    assert!(stdout.contains("by construction"), "{stdout}");
    let files =
        ["change-t.svg", "change-x.svg", "ratio-t.svg", "ratio-x.svg", "report.json", "stability.csv", "summary.csv"];
    assert_eq!(rendered(&out), files);
    let table = fs::read_to_string(out.join("stability.csv")).unwrap();
    assert_eq!((table.lines().next(), table.lines().count()), (Some(HEADER), 1 + 2 * 3 * 4));
    let summary = fs::read_to_string(out.join("summary.csv")).unwrap();
    assert_eq!(summary.lines().next(), Some("model,perturbed,from,until,mean,ratio,ratio_ci_low,ratio_ci_high"));
    let report = report(&out);
    assert_eq!((report["complete"].as_bool(), report["command"].as_str()), (Some(true), Some("stability")));
    // Inside a sub-interval t changes nothing; across its end it does.
    let mean = |model: &str, perturbed: &str, t: f64, size: f64| {
        let found = rows(&report, "stability").into_iter().find(|row| {
            row[0] == model && row[1] == perturbed && row[2].as_f64() == Some(t) && row[3].as_f64() == Some(size)
        });
        found.unwrap()[5].as_f64().unwrap()
    };
    assert_eq!((mean("B", "t", 0.0, 5.0), mean("B", "t", 50.0, 5.0)), (0.0, 0.0));
    assert!(mean("B", "t", 19.0, 1.0) > mean("A", "t", 19.0, 1.0));
    assert_eq!(mean("A", "x", 0.0, 0.1), mean("B", "x", 0.0, 0.1));
}

/// N(0, 0.25) in one dimension: x̂₀ = J x, so that the amplification is |J| for every sample.
#[test]
fn amplification_is_the_jacobian_of_a_gaussian() {
    let (folder, out) = fresh("out");
    let arguments = ["stability", "ideal:gaussian:mean=0,std=0.5,dim=1", "--timesteps", "0,300", "--out", "out", "-q"];
    succeed(folder.path(), &[&arguments[..], &["--samples", "5", "--time-steps", "none"]].concat());
    let schedule = lipscope::schedule::parse("linear").unwrap();
    for row in rows(&report(&out), "stability") {
        let level = schedule.level(row[2].as_f64().unwrap());
        let jacobian = level.alpha * 0.25 / (level.alpha.powi(2) * 0.25 + level.sigma.powi(2));
        // δ is drawn in float32, and both norms in float64 from it: rounding of a difference over the smallest δ.
        assert!((row[9].as_f64().unwrap() / jacobian - 1.0).abs() < 1e-9, "{row} {jacobian}");
    }
}

#[test]
fn neither_batches_nor_threads_change_numbers() {
    let (folder, _) = fresh("");
    let pipeline = fixture("torchscript/pipeline");
    let run = |name: &str, more: &[&str]| {
        let common = ["stability", &pipeline, "--data", "digits", "--timesteps", "0,30", "--samples", "10", "-q"];
        succeed(folder.path(), &[&common[..], &["--dtype", "f64", "--out", name], more].concat());
        let report = report(&folder.path().join(name));
        rows(&report, "stability").into_iter().map(|row| row[5].as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let whole = run("whole", &[]);
    for other in [run("batch", &["--batch", "3"]), run("threads", &["--threads", "1"])] {
        // float64 rounding of x̂₀, over changes of about 1e-3 of it.
        assert!(whole.iter().zip(&other).all(|(a, b)| (a / b - 1.0).abs() < 1e-9), "{whole:?} {other:?}");
    }
    assert_ne!(whole, run("seed", &["--seed", "1"]));
}

#[test]
fn a_dry_run_prints_the_plan_and_bad_arguments_are_refused() {
    let (folder, out) = fresh("out");
    let ideal = "ideal:gaussian:mean=0,std=0.5,dim=1";
    let text = succeed(folder.path(), &["stability", ideal, "--dry-run", "--out", "out", "--sizes", "0.1,0.01,0.1"]);
    let plan: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(plan["sizes"], serde_json::json!([0.01, 0.1]));
    // Every third step, so that the ends of sub-intervals are met.
    assert_eq!((plan["timesteps"].as_array().unwrap().len(), plan["timesteps"][33].as_f64()), (34, Some(99.0)));
    for (arguments, says) in [
        (["--sizes", "0.1,-1"], "--sizes is `0.1,-1`"),
        (["--sizes", "x"], "--sizes is `x`"),
        (["--time-steps", "0"], "--time-steps is `0`"),
        (["--time-steps", "5000"], "the schedule ends at 999"),
        (["--timesteps", "995"], "the last timestep is 995"),
        (["--samples", "0"], "--samples"),
        (["--norm", "l1"], "--norm is `l1`"),
    ] {
        refuse(folder.path(), &[&["stability", ideal, "--out", "out"], &arguments[..]].concat(), &[says]);
    }
    let nothing = ["stability", ideal, "--out", "out", "--sizes", "none", "--time-steps", "none"];
    refuse(folder.path(), &nothing, &["nothing to perturb"]);
    assert!(!out.exists());
}

/// In t only the network's output moves, by Δ: x̂₀ by (σ/α) Δ where it is ε, and by σ Δ where it is v, with α and σ of x_t.
#[test]
fn a_perturbed_t_leaves_the_level_of_x_alone() {
    let (folder, _) = fresh("");
    let pipeline = fixture("torchscript/pipeline");
    let run = |prediction: &str| {
        let options = ["--timesteps", "0,500,900", "--sizes", "none", "--time-steps", "0.5,20", "--samples", "3", "-q"];
        let model = ["stability", &pipeline, "--data", "digits", "--dtype", "f64", "--prediction", prediction];
        succeed(folder.path(), &[&model[..], &options, &["--out", prediction]].concat());
        let report = report(&folder.path().join(prediction));
        let numbers = |row: &Value| (row[2].as_f64().unwrap(), row[5].as_f64().unwrap());
        rows(&report, "stability").into_iter().map(numbers).collect::<Vec<_>>()
    };
    let schedule = lipscope::schedule::parse("linear").unwrap();
    for ((t, of_epsilon), (_, of_v)) in run("epsilon").into_iter().zip(run("v")) {
        assert!(of_v > 0.0 && (of_v / of_epsilon / schedule.alpha(t) - 1.0).abs() < 1e-9, "{t}: {of_v} {of_epsilon}");
    }
}
