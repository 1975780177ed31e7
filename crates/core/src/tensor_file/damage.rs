//! What is said about a file that is not what it should be, whatever words it holds.

use crate::error::{Error, printable};
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
