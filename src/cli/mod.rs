//! The command line: arguments as typed → a resolved plan → the job → files and text. Only this module touches the
//! terminal.

mod compare;
mod curves;
mod demo;
mod doctor;
mod evaluate;
mod hub;
mod inspect;
mod measure;
mod merge;
mod present;
mod reproduce;
mod sample;
mod setup;
mod shards;
mod spread;
mod stability;
mod theory;
mod train;
mod watch;

use crate::error::{Error, Result};
use args::{Cli, Command};
use lipscope_core::cli::{Outcome, args};
use std::process::ExitCode;

/// Runs the program `lipscope-engine`; its exit status is that of [`lipscope_core::cli::exit`], and 143 where TERM
/// stopped it.
pub fn main() -> ExitCode {
    let parsed = lipscope_core::cli::parse();
    crate::device::keep_freed_memory();
    let done = lipscope_core::cli::run(&parsed).unwrap_or_else(|| run(&parsed));
    let interrupted = matches!(done, Err(Error::Interrupted { .. }));
    let status = lipscope_core::cli::exit(done);
    match watch::signal().filter(|_| interrupted) {
        Some(signal) => ExitCode::from(128u8.saturating_add(signal as u8)),
        None => status,
    }
}

fn run(cli: &Cli) -> Result<Outcome> {
    let global = &cli.global;
    if global.device.all().len() > 1 && cli.command.output().is_none() {
        let allowed = "only measure, compare, theory, stability and evaluate share their work between devices";
        return Err(Error::argument("--device", &global.device, allowed, "Name one device."));
    }
    // Before processes that would all fetch it.
    hub::fetch(&cli.command, global)?;
    if let Some(of) = spread::count(cli) {
        return spread::run(cli, of);
    }
    if let Some(client) = spread::for_dry_run(cli)? {
        return run(&client);
    }
    let done = match &cli.command {
        Command::Measure(args) => measure::run(args, global),
        Command::Compare(args) => compare::run(args, global),
        Command::Theory(args) => theory::run(args, global),
        Command::Train(args) => train::run(args, global),
        Command::Sample(args) => sample::run(args, global),
        Command::Evaluate(args) => evaluate::run(args, global),
        Command::Stability(args) => stability::run(args, global),
        Command::Reproduce(args) => reproduce::run(args, global),
        Command::Demo(args) => demo::run(args, global),
        Command::Inspect(args) => inspect::run(args, global),
        Command::Merge(args) => return merge::run(args, global),
        Command::Doctor(args) => doctor::run(args, global),
        Command::Suggest(_) | Command::Export(_) | Command::Status(_) | Command::Completions { .. } | Command::Man => {
            Ok(None)
        }
    };
    done.map(|done| done.unwrap_or(Outcome::Done))
}

/// This program as a job starts it: the one that becomes the engine, where it lies beside it.
fn program() -> Result<String> {
    let engine = std::env::current_exe().map_err(|e| Error::io("lipscope", "finding this program", &e))?;
    let front = engine.with_file_name("lipscope");
    Ok(if front.is_file() { front } else { engine }.display().to_string())
}
