//! Text on the terminal. Colour only where the stream is a terminal and `NO_COLOR` is not set; a closed pipe is the end
//! of output, not an error.

use super::Outcome;
use crate::error::{Error, Result};
use anstyle::{AnsiColor, Style};
use std::io::{ErrorKind, Write};

/// Writes text to stdout as it is.
pub(super) fn print(text: &str) -> Result<Option<Outcome>> {
    let mut stdout = anstream::stdout().lock();
    let ended = if text.ends_with('\n') { "" } else { "\n" };
    match write!(stdout, "{text}{ended}").and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::io("standard output", "writing", &e)),
        _ => Ok(None),
    }
}

/// One paragraph on stderr behind a red word.
pub(super) fn complain(word: &str, message: &str) {
    say(AnsiColor::Red.on_default().bold(), word, message);
}

/// One paragraph on stderr behind a yellow word.
pub(super) fn warn(message: &str) {
    say(AnsiColor::Yellow.on_default().bold(), "warning", message);
}

/// A plain line on stderr.
pub(super) fn note(message: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{message}");
}

fn say(style: Style, word: &str, message: &str) {
    let message = message.trim_end();
    let stop = if message.ends_with(['.', '!', '?', ')']) { "" } else { "." };
    // Nothing can be done where stderr itself is closed.
    let _ = writeln!(anstream::stderr().lock(), "{style}{word}:{style:#} {message}{stop}");
}

/// Width of the terminal, or 100 columns where there is none.
pub(super) fn width() -> u16 {
    console::Term::stdout().size_checked().map_or(100, |(_, columns)| columns.clamp(60, 120))
}
