//! `notebooks-export/` is what `./x notebooks` writes from `analysis/`, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder, by its path there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|e| panic!("{}: {e}", next.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_committed_notebooks_are_those_of_the_committed_reports() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("again");
    let mut command = Command::new("python3");
    command
        .arg(root().join("tools/notebooks.py"))
        .args(["--program", env!("CARGO_BIN_EXE_lipscope"), "--out"])
        .arg(&out);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (committed, again) = (files(&root().join("notebooks-export")), files(&out));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&committed), names(&again), "run ./x notebooks");
    for (name, bytes) in &again {
        assert!(committed[name] == *bytes, "{} is not what the report gives: run ./x notebooks", name.display());
    }
}

#[test]
fn every_report_has_its_page_and_notebook_of_a_sane_size() {
    let committed = files(&root().join("notebooks-export"));
    let index = String::from_utf8(committed[Path::new("README.md")].clone()).unwrap();
    let reports = files(&root().join("analysis")).into_keys().filter(|path| path.ends_with("report.json"));
    let folders: Vec<PathBuf> = reports.map(|path| path.parent().unwrap().to_path_buf()).collect();
    assert!(!folders.is_empty());
    for folder in folders {
        for name in ["report.html", "report.ipynb"] {
            let path = folder.join(name);
            assert!(committed[&path].len() < 2_000_000, "{} is large", path.display());
            assert!(index.contains(&format!("({})", path.display())), "{} is not in the index", path.display());
        }
    }
}
