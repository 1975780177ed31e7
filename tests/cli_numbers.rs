//! What the program measures, against closed forms, against itself, and across batch sizes and threads.

mod common;

use common::{clear, fixture, fresh, lipscope, means, report, succeed};

/// N(0, 0.25) in one dimension: K = √(2/π)·√v_t·|c(t+1) − c(t)|, computed with numpy.
#[test]
fn theory_agrees_with_closed_forms() {
    let (folder, out) = fresh("out");
    for (schedule, t, expected) in [
        ("linear", 0.0, 0.007696775122738098),
        ("linear", 1.0, 0.00658670719574883),
        ("linear", 100.0, 0.0020911310090721775),
        ("linear", 500.0, 0.00015742846806643122),
        ("quadratic", 0.0, 0.00675024057684276),
        ("scaled-linear", 0.0, 0.019155495960362454),
        ("cosine", 0.0, 0.004664958216630806),
        ("linear-zero-terminal-snr", 0.0, 0.007737912505316911),
    ] {
        let time = t.to_string();
        let data = "gaussian:mean=0,std=0.5,dim=1";
        let arguments =
            ["theory", "--data", data, "--schedule", schedule, "--timesteps", &time, "--out", "out", "--quiet"];
        clear(folder.path());
        assert_eq!(succeed(folder.path(), &arguments), "");
        let (_, got) = means(&report(&out), 0)[0];
        assert!((got / expected - 1.0).abs() < 1e-9, "{schedule} at {t}: {got} {expected}");
    }
}

/// A closed form takes its timesteps from the same rule, and has no derivative where the condition jumps.
#[test]
fn theory_refines_its_timesteps_and_leaves_out_what_does_not_exist() {
    let (folder, out) = fresh("out");
    let arguments = ["theory", "--data", "gaussian:mean=0,std=0.5,dim=1", "--quantity", "derivative", "--quiet"];
    succeed(folder.path(), &[&arguments[..], &["--share", "n=5,until=100", "--out", "out"]].concat());
    let report = report(&out);
    let points = report["models"][0]["curves"][0]["points"].as_array().unwrap();
    for point in points {
        let boundary = [20.0, 40.0, 60.0, 80.0, 100.0].contains(&point["timestep"].as_f64().unwrap());
        assert_eq!(point["mean"].is_null(), boundary, "{point}");
    }
    let first = report["provenance"]["plan"]["timesteps"].as_array().unwrap().len() as u64;
    assert_eq!(report["resolution"]["checked"], points.len() as u64 - first);
    assert_eq!(report["resolution"]["unresolved"], serde_json::json!([]));
}

#[test]
fn monte_carlo_agrees_with_theory() {
    let (folder, out) = fresh("out");
    let data = "gaussian:mean=0.3,std=0.5,dim=4";
    let common = ["--timesteps", "0,10,300", "--out", "out", "--quiet"];
    succeed(folder.path(), &[&["theory", "--data", data], &common[..]].concat());
    let exact = means(&report(&out), 0);
    let ideal = format!("ideal:{data}");
    clear(folder.path());
    succeed(folder.path(), &[&["measure", &ideal, "--samples", "4000"], &common[..]].concat());
    let measured = report(&out);
    for ((t, exact), (i, (_, mean))) in exact.iter().zip(means(&measured, 0).iter().enumerate()) {
        let error = measured["models"][0]["curves"][0]["points"][i]["std_error"].as_f64().unwrap();
        assert!((mean - exact).abs() < 5.0 * error, "at {t}: {mean} {exact} ± {error}");
    }
}

#[test]
fn a_folder_and_its_torchscript_export_have_one_curve_and_batches_do_not_matter() {
    let (folder, _) = fresh("");
    let (pipeline, script) = (fixture("torchscript/pipeline"), fixture("torchscript/pipeline.pt"));
    let run = |name: &str, model: &str, more: &[&str]| {
        let common = ["--data", "digits", "--timesteps", "0,1,20,500", "--samples", "24", "--out", name, "--quiet"];
        succeed(folder.path(), &[&["measure", model], &common[..], more].concat());
        means(&report(&folder.path().join(name)), 0)
    };
    let native = run("native", &pipeline, &[]);
    let close = |other: &[(f64, f64)], tolerance: f64, what: &str| {
        for ((t, a), (_, b)) in native.iter().zip(other) {
            assert!((a / b - 1.0).abs() < tolerance, "{what} at {t}: {a} {b}");
        }
    };
    // Differences of two float32 predictions: rounding of 1e-7 of ε, over a change of about 1e-3 of it.
    close(&run("script", &script, &["--schedule", "linear", "--prediction", "epsilon"]), 1e-3, "TorchScript");
    close(&run("batch", &pipeline, &["--batch", "5"]), 1e-3, "--batch 5");
    close(&run("threads", &pipeline, &["--threads", "1"]), 1e-3, "--threads 1");
    close(&run("double", &pipeline, &["--dtype", "f64"]), 1e-3, "float64");
    assert_eq!(native, run("again", &pipeline, &[]));
    assert_ne!(native, run("seed", &pipeline, &["--seed", "1"]));
}

/// cos(0.01 t) of a batch's first t: rows of two timesteps must not share a batch.
#[test]
fn a_module_with_one_time_per_batch_gets_one_time_per_batch() {
    let (folder, _) = fresh("");
    let run = |name: &str, batch: &str| {
        let script = fixture(&format!("torchscript/{name}.pt"));
        let common = ["--data", "digits", "--timesteps", "0,100,200,300", "--samples", "6", "--quiet", "--out", name];
        succeed(folder.path(), &[&["measure", &script, "--batch", batch], &common[..]].concat());
        means(&report(&folder.path().join(name)), 0)
    };
    for (a, b) in run("one_time", "24").iter().zip(run("plain", "24")) {
        // The same weights and the same function where rows are asked together.
        assert!((a.1 / b.1 - 1.0).abs() < 1e-4, "{a:?} {b:?}");
    }
}

#[test]
fn sharing_is_zero_inside_and_jumps_at_boundaries() {
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let arguments = ["compare", &pipeline, &pipeline, "--share", "n=5,until=100", "--data", "digits", "--samples", "8"];
    let files = ["--timesteps", "0..101", "--out", "out", "--quiet"];
    succeed(folder.path(), &[&arguments[..], &files].concat());
    let report = report(&out);
    for (t, k) in means(&report, 1) {
        let crosses = (t as i64 + 1) % 20 == 0 || t >= 100.0;
        assert_eq!(k > 0.0, crosses, "at {t}: {k}");
    }
    assert!(means(&report, 0).iter().all(|(_, k)| *k > 0.0));
    assert_eq!(report["models"][1]["summary"][0]["near_zero"]["total_variation_exact"], true);
    // The baseline keeps its own timesteps: beyond the window both are one model, on identical x_t.
    let last = report["comparison"].as_array().unwrap().last().unwrap();
    assert_eq!((last["ratio"].as_f64(), last["ratio_ci_low"].as_f64()), (Some(1.0), Some(1.0)));
    let check = |fraction: &str| {
        let more = ["--timesteps", "0..101", "--out", "out", "--quiet", "--require-reduction", fraction];
        lipscope(folder.path(), &[&arguments[..], &more].concat()).status.code()
    };
    assert_eq!((check("0"), check("1")), (Some(0), Some(1)));
}

#[test]
fn jumps_between_timesteps_are_said_and_hide_no_number() {
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let arguments = ["compare", &pipeline, &pipeline, "--share", "n=5,until=100", "--data", "digits", "--samples", "8"];
    let files = ["--timesteps", "0..101/5,120..999/80", "--out", "out", "--require-reduction", "0.1"];
    let output = lipscope(folder.path(), &[&arguments[..], &files].concat());
    let (told, read) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("no number here holds the jumps at 19→20, 39→40, …") && told.contains("cannot be"), "{told}");
    assert!(read.contains("--timesteps auto measures it") && !read.contains("times the peak"), "{read}");
    let report = report(&out);
    let near = &report["models"][1]["summary"][0]["near_zero"];
    assert_eq!(near["unmeasured_jumps"], serde_json::json!([20.0, 40.0, 60.0, 80.0, 100.0]));
    assert!(near["total_variation"].is_null(), "{near}");
    assert!(report["models"][0]["summary"][0]["near_zero"]["total_variation"].is_f64());
}

#[test]
fn a_wanted_error_is_reached_with_samples_that_do_not_depend_on_the_batch() {
    let (folder, _) = fresh("");
    let pipeline = fixture("torchscript/pipeline");
    let run = |name: &str, batch: &str| {
        let common = ["--data", "digits", "--rel-error", "0.05", "--timesteps", "0,10,500", "--quiet"];
        succeed(folder.path(), &[&["measure", &pipeline, "--out", name, "--batch", batch], &common[..]].concat());
        let report = report(&folder.path().join(name));
        let points = report["models"][0]["curves"][0]["points"].as_array().unwrap().clone();
        for point in &points {
            assert!(point["std_error"].as_f64().unwrap() <= 0.05 * point["mean"].as_f64().unwrap());
        }
        points.iter().map(|point| point["samples"].as_u64().unwrap()).collect::<Vec<u64>>()
    };
    assert_eq!(run("a", "64"), run("b", "7"));
}

#[test]
fn exact_derivatives_agree_with_small_secants() {
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let common =
        ["measure", &pipeline, "--data", "digits", "--timesteps", "3,40,400", "--samples", "8", "--out", "out"];
    let small = ["--quantity", "both", "--dt", "0.0001", "--dtype", "f64", "--quiet"];
    succeed(folder.path(), &[&common[..], &small].concat());
    let report = report(&out);
    let mean = |curve: usize, i: usize| report["models"][0]["curves"][curve]["points"][i]["mean"].as_f64().unwrap();
    for i in 0..3 {
        // First order in dt: 1e-4 steps of a curve that bends within a step or so.
        assert!((mean(0, i) / mean(1, i) - 1.0).abs() < 1e-3, "{} {}", mean(0, i), mean(1, i));
    }
}

/// Where no signal is left the log-SNR is −∞: nothing per log-SNR exists there, and it is no 0.
#[test]
fn timesteps_without_a_coordinate_are_left_out_and_named() {
    let (folder, out) = fresh("out");
    let theory = ["theory", "--data", "gaussian:mean=0,std=0.5,dim=1", "--schedule", "linear-zero-terminal-snr"];
    let over = |timesteps| [&theory[..], &["--axis", "log-snr", "--out", "out", "--timesteps", timesteps]].concat();
    let output = lipscope(folder.path(), &over("900,998"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("1 timestep was left out: log-snr is infinite there"), "{said}");
    let found = means(&report(&out), 0);
    assert!(matches!(found[..], [(900.0, mean)] if mean > 0.0), "{found:?}");
    common::refuse(folder.path(), &over("998"), &["log-snr is infinite at these timesteps", "--axis step"]);
    clear(folder.path());
    let steps = [&theory[..], &["--out", "out", "--timesteps", "998", "--quiet"]].concat();
    succeed(folder.path(), &steps);
    assert!(means(&report(&out), 0)[0].1 > 0.0);
}
