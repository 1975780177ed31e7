//! What becomes of every key of every scheduler of diffusers: `docs/schedulers.md`, which is made from the lists of keys.
//!
//! `LIPSCOPE_WRITE_DOCS=1 cargo test --lib every_scheduler` writes it again.

use super::keys::{OVER_BETA, READ, SAMPLING};
use super::read;
use crate::checkpoint::Overridden;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "# Schedulers of diffusers\n
What lipscope does with each key of each scheduler's `scheduler_config.json`. A class of which a schedule and a number for t \
follow is read; any other is refused, and `--schedule` with `--prediction` stands in for it. Keys of sampling only say how samples \
are made; they are left out, and `lipscope inspect` lists them. A key on neither list is refused by name wherever it stands.\n
| scheduler | read | sampling only | refused |
|---|---|---|---|
";

fn schedulers() -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schedulers/keys.json");
    let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(json["schedulers"].clone()).unwrap()
}

/// Why a class is refused as it is; `None` where it is read.
fn refusal(class: &str) -> Option<String> {
    let config = json!({"_class_name": class});
    read(&config, Path::new("scheduler_config.json"), Overridden::default()).err().map(|error| error.problem())
}

fn table() -> String {
    let mut text = HEAD.to_string();
    for (class, keys) in schedulers() {
        let of = |list: &[&str]| {
            let found: Vec<String> =
                keys.iter().filter(|key| list.contains(&key.as_str())).map(|key| format!("`{key}`")).collect();
            found.join(", ")
        };
        let is_read = refusal(&class).is_none();
        let unknown: Vec<String> = keys
            .iter()
            .filter(|key| !READ.contains(&key.as_str()) && !SAMPLING.contains(&key.as_str()))
            .map(|key| format!("`{key}`"))
            .collect();
        let refused = if is_read { unknown.join(", ") } else { "the class".into() };
        let (read, sampling) = if is_read { (of(&READ), of(&SAMPLING)) } else { Default::default() };
        writeln!(text, "| `{class}` | {read} | {sampling} | {refused} |").unwrap();
    }
    text
}

#[test]
fn the_table_of_every_scheduler_is_that_of_the_lists() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schedulers.md");
    if std::env::var_os("LIPSCOPE_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, table()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), table(), "docs/schedulers.md is not up to date");
}

#[test]
fn every_scheduler_over_beta_is_read_with_all_its_keys() {
    let all = schedulers();
    assert_eq!(all.len(), 48);
    for defaults in &OVER_BETA {
        let keys = all.get(defaults.class).unwrap_or_else(|| panic!("{} is no scheduler of diffusers", defaults.class));
        let unknown = keys.iter().find(|key| !READ.contains(&key.as_str()) && !SAMPLING.contains(&key.as_str()));
        assert_eq!(unknown, None, "{}", defaults.class);
        assert_eq!(refusal(defaults.class), None);
    }
}
