//! The command line: arguments as typed → a resolved plan → the job → files and text. Only this module touches the
//! terminal.

mod compare;
mod demo;
mod doctor;
mod evaluate;
mod inspect;
mod measure;
mod present;
mod reproduce;
mod sample;
mod stability;
mod theory;
mod train;
mod watch;

use crate::error::{Error, Result};
use crate::report::Report;
use crate::run::{Measurement, Setup, Store};
use args::{Cli, Command, Global, OutputOptions};
use lipscope_core::cli::{Outcome, args, output};
use std::process::ExitCode;
use watch::Terminal;

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

/// Where a command computes, and its seed.
fn setup(global: &Global) -> Setup {
    Setup { device: global.device, threads: global.threads, seed: global.seed }
}

/// Carries out a measurement, or with `--dry-run` prints its plan: the life of `measure`, `compare` and `theory`.
fn curves(measurement: Measurement, options: &OutputOptions, global: &Global) -> Result<Option<Report>> {
    let plan = measurement.plan().to_json()?;
    if global.dry_run {
        return output::print_json(&plan).map(|_| None);
    }
    let mut store = Store::open(&measurement.folder(options.out.as_deref()), &plan)?;
    store.damaged().iter().for_each(|part| output::warn(part));
    let report = measurement.run(Some(&mut store), &Terminal::new(global.quiet)?)?;
    present::curves(&report, &mut store, options, global)?;
    Ok(Some(report))
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
