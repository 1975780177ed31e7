//! The command line: arguments as typed → a resolved plan → the job → files and text. Only this module touches the
//! terminal.

mod clean_samples;
mod compare;
mod condition;
mod data;
mod demo;
mod doctor;
mod evaluate;
mod inspect;
mod job;
mod latents;
mod measure;
mod model;
mod plan;
mod prepare;
mod progress;
mod record;
mod reproduce;
mod rounding;
mod said;
mod sample;
mod stability;
mod theory;
mod train;

use crate::error::Result;
use args::{Cli, Command};
use lipscope_core::cli::{Outcome, args, output};
use std::process::ExitCode;

/// Runs the program `lipscope-engine`; see [`lipscope_core::cli::exit`] for its exit status.
pub fn main() -> ExitCode {
    let parsed = lipscope_core::cli::parse();
    crate::device::keep_freed_memory();
    lipscope_core::cli::exit(lipscope_core::cli::run(&parsed).unwrap_or_else(|| run(&parsed)))
}

fn run(cli: &Cli) -> Result<Outcome> {
    let global = &cli.global;
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
        Command::Doctor => doctor::run(global),
        Command::Suggest(_) | Command::Export(_) | Command::Completions { .. } | Command::Man => Ok(None),
    };
    done.map(|done| done.unwrap_or(Outcome::Done))
}
