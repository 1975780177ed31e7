//! Units by names that a reader knows, and what to say where some are missing.

use super::{Invocation, Survey};
use crate::error::Error;
use std::path::Path;

/// Names that are spelled out.
const NAMED: usize = 12;

/// Units of one kind, such as `t = 0, 1, 2`.
pub fn name(kind: &str, keys: &[impl AsRef<str>]) -> String {
    let (word, keys): (String, Vec<&str>) = match kind {
        "points" => ("t = ".into(), keys.iter().flat_map(|key| key.as_ref().split(' ')).collect()),
        "stability" => ("t = ".into(), keys.iter().map(AsRef::as_ref).collect()),
        kind => (format!("{kind} "), keys.iter().map(AsRef::as_ref).collect()),
    };
    let named = keys.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = if keys.len() > NAMED { format!(" and {} more", keys.len() - NAMED) } else { String::new() };
    format!("{word}{named}{more}")
}

/// The error for a folder in which units are missing.
pub(super) fn refused(folder: &Path, missing: &[(String, String)], survey: Option<&Survey>) -> Error {
    let count = if missing.len() == 1 { "1 unit is".into() } else { format!("{} units are", missing.len()) };
    let groups = missing.chunk_by(|a, b| a.0 == b.0).map(|group| {
        let keys: Vec<&str> = group.iter().map(|(_, key)| key.as_str()).collect();
        name(&group[0].0, &keys)
    });
    let problem = format!("{count} missing: {}", groups.collect::<Vec<_>>().join("; "));
    let command = Invocation::of(folder).map_or("the command".into(), |own| format!("`{}`", own.into(folder).line()));
    let shards = survey.and_then(Survey::shards_that_lack).map(|(of, which)| {
        let which: Vec<String> = which.iter().map(|index| format!("{index}/{of}")).collect();
        let more = if which.len() > NAMED { ", …" } else { "" };
        format!(", or with --shard {}{more}", which[..which.len().min(NAMED)].join(", "))
    });
    let next = format!("They are measured by {command}{}.", shards.unwrap_or_default());
    Error::Missing { folder: folder.into(), problem, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timesteps_are_named_as_such() {
        assert_eq!(name("points", &["0 1", "2"]), "t = 0, 1, 2");
        assert_eq!(name("cells", &["a", "b"]), "cells a, b");
        let many: Vec<String> = (0..20).map(|t| t.to_string()).collect();
        assert_eq!(name("points", &many), "t = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more");
    }
}
