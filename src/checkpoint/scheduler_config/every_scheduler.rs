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
What lipscope does with each key of a scheduler's `scheduler_config.json`:

- *read*: it changes x_t, what the network answers with, or the number that it is told for t;
- *sampling only*: it says how samples are made. It is left out, and `lipscope inspect` lists it;
- any other key is refused by name.

A class of which no schedule or no number for t follows is refused, and `--schedule` with `--prediction` stands in for it: see [the end of \
the page](#refused).\n
| scheduler | read | sampling only |
|---|---|---|
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
    let (mut text, mut refused) = (HEAD.to_string(), Vec::new());
    for (class, keys) in schedulers() {
        if refusal(&class).is_some() {
            refused.push(format!("`{class}`"));
            continue;
        }
        let of = |list: &[&str]| {
            let found: Vec<String> =
                keys.iter().filter(|key| list.contains(&key.as_str())).map(|key| format!("`{key}`")).collect();
            found.join(", ")
        };
        writeln!(text, "| `{class}` | {} | {} |", of(&READ), of(&SAMPLING)).unwrap();
    }
    format!("{text}\n## Refused\n\n{}.\n", refused.join(", "))
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

/// The page has no column for keys that are refused in a class that is not.
#[test]
fn no_class_that_is_read_has_a_key_that_is_not_known() {
    for (class, keys) in schedulers().into_iter().filter(|(class, _)| refusal(class).is_none()) {
        let unknown = keys.iter().find(|key| !READ.contains(&key.as_str()) && !SAMPLING.contains(&key.as_str()));
        assert_eq!(unknown, None, "{class}");
    }
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
