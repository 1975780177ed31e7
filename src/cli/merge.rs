//! `lipscope merge OUT [DIR…]`: the command of a run again, measuring nothing.

use crate::error::{Error, Result};
use clap::Parser;
use lipscope_core::cli::args::{Cli, Global, MergeArgs};
use lipscope_core::cli::{Outcome, output};
use lipscope_core::store::{self, Invocation};
use std::path::Path;

/// Takes the parts of other folders, then lets the command of the run put all of them together.
pub(super) fn run(args: &MergeArgs, global: &Global) -> Result<Outcome> {
    let taken = store::take(&args.out, &args.from)?;
    if !args.from.is_empty() && !global.quiet {
        let parts = if taken == 1 { "1 part was".to_string() } else { format!("{taken} parts were") };
        output::note(&format!("{parts} copied to {}", args.out.display()));
    }
    let again = Invocation::of(&args.out).ok_or_else(|| {
        let next = "Give the command of the run again, with --merge.";
        Error::file(&args.out, "it does not say which command it belongs to (there is no command.json)", next)
    })?;
    let out = std::path::absolute(&args.out).map_err(|e| Error::io(&args.out, "finding the folder", &e))?;
    let mut cli = parsed(&again, &args.out)?;
    let Some(options) = cli.command.output_mut() else { return Err(unknown(&again, &args.out)) };
    options.out = Some(out);
    (options.merge, options.strict) = (true, args.strict);
    if let Some(formats) = &args.figures.plot {
        options.figures.plot = Some(formats.clone());
    }
    // A batch of `auto` depends on where the shards ran, and not on where they are put together.
    let cut_for = again.device.as_ref().and_then(|device| device.parse().ok());
    cli.global = Global { seed: cli.global.seed, device: global.device.clone(), cut_for, ..*global };
    std::env::set_current_dir(&again.directory).map_err(|e| {
        Error::io(&again.directory, "entering the folder in which the command was given, where its paths start", &e)
    })?;
    super::run(&cli)
}

fn parsed(again: &Invocation, out: &Path) -> Result<Cli> {
    let words = std::iter::once("lipscope").chain(again.arguments.iter().map(String::as_str));
    Cli::try_parse_from(words).map_err(|_| unknown(again, out))
}

fn unknown(again: &Invocation, out: &Path) -> Error {
    let problem = format!("its command.json holds a command that has no parts: `{}`", again.line());
    Error::file(out, problem, "Give the command of the run again, with --merge.")
}
