//! `lipscope demo`: a DDPM and an E-TSDM, shipped or trained first, beside the ideal denoiser of their data.

mod story;

use super::setup::setup;
use super::watch::Terminal;
use super::{compare, curves, present};
use crate::atomic;
use crate::error::{Error, Result};
use crate::report::{self, ExportFormat, Finished};
use crate::train::Job;
use clap::Parser;
use lipscope_core::cli::args::{Cli, Command, DemoArgs, Global};
use lipscope_core::cli::{Outcome, output};
use std::path::{Path, PathBuf};

/// The shipped networks, averaged weights in float16; `analysis/demonstration` says how they were made.
const SHIPPED: [(&str, &[u8]); 2] = [
    ("ddpm.safetensors", include_bytes!("../../demonstration/ddpm.safetensors")),
    ("e-tsdm.safetensors", include_bytes!("../../demonstration/e-tsdm.safetensors")),
];

/// What they were trained on.
const SHIPPED_DATA: &str = "mnist-1000";

/// Every step near 0, where sharing changes it; few of the others. As many samples as control variates need.
const SHIPPED_PLAN: [&str; 4] = ["--timesteps", "0..101,120..999/40", "--samples", "24"];

/// What `--train` trains on.
const TRAINED_DATA: &str = "digits";

/// The whole story, up to the figure. A dry run says which commands it is made of.
pub(super) fn run(args: &DemoArgs, global: &Global) -> Result<Option<Outcome>> {
    let commands = if args.train { trained(args, global) } else { shipped(&args.out, global) };
    if !global.quiet {
        output::note("The same by hand:");
        commands.iter().for_each(|command| output::note(&format!("  {}", quoted(command))));
    }
    let Some((comparison, trainings)) = commands.split_last() else { return Ok(None) };
    let watch = Terminal::new(global.quiet)?;
    for command in trainings {
        train(command, global, &watch)?;
    }
    if global.dry_run {
        return Ok(None);
    }
    if !args.train {
        unpack(&args.out)?;
    }
    show(comparison, global)
}

/// The one command about the shipped networks.
fn shipped(out: &Path, global: &Global) -> Vec<Vec<String>> {
    let files = SHIPPED.map(|(name, _)| out.join(name));
    let mut comparison = comparison(&files, SHIPPED_DATA, &out.join("compare"), global);
    comparison.extend(SHIPPED_PLAN.map(String::from));
    vec![comparison]
}

/// The trainings, and the comparison of what they made.
fn trained(args: &DemoArgs, global: &Global) -> Vec<Vec<String>> {
    let out = args.out.join("trained");
    let variants = ["ddpm", "e-tsdm"];
    let training = |variant: &str| {
        let (folder, steps) = (out.join(variant).display().to_string(), args.steps.to_string());
        let mut words = vec!["lipscope", "train", "--variant", variant, "--data", TRAINED_DATA, "--steps", &steps];
        words.extend(["--batch", "64", "--lr", "1e-3", "--out", &folder]);
        with_seed(words, global)
    };
    let comparison =
        comparison(&variants.map(|v| out.join(v).join("model.pt")), TRAINED_DATA, &out.join("compare"), global);
    variants.into_iter().map(training).chain([comparison]).collect()
}

fn comparison([ddpm, shared]: &[PathBuf; 2], data: &str, out: &Path, global: &Global) -> Vec<String> {
    let [ddpm, shared, out] = [ddpm, shared, out].map(|path| path.display().to_string());
    let ideal = format!("ideal:{data}");
    let mut words = vec!["lipscope", "compare", &ddpm, &shared, &ideal];
    words.extend(["--label", "DDPM", "--label", "E-TSDM", "--label", "ideal denoiser"]);
    words.extend(["--data", data, "--plot", "--out", &out]);
    with_seed(words, global)
}

fn with_seed(words: Vec<&str>, global: &Global) -> Vec<String> {
    let seed = global.seed.to_string();
    let seed = if global.seed == 0 { Vec::new() } else { vec!["--seed".to_string(), seed] };
    words.into_iter().map(str::to_string).chain(seed).collect()
}

/// As a shell takes it.
fn quoted(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

fn train(command: &[String], global: &Global, watch: &Terminal) -> Result<()> {
    let Command::Train(asked) = parse(command)? else { return Err(wrong("a training is none")) };
    let job = Job::new(&asked, &setup(global))?;
    if global.dry_run { Ok(()) } else { job.run(watch).map(|_| ()) }
}

/// Writes the shipped networks, as checkpoints for other commands too.
fn unpack(out: &Path) -> Result<()> {
    report::prepare_dir(out)?;
    for (name, bytes) in SHIPPED {
        let path = out.join(name);
        if std::fs::read(&path).ok().as_deref() != Some(bytes) {
            atomic::write(&path, bytes)?;
        }
    }
    Ok(())
}

/// Compares, draws the figure and the page, and tells what is to be seen.
fn show(comparison: &[String], global: &Global) -> Result<Option<Outcome>> {
    let Command::Compare(asked) = parse(comparison)? else { return Err(wrong("the comparison is none")) };
    let found = curves::measured(compare::measurement(&asked, global)?, &asked.output, global)?;
    let Some(found) = found else { return Ok(None) };
    let folder = found.store.folder();
    let page = report::export(&Finished::read(&Finished::file(folder))?, None, &[ExportFormat::Html])?;
    report::write_all(folder, &page)?;
    present::show(&found.report, &found.report.warnings, global, || {
        let mut text = output::paragraphs(&story::of(&found.report));
        text += "\n\n";
        let names = ["lipschitz.png"].into_iter().chain(page.iter().map(|page| page.file_name.as_str()));
        names.for_each(|name| text += &format!("{}\n", folder.join(name).display()));
        text
    })?;
    Ok(None)
}

fn parse(words: &[String]) -> Result<Command> {
    Cli::try_parse_from(words).map(|cli| cli.command).map_err(|e| wrong(&e.to_string()))
}

fn wrong(what: &str) -> Error {
    Error::mismatch(format!("the demo's own command is wrong ({what})"), "Report this.")
}
