//! `measure --rounding`: what lands in the report, the table and the terminal, and where it is refused.

mod common;

use common::{clear, fixture, fresh, names, refuse, rendered, report, succeed};
use std::fs;

const HEADER: &str = "model,quantity,network_dtype,time_embedding_dtype,timestep,samples,median_relative_error,\
                      max_relative_error,mean_norm_relative_error";

#[test]
fn every_combination_is_written_and_read_out() {
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let common =
        ["measure", &pipeline, "--data", "digits", "--timesteps", "0,500,998", "--samples", "4", "--out", "out"];
    let stdout = succeed(folder.path(), &[&common[..], &["--rounding"]].concat());
    assert!(stdout.contains("pipeline: rounding") && stdout.contains("rounding.csv"), "{stdout}");
    assert!(stdout.contains("Rounding at its worst timestep: in float32 throughout"), "{stdout}");
    assert_eq!(rendered(&out), ["curve.csv", "report.json", "rounding.csv"]);
    let table = fs::read_to_string(out.join("rounding.csv")).unwrap();
    assert_eq!(table.lines().next(), Some(HEADER));
    // Three dtypes of either, two quantities, three timesteps.
    assert_eq!(table.lines().count(), 1 + 9 * 2 * 3);
    let lost = "pipeline,secant,f32,bf16,998,4,1.0,1.0,-1.0";
    assert!(table.lines().any(|line| line == lost), "{table}");
    let report = report(&out);
    let section = &report["rounding"];
    assert_eq!((section["samples"].as_u64(), section["dt"].as_f64()), (Some(4), Some(1.0)));
    assert_eq!(section["rows"].as_array().map(Vec::len), Some(54));
    assert_eq!(section["unavailable"], serde_json::json!([]));
}

/// Without the flag there is no section; asked for later, it is added to the finished curve.
#[test]
fn it_is_added_to_a_finished_curve() {
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let common =
        ["measure", &pipeline, "--data", "digits", "--timesteps", "3,9", "--samples", "2", "--out", "out", "-q"];
    succeed(folder.path(), &common);
    let before = report(&out);
    assert!(before.get("rounding").is_none());
    succeed(folder.path(), &[&common[..], &["--resume", "--rounding"]].concat());
    let after = report(&out);
    assert_eq!(after["models"][0]["curves"], before["models"][0]["curves"]);
    assert_eq!(
        (after["rounding"]["rows"].as_array().map(Vec::len), after["complete"].as_bool()),
        (Some(36), Some(true))
    );
}

/// An integer t has no dtype, and no derivative: the network's dtype remains.
#[test]
fn integer_timesteps_leave_the_networks_dtype() {
    let (folder, out) = fresh("out");
    let learned = fixture("unet2d/learned_time");
    let module = fixture("torchscript/integer_time.pt");
    let learned = ["measure", &learned, "--data", "model", "--schedule", "linear:timesteps=20"];
    for model in [&learned[..], &["measure", &module, "--data", "digits"]] {
        let options = ["--timesteps", "0,18", "--samples", "2", "--out", "out", "--rounding"];
        clear(folder.path());
        let stdout = succeed(folder.path(), &[model, &options].concat());
        assert!(stdout.contains("time embedding: not varied: it takes t as an integer"), "{stdout}");
        let table = fs::read_to_string(out.join("rounding.csv")).unwrap();
        let dtypes: Vec<&str> = table.lines().skip(1).step_by(2).map(|line| line.split_once(',').unwrap().1).collect();
        assert!(
            dtypes.iter().zip(["f64", "f32", "bf16"]).all(|(row, d)| row.starts_with(&format!("secant,{d},fixed,0")))
        );
        assert_eq!(report(&out)["rounding"]["unavailable"][0]["quantity"], "derivative");
    }
}

#[test]
fn it_is_refused_where_there_is_no_float64_network() {
    let (folder, _) = fresh("");
    let traced = fixture("torchscript/pipeline.pt");
    let says = ["--rounding for pipeline is not supported", "in float64, which cannot be had", "cast to float32"];
    refuse(folder.path(), &["measure", &traced, "--data", "digits", "--rounding"], &says);
    refuse(
        folder.path(),
        &["measure", "ideal:digits", "--rounding"],
        &["a closed form is computed in float64 throughout"],
    );
    assert!(names(folder.path()).is_empty());
}
