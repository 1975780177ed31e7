//! The command line: arguments as typed → a resolved plan → the job → files and text. Only this module touches the
//! terminal.

mod args;
mod clean_samples;
mod compare;
mod condition;
mod data;
mod demo;
mod doctor;
mod evaluate;
mod export;
mod inspect;
mod job;
mod latents;
mod measure;
mod model;
mod output;
mod pages;
mod plan;
mod prepare;
mod progress;
mod record;
mod reproduce;
mod rounding;
mod said;
mod sample;
mod stability;
mod suggest;
mod terminal;
mod theory;
mod train;

use crate::error::{Error, Result};
use crate::train::variant::catalogue;
use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

/// What a finished command has to say about its own success.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Exit 0.
    Done,
    /// Exit 1: an asserted check did not hold.
    CheckFailed(String),
}

/// Runs the program `lipscope-engine`: 0 done, 1 an asserted check did not hold, 2 an error, 130 interrupted.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    crate::device::keep_freed_memory();
    match run(&cli) {
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

fn run(cli: &Cli) -> Result<Outcome> {
    let global = &cli.global;
    match &cli.command {
        Command::Measure(args) => measure::run(args, global),
        Command::Compare(args) => compare::run(args, global),
        Command::Theory(args) => theory::run(args, global),
        Command::Train(args) => train::run(args, global),
        Command::Sample(args) => sample::run(args, global),
        Command::Evaluate(args) => evaluate::run(args, global),
        Command::Stability(args) => stability::run(args, global),
        Command::Suggest(args) => suggest::run(args, global),
        Command::Reproduce(args) => reproduce::run(args, global),
        Command::Export(args) => export::run(args, global),
        Command::Demo(args) => demo::run(args, global),
        Command::Inspect(args) => inspect::run(args, global),
        Command::Doctor => doctor::run(global),
        Command::Completions { shell } => output::print(&pages::completions(*shell)),
        Command::Man => {
            let page = pages::man().map_err(|e| Error::io("standard output", "writing the man page", &e))?;
            output::print(&page)
        }
    }
    .map(|done| done.unwrap_or(Outcome::Done))
}
