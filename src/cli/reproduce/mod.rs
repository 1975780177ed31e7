//! `lipscope reproduce PLAN`: plan → steps → processes of this very program → tables over seeds, figures, report.

mod cluster;
mod task;

use super::watch::Terminal;
use crate::atomic::cache_folder;
use crate::device;
use crate::error::{Error, Result};
use crate::report::{self, Provenance, SCHEMA_VERSION, TidyReport};
use crate::run::{self, Watch};
use crate::sweep::{self, Observer, Resources, Results, Step, SweepPlan, command_line};
use clap::Parser;
use cluster::Cluster;
use lipscope_core::cli::args::{Cli, Global, ReproduceArgs};
use lipscope_core::cli::{Outcome, output};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tch::Device;

/// Carries out a plan.
pub(super) fn run(args: &ReproduceArgs, global: &Global) -> Result<Option<Outcome>> {
    let formats = args.figures.plot.clone().unwrap_or_default();
    let plan = SweepPlan::read(&args.plan)?;
    let steps = sweep::steps(&plan)?;
    let results = Results::new(args.results.clone().map_or_else(default_results, Ok)?);
    if let Some(which) = &args.step {
        return task::run(which, &steps, &results, global).map(|()| None);
    }
    steps.iter().try_for_each(|step| check(step, &results))?;
    let out = args.out.clone().unwrap_or_else(|| default_out(&plan));
    let absolute = std::path::absolute(&out).map_err(|e| Error::io(&out, "finding the folder", &e))?;
    let cluster = Cluster { plan: &plan, steps: &steps, results: &results, args, global, out: absolute };
    let cluster = args.executor.is_slurm().then_some(cluster);
    if global.dry_run {
        let overview = overview(&steps, &results);
        return match cluster {
            None => output::print_json(&overview),
            Some(cluster) => output::print_json(&json!({ "steps": overview, "slurm": cluster.preview()? })),
        };
    }
    report::prepare_dir(&out)?;
    let resources = resources(args, global)?;
    let began = run::now();
    let outcome = match &cluster {
        None => carry_out(&steps, &results, &resources, global.quiet),
        Some(cluster) => cluster.run(&Terminal::new(global.quiet)?),
    };
    if let Err(Error::Part { message }) = outcome {
        return Err(Error::Part { message });
    }
    let provenance = Provenance { began, ..provenance(&plan, &steps, &results, &resources)? };
    // What is finished is told even where something failed or was interrupted.
    let found = tidy(&plan, &steps, &results, provenance, outcome.is_ok())?;
    let artifacts = report::tidy_files(&found, if outcome.is_ok() { &formats } else { &[] })?;
    let files = report::write_all(&out, &artifacts)?;
    outcome?;
    if global.json {
        return output::print_json(&found);
    }
    if !global.quiet {
        output::print(&text(&found, &files))?;
    }
    Ok(None)
}

/// `lipscope/results` in the user's cache folder.
fn default_results() -> Result<PathBuf> {
    cache_folder().map(|caches| caches.join("results")).ok_or_else(|| {
        Error::mismatch("neither XDG_CACHE_HOME nor HOME says where caches are", "Name a folder with --results.")
    })
}

fn default_out(plan: &SweepPlan) -> PathBuf {
    let folder = plan.folder.canonicalize().unwrap_or_else(|_| plan.folder.clone());
    let name = folder.file_name().map_or_else(|| "plan".into(), |name| name.to_string_lossy().into_owned());
    PathBuf::from("lipscope-out").join(format!("reproduce-{}", report::slug(&name)))
}

/// Whether a step's command line is one, before hours are spent on the steps before it.
fn check(step: &Step, results: &Results) -> Result<()> {
    let line = command_line(step, results);
    let parsed = Cli::try_parse_from(std::iter::once("lipscope").chain(line.iter().map(String::as_str)));
    parsed.map(|_| ()).map_err(|e| {
        let message = e.to_string();
        let first = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let next =
            format!("`lipscope {} --help` says which flags it takes; a plan has them without dashes.", step.command);
        Error::mismatch(format!("the plan's step `{}` is no command ({first})", step.name()), next)
    })
}

fn resources(args: &ReproduceArgs, global: &Global) -> Result<Resources> {
    if args.executor.is_slurm() {
        // Jobs have their own.
        let threads = global.threads.unwrap_or(1);
        return Ok(Resources { program: PathBuf::new(), jobs: 1, threads, device: "slurm".into() });
    }
    let device = device::resolve(global.device.first())?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.unwrap_or(if device == Device::Cpu { cores } else { 1 });
    if jobs == 0 {
        return Err(Error::argument("--jobs", 0, "it is at least 1", "Give a whole number above 0."));
    }
    let program = std::env::current_exe().map_err(|e| Error::io("lipscope-engine", "finding this program", &e))?;
    let threads = global.threads.unwrap_or((cores / jobs).max(1));
    Ok(Resources { program, jobs, threads, device: device::name(device) })
}

fn carry_out(steps: &[Step], results: &Results, resources: &Resources, quiet: bool) -> Result<()> {
    let terminal = Terminal::new(quiet)?;
    let mut keys: Vec<&str> = steps.iter().map(|step| step.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    terminal.begin(keys.len() as u64, "steps");
    sweep::run(steps, results, resources, &mut Steps { terminal: &terminal, running: Vec::new() })
}

/// Tells the terminal how it goes.
struct Steps<'a> {
    terminal: &'a Terminal,
    running: Vec<String>,
}

impl Observer for Steps<'_> {
    fn began(&mut self, step: &Step) {
        self.running.push(step.name());
        self.terminal.say(&self.running.join("; "));
    }

    fn finished(&mut self, step: &Step, seconds: Option<f64>) {
        self.running.retain(|name| *name != step.name());
        self.terminal.say(&self.running.join("; "));
        self.terminal.advance();
        if let Some(seconds) = seconds {
            self.terminal.note(&format!("{seconds:7.1} s  {}", step.name()));
        }
    }

    fn goes_on(&self) -> bool {
        self.terminal.goes_on()
    }
}

/// Every step with its key and whether it is done. Files are named relative to the folder of results.
fn overview(steps: &[Step], results: &Results) -> Value {
    let relative = Results::new(PathBuf::new());
    let entry = |step: &Step| {
        let done = results.done(&step.key);
        json!({
            "name": step.name(),
            "key": step.key,
            "command": command_line(step, &relative).join(" "),
            "done": done.is_some(),
            "wall_seconds": done.map(|done| done.wall_seconds),
        })
    };
    steps.iter().map(entry).collect()
}

fn provenance(plan: &SweepPlan, steps: &[Step], results: &Results, resources: &Resources) -> Result<Provenance> {
    let as_written = serde_json::to_value(plan)
        .map_err(|e| Error::mismatch(format!("the plan cannot be written as JSON ({e})"), "Change the plan."))?;
    let plan = json!({ "plan": as_written, "steps": overview(steps, results) });
    // What the steps took, whenever they were carried out.
    let seconds: BTreeMap<&str, f64> =
        steps.iter().filter_map(|step| Some((step.key.as_str(), results.done(&step.key)?.wall_seconds))).collect();
    let fresh = run::provenance(plan, resources.device.clone());
    Ok(Provenance { threads: resources.threads * resources.jobs, wall_seconds: seconds.values().sum(), ..fresh })
}

fn tidy(
    plan: &SweepPlan,
    steps: &[Step],
    results: &Results,
    provenance: Provenance,
    complete: bool,
) -> Result<TidyReport> {
    let observations = sweep::observations(steps, results)?;
    let baseline = plan.models.first().map(|model| model.name.as_str()).unwrap_or_default();
    let summary = sweep::summary_table(&observations, baseline);
    Ok(TidyReport {
        schema_version: SCHEMA_VERSION,
        complete,
        command: "reproduce".into(),
        title: plan.title.clone(),
        provenance,
        reading: sweep::reading(&summary, baseline, &plan.headlines)?,
        tables: vec![summary, sweep::curves_table(&observations), sweep::results_table(&observations)],
        charts: plan.figures.clone(),
        warnings: Vec::new(),
    })
}

fn text(found: &TidyReport, files: &[PathBuf]) -> String {
    let mut text = format!("{}\n\n", found.title);
    found.reading.iter().for_each(|line| text += &format!("{line}\n"));
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    text + &format!("\nwritten: {}\n", names.join(", "))
}
