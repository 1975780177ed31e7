//! `lipscope export` as users see it.

mod common;

use common::{fresh, lipscope, names, refuse, succeed};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const STUDY: &str = "analysis/mnist-first-look";

fn study(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(STUDY).join(name)
}

/// A folder with a study's report alone.
fn with_report() -> (tempfile::TempDir, PathBuf) {
    let (folder, run) = fresh("run");
    fs::create_dir(&run).unwrap();
    fs::copy(study("report.json"), run.join("report.json")).unwrap();
    (folder, run)
}

/// A report of one table with one chart.
fn tidy() -> Value {
    json!({
        "schema_version": 1, "complete": true, "command": "stability", "title": "Stability",
        "provenance": {
            "plan": {"seed": 3}, "versions": {"lipscope": "0.1.0"}, "device": "cpu", "threads": 1,
            "began": "2026-01-01T00:00:00Z", "wall_seconds": 1.0
        },
        "tables": [{
            "name": "stability", "title": "Stability",
            "columns": [{"name": "model", "about": "label"}, {"name": "timestep", "about": "t"}, {"name": "change", "about": "Δx₀"}],
            "rows": [["DDPM", 1, 0.5], ["DDPM", 10, 0.25], ["E-TSDM", 1, 0.125], ["E-TSDM", 10, null]]
        }],
        "charts": [{
            "name": "change", "title": "Change of x₀", "table": "stability", "series": "model",
            "x": {"column": "timestep", "label": "timestep t", "log": true}, "y": {"column": "change", "label": "‖Δx₀‖"}
        }],
        "reading": ["It is what it is."], "warnings": []
    })
}

#[test]
fn everything_is_written_beside_the_report_and_is_what_the_run_wrote() {
    let (folder, run) = with_report();
    let said = succeed(folder.path(), &["export", "run"]);
    assert!(said.contains("report.html") && said.contains("9 files"), "{said}");
    let all = [
        "comparison.csv",
        "comparison.parquet",
        "curve.csv",
        "curve.parquet",
        "lipschitz.pdf",
        "lipschitz.png",
        "lipschitz.svg",
        "report.html",
        "report.ipynb",
        "report.json",
    ];
    assert_eq!(names(&run), all);
    for name in ["curve.csv", "comparison.csv", "lipschitz.svg", "report.json"] {
        assert!(
            fs::read(run.join(name)).unwrap() == fs::read(study(name)).unwrap(),
            "{name} differs from the run's own"
        );
    }
}

#[test]
fn formats_folder_and_title_are_chosen() {
    let (folder, run) = with_report();
    let title = "A <b>title</b>";
    succeed(
        folder.path(),
        &["export", "run/report.json", "--to", "html,svg", "--out", "new/deep", "--title", title, "-q"],
    );
    assert_eq!(names(&folder.path().join("new/deep")), ["lipschitz.svg", "report.html"]);
    let page = fs::read_to_string(folder.path().join("new/deep/report.html")).unwrap();
    assert!(page.contains("<h1>A &lt;b&gt;title&lt;/b&gt;</h1>"));
    assert_eq!(names(&run), ["report.json"]);
}

#[test]
fn a_report_of_tables_is_exported_alike() {
    let (folder, _) = fresh("");
    fs::write(folder.path().join("report.json"), tidy().to_string()).unwrap();
    succeed(folder.path(), &["export", "report.json", "--to", "csv,notebook,svg"]);
    assert_eq!(names(folder.path()), ["change.svg", "report.ipynb", "report.json", "stability.csv"]);
    let csv = fs::read_to_string(folder.path().join("stability.csv")).unwrap();
    assert_eq!(csv, "model,timestep,change\nDDPM,1,0.5\nDDPM,10,0.25\nE-TSDM,1,0.125\nE-TSDM,10,\n");
}

#[test]
fn a_dry_run_says_what_it_would_write() {
    let (folder, run) = with_report();
    let said = succeed(folder.path(), &["export", "run", "--to", "csv", "--out", "new", "--dry-run"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["files"], json!(["curve.csv", "comparison.csv"]));
    assert_eq!(names(&run), ["report.json"]);
    assert!(!folder.path().join("new").exists());
}

#[test]
fn an_interrupted_run_is_exported_with_a_warning() {
    let (folder, run) = with_report();
    let mut report: Value = serde_json::from_str(&fs::read_to_string(run.join("report.json")).unwrap()).unwrap();
    report["complete"] = false.into();
    fs::write(run.join("report.json"), report.to_string()).unwrap();
    let output = lipscope(folder.path(), &["export", "run", "--to", "html"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted run"));
    assert!(fs::read_to_string(run.join("report.html")).unwrap().contains("unfinished run"));
}

#[test]
fn what_is_no_report_is_refused_and_nothing_is_written() {
    let whole = fs::read(study("report.json")).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut report = tidy();
        change(&mut report);
        report.to_string().into_bytes()
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (whole[..whole.len() / 3].to_vec(), "ends too early"),
        (fs::read(study("curve.csv")).unwrap(), "no JSON"),
        (b"\x89PNG\r\n\x1a\n".to_vec(), "no JSON"),
        (Vec::new(), "ends too early"),
        (b"{\"cells\": [], \"nbformat\": 4}".to_vec(), "not a report of lipscope"),
        ("[".repeat(100_000).into_bytes(), "no JSON"),
        (changed(&|r| r["schema_version"] = 2.into()), "schema version 2"),
        (changed(&|r| r["tables"][0]["rows"][1] = json!(["DDPM"])), "1 cells for 3 columns"),
        (changed(&|r| r["tables"][0]["name"] = "../../evil".into()), "no file can be called so"),
        (changed(&|r| r["charts"][0]["name"] = "../evil".into()), "no file can be called so"),
        (changed(&|r| r["charts"][0]["table"] = "none".into()), "which is not there"),
        (changed(&|r| r["charts"][0]["y"]["column"] = "none".into()), "no column `none`"),
        (changed(&|r| r["charts"][0]["y"]["column"] = "model".into()), "holds the word"),
        (changed(&|r| r["tables"][1] = r["tables"][0].clone()), "stability.csv"),
        (changed(&|r| r["charts"] = json!([{}])), "cannot be understood"),
    ];
    for (bytes, says) in cases {
        let (folder, _) = fresh("");
        fs::write(folder.path().join("report.json"), bytes).unwrap();
        refuse(folder.path(), &["export", "report.json"], &[says]);
        assert_eq!(names(folder.path()), ["report.json"], "{says}");
    }
}

#[test]
fn wrong_arguments_are_refused_and_nothing_is_written() {
    let (folder, run) = with_report();
    refuse(folder.path(), &["export", "run", "--to", "docx"], &["--to is `docx`", "notebook"]);
    refuse(folder.path(), &["export", "elsewhere"], &["elsewhere", "reading the report failed"]);
    refuse(folder.path(), &["export", "."], &["report.json", "reading the report failed"]);
    fs::write(folder.path().join("file"), "").unwrap();
    refuse(folder.path(), &["export", "run", "--out", "file/deep"], &["creating the folder failed"]);
    assert_eq!(names(&run), ["report.json"]);
}
