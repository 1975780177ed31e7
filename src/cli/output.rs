//! What the commands say on the terminal.

use super::Outcome;
use super::terminal;
use crate::error::{Error, Result};
use anstyle::AnsiColor;
use std::io::Write;

pub(super) use terminal::complain;

/// Writes text to stdout as it is.
pub(super) fn print(text: &str) -> Result<Option<Outcome>> {
    terminal::print(text).map(|()| None).map_err(|e| Error::io("standard output", "writing", &e))
}

/// One paragraph on stderr behind a yellow word.
pub(super) fn warn(message: &str) {
    terminal::say(AnsiColor::Yellow.on_default().bold(), "warning", message);
}

/// A plain line on stderr.
pub(super) fn note(message: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{message}");
}

/// Width of the terminal, or 100 columns where there is none.
pub(super) fn width() -> u16 {
    console::Term::stdout().size_checked().map_or(100, |(_, columns)| columns.clamp(60, 120))
}
