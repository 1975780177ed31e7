//! The part of the command line that needs no libtorch: arguments as typed, help, completions, and the commands that read
//! reports.

pub mod args;
pub mod export;
pub mod output;
pub mod pages;
pub mod suggest;
pub mod terminal;

use crate::error::{Error, Result};
use args::{Cli, Command};
use std::process::ExitCode;

/// What a finished command has to say about its own success.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit 0.
    Done,
    /// Exit 1: an asserted check did not hold.
    CheckFailed(String),
}

/// Runs a command that needs no libtorch; `None` for one that does.
pub fn run(cli: &Cli) -> Option<Result<Outcome>> {
    let done = match &cli.command {
        Command::Suggest(args) => suggest::run(args, &cli.global),
        Command::Export(args) => export::run(args, &cli.global),
        Command::Completions { shell } => output::print(&pages::completions(*shell)),
        Command::Man => pages::man()
            .map_err(|e| Error::io("standard output", "writing the man page", &e))
            .and_then(|page| output::print(&page)),
        _ => return None,
    };
    Some(done.map(|outcome| outcome.unwrap_or(Outcome::Done)))
}

/// Says what went wrong, and gives the exit status: 0 done, 1 an asserted check did not hold, 2 an error, 130 interrupted.
pub fn exit(done: Result<Outcome>) -> ExitCode {
    match done {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::CheckFailed(message)) => {
            output::complain("check failed", &message);
            ExitCode::from(1)
        }
        Err(error) => {
            output::complain("error", &error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}
