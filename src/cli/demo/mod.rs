//! `lipscope demo`: trains `ddpm` and `e-tsdm` on embedded data, and compares them with the ideal denoiser's curve.

use super::compare;
use super::setup::setup;
use super::watch::Terminal;
use crate::error::{Error, Result};
use crate::report::{Curve, Report};
use crate::train::Job;
use clap::Parser;
use lipscope_core::cli::args::{Cli, Command, CompareArgs, DemoArgs, Global, TrainArgs};
use lipscope_core::cli::{Outcome, output};
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
    let watch = Terminal::new(global.quiet)?;
    for command in &trainings {
        let job = Job::new(&parse_training(command)?, &setup(global))?;
        if !global.dry_run {
            job.run(&watch)?;
        }
    }
    if global.dry_run {
        return Ok(None);
    }
    let report = compare::compare(&parse_comparison(&comparison)?, global)?;
    if let (Some(report), false) = (report, global.quiet || global.json) {
        output::print(&story(&report, out))?;
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

/// What the numbers show, in words that follow from them.
fn story(report: &Report, out: &Path) -> String {
    let mut text = String::new();
    let secant = |i: usize| report.models.get(i).and_then(|model| model.curves.first());
    let until = report.models.first().and_then(|model| model.summary.first()).map(|summary| summary.near_zero.until);
    if let (Some(ddpm), Some(shared), Some(ideal), Some(until)) = (secant(0), secant(1), secant(2), until) {
        text += &learnt(ddpm, ideal, until);
        text += &jumps(ddpm, shared, until);
    }
    let figure = out.join("compare").join("lipschitz.png");
    text + &format!("The figure: {}\n", figure.display())
}

/// How much of the ideal curve the trained model has learnt, over bands wider than the oscillation that its time
/// embedding puts on K.
fn learnt(ddpm: &Curve, ideal: &Curve, end: f64) -> String {
    let mean = |curve: &Curve, from: f64, until: f64| {
        let here = curve.points.iter().filter(|point| (from..until).contains(&point.timestep));
        let values: Vec<f64> = here.filter_map(|point| point.mean).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let part = |(from, until): (f64, f64)| Some((from, until, mean(ddpm, from, until)? / mean(ideal, from, until)?));
    let parts: Vec<(f64, f64, f64)> =
        [(0.0, 0.1 * end), (0.1 * end, 0.3 * end), (0.3 * end, end)].into_iter().filter_map(part).collect();
    let words: Vec<String> = parts
        .iter()
        .map(|(from, until, part)| format!("{:.0} % over t = {from} … {}", 100.0 * part, until - 1.0))
        .collect();
    let missing = if parts.first().is_some_and(|first| first.2 < 0.5) {
        " Nearest to 0 most of the blow-up is not learnt yet: more --steps learn more."
    } else {
        ""
    };
    format!("The DDPM's K in per cent of the ideal denoiser's: {}.{missing}\n", words.join(", "))
}

/// What sharing moved into the boundaries.
fn jumps(ddpm: &Curve, shared: &Curve, end: f64) -> String {
    let means = |curve: &Curve| -> Vec<(f64, f64)> {
        let near = curve.points.iter().filter(|point| point.timestep < end);
        near.filter_map(|point| point.mean.map(|mean| (point.timestep, mean))).collect()
    };
    let highest = |points: &[(f64, f64)]| points.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    let (ddpm, shared) = (means(ddpm), means(shared));
    let (Some(peak), Some(jump)) = (highest(&ddpm), highest(&shared)) else { return String::new() };
    let zeros = shared.iter().filter(|point| point.1 == 0.0).count();
    format!(
        "E-TSDM: K is exactly 0 at {zeros} of the {} timesteps measured below {end}, by construction; its largest jump, from t = {} to \
         {}, is {:.3}, where the DDPM's highest K is {:.3}.\n",
        shared.len(),
        jump.0,
        jump.0 + 1.0,
        jump.1,
        peak.1
    )
}
