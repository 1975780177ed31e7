//! `--attribute`: what lands in the folder and on the terminal, and where it is refused.

mod common;

use common::{fixture, fresh, names, refuse, rendered, report, succeed};
use std::collections::BTreeMap;
use std::fs;

const HEADER: &str = "model,timestep,kind,part,norm,share,share_ci_low,share_ci_high";

/// Rows of attribution.csv: timestep and kind, part, norm and share.
fn rows(out: &std::path::Path) -> Vec<(String, String, f64, f64)> {
    let table = fs::read_to_string(out.join("attribution.csv")).unwrap();
    assert_eq!(table.lines().next(), Some(HEADER));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let [low, share, high] = [cells[6], cells[5], cells[7]].map(|cell| cell.parse::<f64>().unwrap());
        assert!(low <= share && share <= high, "{line}");
        (format!("{} {}", cells[1], cells[2]), cells[3].to_string(), cells[4].parse().unwrap(), share)
    };
    table.lines().skip(1).map(row).collect()
}

#[test]
fn every_part_is_written_drawn_and_read_out() {
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let common = ["measure", &pipeline, "--data", "digits", "--timesteps", "0,9,500", "--samples", "6", "--out", "out"];
    let asked = ["--quantity", "both", "--attribute", "both", "--plot=svg"];
    let stdout = succeed(folder.path(), &[&common[..], &asked].concat());
    assert!(stdout.contains("shares of ∂ε/∂t in per cent, 6 samples at each of 3 timesteps"), "{stdout}");
    assert!(
        stdout.contains("Of ∂ε/∂t below t = 100, ")
            && stdout.contains(" % enters at ")
            && stdout.contains(" comes through ω = "),
        "{stdout}"
    );
    let files = [
        "attribution-frequency-norms.svg",
        "attribution-frequency.svg",
        "attribution-site-norms.svg",
        "attribution-site.svg",
        "attribution.csv",
        "curve.csv",
        "lipschitz.svg",
        "report.json",
    ];
    assert_eq!(rendered(&out), files);
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    let rows = rows(&out);
    for (at, _, norm, share) in &rows {
        assert!(*norm >= 0.0);
        *sums.entry(at.clone()).or_default() += share;
    }
    assert_eq!(sums.len(), 6);
    // Shares are sums over float32 tensors; parts may be many times the total.
    assert!(sums.values().all(|sum| (sum - 1.0).abs() < 1e-4), "{sums:?}");
    assert!(rows.iter().any(|(_, part, ..)| part.starts_with("mid_block.resnets.")), "{rows:?}");
    let section = &report(&out)["models"][0]["attribution"];
    assert_eq!(section["samples"], 6);
    assert_eq!(section["rows"].as_array().unwrap().len(), rows.len());
    // One pass for the total, and one for each part.
    assert_eq!(section["function_evaluations"], 18 * (rows.len() / 3 + 1));
    let text = succeed(folder.path(), &["export", "out", "--to", "html,notebook,csv", "--out", "again"]);
    assert!(text.contains("attribution.csv"), "{text}");
    let again = |name: &str| fs::read(folder.path().join("again").join(name)).unwrap();
    assert_eq!(again("attribution.csv"), fs::read(out.join("attribution.csv")).unwrap());
    assert!(
        String::from_utf8(again("report.ipynb")).unwrap().contains("part_shares(attribution_rows, kind=\\\"site\\\")")
    );
}

/// Without the option there is no section; asked for later, it is added to the finished curve, which stays as it is.
#[test]
fn it_is_added_to_a_finished_curve() {
    let (folder, out) = fresh("out");
    let pipeline = fixture("torchscript/pipeline");
    let quantity = ["--quantity", "derivative", "--out", "out", "-q"];
    let common = [&["measure", &pipeline, "--data", "digits", "--timesteps", "3,9", "--samples", "2"], &quantity[..]];
    succeed(folder.path(), &common.concat());
    let (before, curve) = (report(&out), fs::read(out.join("curve.csv")).unwrap());
    assert!(before["models"][0].get("attribution").is_none());
    assert_eq!(rendered(&out), ["curve.csv", "report.json"]);
    succeed(folder.path(), &[&common.concat()[..], &["--attribute", "site"]].concat());
    let after = report(&out);
    assert_eq!(after["models"][0]["curves"], before["models"][0]["curves"]);
    assert_eq!(fs::read(out.join("curve.csv")).unwrap(), curve);
    let rows = after["models"][0]["attribution"]["rows"].as_array().unwrap();
    assert!(rows.len() > 4 && rows.iter().all(|row| row["kind"] == "site"));
}

#[test]
fn what_has_no_parts_is_refused_before_anything_is_measured() {
    let (folder, _) = fresh("");
    let (pipeline, module) = (fixture("torchscript/pipeline"), fixture("torchscript/pipeline.pt"));
    let parts = ["--quantity", "derivative", "--attribute", "both"];
    let refused = |command: &[&str], says: &[&str]| refuse(folder.path(), &[command, &parts].concat(), says);
    refused(&["measure", &module, "--data", "digits"], &["--attribute for pipeline", "cannot be reached"]);
    refused(&["compare", &pipeline, &module, "--data", "digits"], &["--attribute for pipeline", "cannot be reached"]);
    refused(&["measure", "ideal:digits"], &["a closed form has no places where t enters"]);
    refused(&["theory", "--data", "digits"], &["`theory` has none", "lipscope measure CKPT"]);
    refused(&["measure", &pipeline, "--data", "digits", "--of", "score"], &["--attribute with --of score"]);
    let secant = ["measure", &pipeline, "--data", "digits", "--attribute", "site"];
    refuse(
        folder.path(),
        &secant,
        &["tells ∂ε/∂t apart, which is not measured", "Add --quantity derivative, or both."],
    );
    assert!(names(folder.path()).is_empty());
}
