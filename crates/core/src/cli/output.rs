//! What the commands say on the terminal.

use super::outcome::Outcome;
use super::terminal;
use crate::error::{Error, Result};
use anstyle::AnsiColor;
use serde::Serialize;
use std::io::Write;

pub use crate::report::json;
pub use terminal::complain;

/// Writes text to stdout as it is.
pub fn print(text: &str) -> Result<Option<Outcome>> {
    terminal::print(text).map(|()| None).map_err(|e| Error::io("standard output", "writing", &e))
}

/// Writes a value to stdout as JSON.
pub fn print_json(value: &impl Serialize) -> Result<Option<Outcome>> {
    print(&json(value)?)
}

/// One paragraph on stderr behind a yellow word.
pub fn warn(message: &str) {
    terminal::say(AnsiColor::Yellow.on_default().bold(), "warning", message);
}

/// A plain line on stderr.
pub fn note(message: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{message}");
}

/// A line for each text, which on a terminal is broken between words.
pub fn paragraphs(texts: &[String]) -> String {
    let broken = |text: &String| match console::Term::stdout().is_term() {
        true => textwrap::fill(text, usize::from(width())),
        false => text.clone(),
    };
    texts.iter().map(broken).collect::<Vec<_>>().join("\n")
}

/// Width of the terminal, or 100 columns where there is none.
pub fn width() -> u16 {
    console::Term::stdout().size_checked().map_or(100, |(_, columns)| columns.clamp(60, 120))
}
