//! What lands on disk and on the terminal, and what an interrupt leaves.

mod common;

use common::{fixture, fresh, names, refuse, rendered, report, succeed};
use std::fs;

#[test]
fn a_comparison_writes_everything_that_the_contract_names() {
    let (folder, out) = fresh("out");
    let arguments = ["compare", "ideal:digits", "ideal:digits", "--share", "n=5,until=100", "--samples", "8"];
    let stdout = succeed(folder.path(), &[&arguments[..], &["--plot", "--out", "out"]].concat());
    assert!(stdout.contains("K peaks at t = 0") && !stdout.contains('\u{1b}'), "{stdout}");
    let written = [
        "comparison.csv",
        "curve.csv",
        "lipschitz.pdf",
        "lipschitz.png",
        "lipschitz.svg",
        "memorisation.csv",
        "report.json",
    ];
    assert_eq!(rendered(&out), written);
    let header = |name: &str| fs::read_to_string(out.join(name)).unwrap().lines().next().unwrap().to_string();
    assert_eq!(
        header("curve.csv"),
        "model,quantity,estimator,timestep,t_next,alpha,sigma,log_snr,samples,mean,std_error,ci_low,ci_high,p05,p50,\
         p95,max,non_finite,block"
    );
    assert_eq!(
        header("comparison.csv"),
        "model,timestep,t_next,quantity,baseline,candidate,ratio,ratio_ci_low,ratio_ci_high,block"
    );
    let report = report(&out);
    assert_eq!((report["complete"].as_bool(), report["schema_version"].as_u64()), (Some(true), Some(1)));
    assert_eq!(report["provenance"]["plan"]["seed"], 0);
    assert!(fs::read(out.join("lipschitz.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn json_is_alone_on_stdout_and_a_dry_run_writes_nothing() {
    let (folder, _) = fresh("");
    let pipeline = fixture("torchscript/pipeline");
    let common = ["measure", &pipeline, "--data", "digits", "--timesteps", "0,5", "--samples", "4"];
    let plan = succeed(folder.path(), &[&common[..], &["--dry-run"]].concat());
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["timesteps"], serde_json::json!([0.0, 5.0]));
    assert!(names(folder.path()).is_empty());
    let printed = succeed(folder.path(), &[&common[..], &["--json"]].concat());
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed, report(&folder.path().join("lipscope-out/measure-pipeline")));
    assert_eq!(printed["models"][0]["model"]["sha256"].as_str().map(str::len), Some(64));
}

#[test]
fn a_checkpoints_own_word_is_taken_and_may_be_overridden() {
    let (folder, _) = fresh("");
    let declared = fixture("torchscript/declared.pt");
    let model = |more: &[&str]| {
        let plan = succeed(folder.path(), &[&["measure", &declared, "--dry-run"], more].concat());
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        let model = &plan["models"][0];
        (model["schedule"].as_str().unwrap().to_string(), model["prediction"].as_str().unwrap().to_string())
    };
    assert_eq!(model(&[]), ("cosine".into(), "v".into()));
    assert_eq!(model(&["--schedule", "linear"]), ("linear".into(), "v".into()));
    for file in ["integer_time.pt", "tuple.pt", "learned_variance.pt"] {
        let path = fixture(&format!("torchscript/{file}"));
        succeed(folder.path(), &["measure", &path, "--data", "digits", "--timesteps", "0,9", "--samples", "3", "-q"]);
    }
    let shown = succeed(folder.path(), &["inspect", &declared]);
    assert!(shown.contains("torchscript") && shown.contains("cosine") && shown.contains("conv.weight"), "{shown}");
    assert!(succeed(folder.path(), &["inspect", &fixture("torchscript/state_dict.pt")]).contains("conv.weight"));
}

/// The report follows from plan and units: it can be lost, and the same command gives it again without measuring.
#[test]
fn a_lost_report_is_made_again_from_the_units() {
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let common = ["compare", &pipeline, "ideal:digits", "--data", "digits", "--timesteps", "0..6", "--samples", "6"];
    let arguments = [&common[..], &["--out", "out", "--quiet"]].concat();
    succeed(folder.path(), &arguments);
    let (whole, parts) = (report(&out), names(&out.join("parts")));
    fs::remove_file(out.join("report.json")).unwrap();
    succeed(folder.path(), &[&arguments[..], &["--resume"]].concat());
    let again = report(&out);
    for key in ["models", "comparison", "complete", "warnings"] {
        assert_eq!(again[key], whole[key], "{key}");
    }
    assert_eq!(names(&out.join("parts")), parts, "nothing was measured again");
    refuse(folder.path(), &[&arguments[..], &["--seed", "5"]].concat(), &["another plan", "`seed` differs"]);
    assert_eq!(names(&out.join("parts")), parts);
}

/// Case by case: two models of one name, in two folders, and another seed.
#[test]
fn default_folders_do_not_collide() {
    let (folder, _) = fresh("");
    let pipeline = fixture("torchscript/pipeline.pt");
    for name in ["a", "b"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::copy(&pipeline, folder.path().join(name).join("model.pt")).unwrap();
    }
    let common = ["--data", "digits", "--timesteps", "0", "--samples", "2", "-q"];
    let measure = |path: &str, more: &[&str]| {
        succeed(folder.path(), &[&["measure", path][..], &common, more].concat());
        names(&folder.path().join("lipscope-out"))
    };
    assert_eq!(measure("a/model.pt", &[]), ["measure-model"]);
    assert_eq!(measure("b/model.pt", &[]), ["measure-model"], "the same weights and the same plan");
    assert_eq!(measure("a/model.pt", &["--seed", "1"]), ["measure-model", "measure-model-2"]);
    assert_eq!(measure("a/model.pt", &["--share", "n=2,until=10"]).len(), 3);
    assert_eq!(measure("a/model.pt", &["--seed", "1"]).len(), 3);
}

/// Timesteps that `auto` adds follow from the numbers, so that the same command finds all of its units again.
#[test]
fn auto_refines_where_the_curve_bends_and_again_alike() {
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let common = ["measure", &pipeline, "--data", "digits", "--samples", "8", "--tolerance", "0.3"];
    let arguments = [&common[..], &["--out", "out", "--quiet"]].concat();
    succeed(folder.path(), &arguments);
    let whole = report(&out);
    let points = |report: &serde_json::Value| report["models"][0]["curves"][0]["points"].as_array().unwrap().clone();
    let timesteps: Vec<f64> = points(&whole).iter().map(|point| point["timestep"].as_f64().unwrap()).collect();
    assert!(timesteps.windows(2).all(|pair| pair[0] < pair[1]), "{timesteps:?}");
    let first = whole["provenance"]["plan"]["timesteps"].as_array().unwrap().len();
    let (checked, within) = (&whole["resolution"]["checked"], &whole["resolution"]["within"]);
    assert!(checked.as_u64().unwrap() as usize == timesteps.len() - first && within.as_u64() <= checked.as_u64());
    assert!(timesteps.len() > first, "nothing was checked");
    fs::remove_file(out.join("report.json")).unwrap();
    succeed(folder.path(), &arguments);
    let resumed = report(&out);
    assert_eq!(points(&resumed), points(&whole));
    assert_eq!(resumed["resolution"], whole["resolution"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_a_valid_partial_report() {
    use std::process::{Command, Stdio};
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let mut child = Command::new(env!("CARGO_BIN_EXE_lipscope"))
        .current_dir(folder.path())
        .args(["measure", &pipeline, "--data", "digits", "--samples", "100", "--timesteps", "all", "--out", "out"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first partial report says that measuring is under way.
    let began = std::time::Instant::now();
    while !out.join("report.json").exists() && began.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let partial = report(&out);
    assert_eq!(partial["complete"], false);
    let measured = partial["models"][0]["curves"][0]["points"].as_array().unwrap().len();
    assert!(measured > 0);
    let said = succeed(folder.path(), &["inspect", "out"]);
    assert!(said.contains("report, of lipscope measure") && said.contains("complete         no"), "{said}");
    assert!(said.contains(&format!("{measured} of 999 measured (t = 0 … 998)")), "{said}");
    assert!(said.contains("repeat its command: lipscope measure … --out out"), "{said}");
}

/// The reading end is closed before the program starts, so that its first write fails whatever a pipe holds.
#[test]
fn a_closed_pipe_is_no_error() {
    let (folder, _) = fresh("");
    let pipeline = fixture("torchscript/pipeline");
    for arguments in [&["inspect", &pipeline, "--json"][..], &["completions", "bash"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lipscope"));
        let output = command.current_dir(folder.path()).args(arguments).stdout(writer).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.is_empty() && output.status.success(), "{arguments:?}: {:?} {stderr}", output.status);
    }
}
