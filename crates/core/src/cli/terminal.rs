//! Text on the terminal. Colour only where the stream is a terminal and `NO_COLOR` is not set; a closed pipe is the end
//! of output, not an error.

use anstyle::{AnsiColor, Style};
use std::io::{ErrorKind, Result, Write};

/// Writes text to stdout as it is.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = anstream::stdout().lock();
    let ended = if text.ends_with('\n') { "" } else { "\n" };
    match write!(stdout, "{text}{ended}").and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(e),
        _ => Ok(()),
    }
}

/// One paragraph on stderr behind a red word.
pub fn complain(word: &str, message: &str) {
    say(AnsiColor::Red.on_default().bold(), word, message);
}

/// One paragraph on stderr behind a word.
pub fn say(style: Style, word: &str, message: &str) {
    let message = message.trim_end();
    let stop = if message.ends_with(['.', '!', '?', ')']) { "" } else { "." };
    // Nothing can be done where stderr itself is closed.
    let _ = writeln!(anstream::stderr().lock(), "{style}{word}:{style:#} {message}{stop}");
}
