//! The part of the command line that needs no libtorch: arguments as typed, help, completions, and the commands that read
//! reports.

pub mod args;
pub mod export;
pub mod inspect;
mod outcome;
pub mod output;
pub mod pages;
pub mod status;
pub mod suggest;
pub mod terminal;

pub use outcome::Outcome;

use crate::error::{Error, Result};
use args::{Cli, Command, ExecutorOptions};
use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::num::{ParseFloatError, ParseIntError};
use std::process::ExitCode;

/// Reads the arguments of this process. Help, version and usage errors end here; a value that is wrong is told as every
/// other error is: what was given, what is allowed, what to do next.
pub fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| match value_error(&error) {
        Some(message) => {
            output::complain("error", &message);
            std::process::exit(2)
        }
        None => error.exit(),
    })
}

/// The paragraph for a value that is wrong; `None` for another error.
fn value_error(error: &clap::Error) -> Option<String> {
    let text = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    if let Some(source) = std::error::Error::source(error) {
        return match source.downcast_ref::<Error>() {
            // The flag as it is typed, whatever the value is called where it is parsed.
            Some(Error::Argument { allowed, next, .. }) => {
                let (flag, seen) = (flag(&text(ContextKind::InvalidArg)?), text(ContextKind::InvalidValue)?);
                Some(Error::argument(&flag, seen, allowed.clone(), next.clone()).to_string())
            }
            Some(own) => Some(own.to_string()),
            None => {
                let allowed = match (source.is::<ParseIntError>(), source.is::<ParseFloatError>()) {
                    (true, _) => "it is a whole number".into(),
                    (_, true) => "it is a number".into(),
                    _ => source.to_string(),
                };
                let (flag, seen) = (flag(&text(ContextKind::InvalidArg)?), text(ContextKind::InvalidValue)?);
                let next = "`lipscope COMMAND --help` lists all arguments.";
                Some(Error::argument(&flag, seen, allowed, next).to_string())
            }
        };
    }
    if error.kind() != ErrorKind::InvalidValue {
        return None;
    }
    let (name, seen, known) =
        (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?, text(ContextKind::ValidValue)?);
    let next = match text(ContextKind::SuggestedValue) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => "Choose one of them.".into(),
    };
    let known: Vec<&str> = known.split(", ").collect();
    let allowed = match known.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("it is {} or {last}", rest.join(", ")),
        _ => format!("it is {}", known.join(", ")),
    };
    Some(Error::argument(&flag(&name), seen, allowed, next).to_string())
}

/// `--axis` of clap's `--axis <AXIS>`.
fn flag(usage: &str) -> String {
    usage.split([' ', '=', '[']).next().unwrap_or(usage).to_string()
}

/// Runs a command that needs no libtorch; `None` for one that does, such as `inspect` of a checkpoint.
pub fn run(cli: &Cli) -> Option<Result<Outcome>> {
    if let Err(refused) = cli.command.executor().map_or(Ok(()), ExecutorOptions::check) {
        return Some(Err(refused));
    }
    let done = match &cli.command {
        Command::Suggest(args) => suggest::run(args, &cli.global),
        Command::Export(args) => export::run(args, &cli.global),
        Command::Status(args) => status::run(args, &cli.global),
        Command::Inspect(args) => inspect::run(args, &cli.global)?,
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
        Ok(Outcome::ToldElsewhere(status)) => ExitCode::from(status),
        Err(Error::Part { message }) => {
            output::note(&message);
            ExitCode::SUCCESS
        }
        Err(error) => {
            output::complain("error", &error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}
