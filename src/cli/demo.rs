//! `lipscope demo`: trains `ddpm` and `e-tsdm` on embedded data, and compares them with the ideal denoiser's curve.

use super::args::{Cli, Command, CompareArgs, DemoArgs, Global, TrainArgs};
use super::progress::watch_interrupts;
use super::{Outcome, compare, output, train};
use crate::error::{Error, Result};
use clap::Parser;
use std::path::Path;

/// The data of the demonstration.
const DATA: &str = "digits";

/// The whole story, from training to the figure.
pub(super) fn run(args: &DemoArgs, global: &Global) -> Result<Option<Outcome>> {
    let out = &args.out;
    let trainings = ["ddpm", "e-tsdm"].map(|variant| training_command(variant, args, global));
    let comparison = comparison_command(out, global);
    if !global.quiet {
        output::note("The same three commands by hand:");
        trainings.iter().chain([&comparison]).for_each(|command| output::note(&format!("  {}", command.join(" "))));
    }
    let stopped = watch_interrupts()?;
    for command in &trainings {
        let mut training = parse_training(command)?;
        training.resume = true;
        let prepared = train::prepare(&training, global)?;
        if global.dry_run {
            continue;
        }
        train::carry_out(prepared, global.quiet, &stopped)?;
    }
    if global.dry_run {
        return Ok(None);
    }
    compare::run(&parse_comparison(&comparison)?, global)?;
    if !global.quiet && !global.json {
        output::print(&story(out))?;
    }
    Ok(None)
}

fn training_command(variant: &str, args: &DemoArgs, global: &Global) -> Vec<String> {
    let folder = args.out.join(variant).display().to_string();
    let steps = args.steps.to_string();
    let mut words = vec!["lipscope", "train", "--variant", variant, "--data", DATA, "--steps", &steps, "--batch", "64"];
    words.extend(["--lr", "1e-3", "--out", &folder]);
    with_seed(words, global)
}

fn comparison_command(out: &Path, global: &Global) -> Vec<String> {
    let file = |variant: &str| out.join(variant).join("model.pt").display().to_string();
    let (ddpm, shared, folder) = (file("ddpm"), file("e-tsdm"), out.join("compare").display().to_string());
    let ideal = format!("ideal:{DATA}");
    let mut words = vec!["lipscope", "compare", &ddpm, &shared, &ideal];
    words.extend(["--label", "DDPM", "--label", "E-TSDM", "--label", "ideal denoiser"]);
    words.extend(["--data", DATA, "--plot", "--out", &folder]);
    with_seed(words, global)
}

fn with_seed(words: Vec<&str>, global: &Global) -> Vec<String> {
    let seed = global.seed.to_string();
    let seed = if global.seed == 0 { Vec::new() } else { vec!["--seed".to_string(), seed] };
    words.into_iter().map(str::to_string).chain(seed).collect()
}

fn parse(words: &[String]) -> Result<Command> {
    let parsed = Cli::try_parse_from(words);
    parsed
        .map(|cli| cli.command)
        .map_err(|e| Error::mismatch(format!("the demo's own command is wrong ({e})"), "Report this."))
}

fn parse_training(words: &[String]) -> Result<TrainArgs> {
    match parse(words)? {
        Command::Train(args) => Ok(*args),
        _ => Err(Error::mismatch("the demo's own command is wrong", "Report this.")),
    }
}

fn parse_comparison(words: &[String]) -> Result<CompareArgs> {
    match parse(words)? {
        Command::Compare(args) => Ok(args),
        _ => Err(Error::mismatch("the demo's own command is wrong", "Report this.")),
    }
}

fn story(out: &Path) -> String {
    format!("The figure: {}\n", out.join("compare").join("lipschitz.png").display())
}
