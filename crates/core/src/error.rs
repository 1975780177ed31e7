//! The one error type: what was seen, what is allowed, what to do next.
//!
//! A message is one paragraph that a user can act on. The command line prints it and exits with [`Error::exit_code`].

use std::path::{Path, PathBuf};

/// Anything that ends a command early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument that cannot be used.
    #[error("{name} is {seen}, but {allowed}. {next}")]
    Argument {
        /// The argument as it is typed, such as `--timesteps`.
        name: String,
        /// The value that was given.
        seen: String,
        /// What would have been accepted.
        allowed: String,
        /// What to do about it.
        next: String,
    },
    /// A file or folder that cannot be read, written or understood.
    #[error("{}: {problem}. {next}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        next: String,
    },
    /// Things that are each valid but do not fit together.
    #[error("{problem}. {next}")]
    Mismatch {
        /// What does not fit, with both sides named.
        problem: String,
        /// What to do about it.
        next: String,
    },
    /// Something that this version does not do.
    #[error("{what} is not supported: {allowed}. {next}")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// What is supported.
        allowed: String,
        /// What to do about it.
        next: String,
    },
    /// libtorch refused an operation.
    #[error("libtorch failed while {doing}: {message}. {next}")]
    Torch {
        /// What was being done.
        doing: String,
        /// The first line of libtorch's message.
        message: String,
        /// What to do about it.
        next: String,
    },
    /// Units of a run that nobody has finished.
    #[error("{}: {problem}. {next}", folder.display())]
    Missing {
        /// The folder of the run.
        folder: PathBuf,
        /// Which units.
        problem: String,
        /// Who does them.
        next: String,
    },
    /// No error: a part of the work is done, and others do the rest.
    #[error("{message}")]
    Part {
        /// What is done, and how all of it is put together.
        message: String,
    },
    /// Ctrl-C; what was finished is on disk.
    #[error("interrupted. {next}")]
    Interrupted {
        /// How to go on.
        next: String,
    },
}

/// A result with lipscope's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The process exit status that goes with this error: 130 after an interrupt, 0 for a part of the work, else 2.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Interrupted { .. } => 130,
            Error::Part { .. } => 0,
            _ => 2,
        }
    }

    /// Whether libtorch found no memory for what it was asked.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Error::Torch { message, .. } if is_out_of_memory(message))
    }

    /// What was wrong alone, without the file and what to do next: for a message that says more around it.
    pub fn problem(&self) -> String {
        match self {
            Error::File { problem, .. } | Error::Mismatch { problem, .. } | Error::Missing { problem, .. } => {
                problem.clone()
            }
            Error::Unsupported { allowed, .. } => allowed.clone(),
            Error::Torch { doing, message, .. } => format!("libtorch failed while {doing}: {message}"),
            Error::Argument { .. } | Error::Part { .. } | Error::Interrupted { .. } => self.to_string(),
        }
    }

    /// What to do next, alone.
    pub fn next(&self) -> &str {
        match self {
            Error::Argument { next, .. }
            | Error::File { next, .. }
            | Error::Mismatch { next, .. }
            | Error::Unsupported { next, .. }
            | Error::Torch { next, .. }
            | Error::Missing { next, .. }
            | Error::Interrupted { next } => next,
            Error::Part { message } => message,
        }
    }

    /// An argument error; `seen` is quoted.
    pub fn argument(
        name: &str,
        seen: impl std::fmt::Display,
        allowed: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Error::Argument {
            name: name.into(),
            seen: format!("`{}`", quoted(&seen.to_string())),
            allowed: allowed.into(),
            next: next.into(),
        }
    }

    /// A file error.
    pub fn file(path: impl AsRef<Path>, problem: impl Into<String>, next: impl Into<String>) -> Self {
        Error::File { path: path.as_ref().to_path_buf(), problem: problem.into(), next: next.into() }
    }

    /// Two things that do not fit together.
    pub fn mismatch(problem: impl Into<String>, next: impl Into<String>) -> Self {
        Error::Mismatch { problem: problem.into(), next: next.into() }
    }

    /// A feature that is not there.
    pub fn unsupported(what: impl Into<String>, allowed: impl Into<String>, next: impl Into<String>) -> Self {
        Error::Unsupported { what: what.into(), allowed: allowed.into(), next: next.into() }
    }

    /// An I/O error on `path`, while `doing` (such as "reading").
    pub fn io(path: impl AsRef<Path>, doing: &str, source: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let next = match source.kind() {
            ErrorKind::NotFound => "Check the path",
            ErrorKind::PermissionDenied => "Check the permissions, or choose another place",
            ErrorKind::StorageFull => "Free some space, or choose another disk; nothing half-written was left",
            _ => "Check that the file or folder can be used from here",
        };
        Error::file(path, format!("{doing} failed ({source})"), format!("{next}."))
    }

    /// A libtorch error, while `doing`; only the telling line of its message `text` is kept.
    pub fn torch(doing: impl Into<String>, text: &str) -> Self {
        let message = torch_message(text);
        let next = if is_out_of_memory(&message) {
            "Use a smaller --batch, or another --device."
        } else {
            "If the shapes and the dtype are right, please report this with the command you ran."
        };
        Error::Torch { doing: doing.into(), message, next: next.into() }
    }
}

/// How CUDA's and the CPU's allocators put it, and oneDNN, which does not say why.
fn is_out_of_memory(message: &str) -> bool {
    // The last is what cuBLAS and cuDNN say.
    ["out of memory", "can't allocate memory", "could not create a primitive", "ALLOC_FAILED"]
        .iter()
        .any(|words| message.contains(words))
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

/// Text of a file as a message quotes it: on one line, with what a terminal would obey escaped, and of a readable length.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 200;
    let shown = printable(text);
    if shown.chars().count() <= LONGEST { shown } else { shown.chars().take(LONGEST).chain(['…']).collect() }
}

/// libtorch's message without its C++ stack: the last line that says something, which for TorchScript is the cause.
pub fn torch_message(text: &str) -> String {
    let before_stack = text.split("Exception raised from").next().unwrap_or(text);
    let before_stack = before_stack.trim_start().trim_start_matches("Internal torch error:");
    let says_something = |line: &&str| {
        let line = line.trim();
        !line.is_empty()
            && !line.starts_with("~~")
            && !line.starts_with("Traceback")
            && !line.chars().all(|c| "~^. <-HERE".contains(c))
    };
    let cause = before_stack
        .lines()
        .find(|line| line.trim_start().starts_with("RuntimeError:") || line.trim_start().starts_with("Error:"))
        .or_else(|| before_stack.lines().find(says_something))
        .unwrap_or("no message");
    let cause = cause.trim().trim_start_matches("RuntimeError:").trim();
    // What is behind the plea of an assertion tells more than the assertion.
    let cause = cause.split_once("please report a bug to PyTorch.").map_or(cause, |(assertion, message)| {
        if message.trim().is_empty() { assertion.trim_end_matches([',', ' ']) } else { message.trim() }
    });
    sentence(cause).trim_end_matches('.').to_string()
}

/// As many whole sentences as fit a message: libtorch goes on with lists of back ends and advice for others.
fn sentence(text: &str) -> String {
    const LONGEST: usize = 200;
    if text.chars().count() <= LONGEST {
        return text.into();
    }
    let start: String = text.chars().take(LONGEST).collect();
    match start.rfind(". ") {
        Some(end) => start.get(..end).unwrap_or_default().into(),
        None => start + "…",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_libtorch_become_a_sentence() {
        let pages = format!(
            "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript (most recent call \
             last):\n    return conv\n           ~~~~ <--- HERE\nRuntimeError: Could not run 'aten::x' with arguments from \
             the 'CUDA' backend. This could be because {}\nException raised from reportError",
            "the operator does not exist ".repeat(40)
        );
        assert_eq!(torch_message(&pages), "Could not run 'aten::x' with arguments from the 'CUDA' backend");
        let assertion =
            "isTuple() INTERNAL ASSERT FAILED at \"ivalue.h\":7, please report a bug to PyTorch. Expected Tuple";
        assert_eq!(torch_message(assertion), "Expected Tuple");
        let silent = "isTuple() INTERNAL ASSERT FAILED at \"ivalue.h\":7, please report a bug to PyTorch. ";
        assert_eq!(torch_message(silent), "isTuple() INTERNAL ASSERT FAILED at \"ivalue.h\":7");
        assert_eq!(torch_message(&"x".repeat(1000)).chars().count(), 201);
    }
}
