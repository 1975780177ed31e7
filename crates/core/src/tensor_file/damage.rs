//! What is said about a file that is not what it should be, whatever words it holds.

use crate::error::Error;
use std::path::Path;

/// A file that is not what it should be.
pub(super) fn damaged(path: &Path, problem: impl Into<String>) -> Error {
    const LONGEST: usize = 2_000;
    let next = "Check that the file is complete and comes from where you think; nothing of it was run.";
    let mut problem = printable(&problem.into());
    if let Some((end, _)) = problem.char_indices().nth(LONGEST) {
        problem.truncate(end);
        problem.push('…');
    }
    Error::file(path, problem, next)
}

/// Text of a file as it can be shown: what a terminal would obey, or what would turn the text around, is escaped.
pub fn printable(text: &str) -> String {
    let turns = |c| ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if c.is_control() || turns(c) => shown.extend(c.escape_default()),
            _ => shown.push(c),
        }
    }
    shown
}
