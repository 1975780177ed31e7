//! Every spacing on every kind of schedule.

use super::*;
use crate::sampler::log_snr::half_log_snr;
use crate::schedule;

fn shares(count: usize) -> Vec<f64> {
    (0..count).map(|i| i as f64 / (count - 1).max(1) as f64).collect()
}

fn place(spacing: &str, schedule: &str, first: f64, count: usize) -> Result<Vec<f64>> {
    let schedule = schedule::parse(schedule).unwrap();
    parse(spacing).unwrap().timesteps(&*schedule, (first, 0.0), &shares(count))
}

/// A report of K(t) = t with its peak at 0 left out, over the whole grid.
fn report(dir: &std::path::Path, until: usize) -> String {
    let points: Vec<serde_json::Value> = (0..until)
        .map(|t| {
            serde_json::json!({"timestep": t, "t_next": t + 1, "alpha": 1.0, "sigma": 0.5, "log_snr": 0.0, "samples": 8,
                "mean": t, "std_error": null, "ci_low": null, "ci_high": null, "p05": null, "p50": null, "p95": null,
                "max": null, "non_finite": 0})
        })
        .collect();
    let model = |label: &str| {
        serde_json::json!({"label": label, "summary": [], "spent": {"function_evaluations": 1, "wall_seconds": 1.0},
            "model": {"source": "m", "sha256": null, "format": "f", "architecture": "a", "parameters": 1,
                "sample_shape": [1], "prediction": "epsilon", "schedule": "linear", "timesteps": 1000,
                "conditioning": "step", "boundaries": [], "dtype": "f32"},
            "curves": [{"quantity": "secant", "estimator": "monte-carlo", "norm": "l2", "axis": "step",
                "unit": "1/step", "dt": 1.0, "points": points}]})
    };
    let report = serde_json::json!({"schema_version": 1, "complete": true, "command": "compare", "comparison": [],
        "warnings": [], "models": [model("a"), model("b c")],
        "provenance": {"plan": {}, "versions": {}, "device": "cpu", "threads": 1, "began": "", "wall_seconds": 1.0}});
    let path = dir.join(format!("report-{until}.json"));
    std::fs::write(&path, report.to_string()).unwrap();
    path.display().to_string()
}

#[test]
fn every_spacing_gives_distinct_whole_timesteps_with_both_ends() {
    let dir = tempfile::tempdir().unwrap();
    let measured = format!("lipschitz:{}#b c", report(dir.path(), 999));
    for spacing in ["uniform", "quadratic", "log-snr", "karras", &measured] {
        for schedule in ["linear", "cosine", "trigflow", "flow"] {
            for count in [2, 10, 50, 400, 1000] {
                let times = place(spacing, schedule, 999.0, count).unwrap();
                assert_eq!((times.len(), times[0], times[count - 1]), (count, 999.0, 0.0), "{spacing} {schedule}");
                assert!(times.windows(2).all(|pair| pair[0] > pair[1]), "{spacing} {schedule}: {times:?}");
                assert!(times.iter().all(|t| t.fract() == 0.0), "{spacing} {schedule}: {times:?}");
            }
            assert_eq!(place(spacing, schedule, 999.0, 1).unwrap(), [999.0]);
            assert!(place(spacing, schedule, 999.0, 1001).unwrap_err().to_string().contains("1000 whole timesteps"));
        }
    }
}

#[test]
fn each_is_even_in_its_own_measure() {
    let linear = schedule::parse("linear").unwrap();
    let lambda = |t: f64| half_log_snr(&*linear, t);
    let dir = tempfile::tempdir().unwrap();
    let measured = format!("lipschitz-real:{}#a", report(dir.path(), 999));
    let measures: [(&str, &dyn Fn(f64) -> f64); 5] = [
        ("uniform-real", &|t| t),
        ("quadratic-real", &|t| t.sqrt()),
        ("log-snr-real", &lambda),
        ("karras-real", &|t| (-lambda(t) / 7.0).exp()),
        // Σ of K = 0 + 1 + … grows within a step evenly.
        (&measured, &|t: f64| t.floor() * (t.floor() - 1.0) / 2.0 + t.fract() * t.floor()),
    ];
    for (spacing, measure) in measures {
        let times = place(spacing, "linear", 999.0, 14).unwrap();
        let steps: Vec<f64> = times.windows(2).map(|pair| measure(pair[0]) - measure(pair[1])).collect();
        for step in &steps {
            assert!((step / steps[0] - 1.0).abs() < 1e-9, "{spacing}: {steps:?}");
        }
    }
}

#[test]
fn given_timesteps_are_taken_as_they_are() {
    assert_eq!(place("times:0-250-900", "linear", 999.0, 3).unwrap(), [900.0, 250.0, 0.0]);
    assert_eq!(parse("times:900-0-250").unwrap().name(), "times:0-250-900");
    assert_eq!(parse("times-real:9.5-0").unwrap().name(), "times-real:0-9.5");
    assert_eq!(parse("log-snr-real").unwrap().name(), "log-snr-real");
    assert!(place("times:0-250-900", "linear", 999.0, 4).unwrap_err().to_string().contains("--nfe 3"));
    assert!(place("times:0-1000", "linear", 999.0, 2).is_err());
}

#[test]
fn nonsense_is_refused() {
    for text in ["even", "", "uniform:3", "lipschitz", "lipschitz:nowhere.json", "times:a", "times:1-1", "times"] {
        assert!(parse(text).is_err(), "{text}");
    }
    let dir = tempfile::tempdir().unwrap();
    let short = report(dir.path(), 100);
    let why = |text: String| parse(&text).unwrap_err().to_string();
    assert!(why(format!("lipschitz:{short}")).contains("a, b c"));
    assert!(why(format!("lipschitz:{short}#d")).contains("a, b c"));
    let error = place(&format!("lipschitz:{short}#a"), "linear", 999.0, 10).unwrap_err().to_string();
    assert!(error.contains("0 to 100"), "{error}");
}
