//! `lipscope evaluate CKPT…`: sample quality of models over samplers, spacings, numbers of network evaluations and seeds.

mod cells;
mod reading;
mod subjects;
mod tables;
mod wanted;
mod yardstick;

use super::args::{EvaluateArgs, Global};
use super::progress::{Progress, watch_interrupts};
use super::{Outcome, job, output, prepare, sample};
use crate::device;
use crate::error::Result;
use crate::report::{self, FigureFormat, TidyReport, Warning};
use cells::Sweep;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;
use subjects::Subjects;
use tch::Device;
use wanted::Wanted;
use yardstick::Yardstick;

/// Evaluates every model in every way that was asked for.
pub(super) fn run(args: &EvaluateArgs, global: &Global) -> Result<Option<Outcome>> {
    let wanted = Wanted::parse(args)?;
    let formats = args.figures.plot.clone().unwrap_or_default();
    let arithmetic = prepare::arithmetic(global, args.model.dtype)?;
    let mut subjects = Subjects::open(args, arithmetic)?;
    subjects.models().try_for_each(|model| wanted.fits(model))?;
    let yardstick = Yardstick::new(args, &wanted, &subjects, arithmetic.0, global.seed)?;
    let plan = plan(&wanted, &subjects, &yardstick, global.seed);
    if global.dry_run {
        return output::print_json(&plan);
    }
    let out = args.out.clone().unwrap_or_else(|| default_out(&subjects));
    report::prepare_dir(&out)?;
    let mut warnings = std::mem::take(&mut subjects.warnings);
    warnings.extend(yardstick.notes.iter().map(|note| Warning::Data { message: note.clone() }));
    let mut study = Study { report: first_report(plan, arithmetic.0, &out, args.resume)?, out, formats };
    study.report.warnings = warnings;
    let batch = sample::batch(args.batch, &subjects.shape, arithmetic.0);
    let sweep = Sweep { wanted: &wanted, subjects: &subjects, yardstick: &yardstick, batch, seed: global.seed };
    study.carry_out(&sweep, global)?;
    study.present(global)
}

/// Everything that the numbers depend on.
fn plan(wanted: &Wanted, subjects: &Subjects, yardstick: &Yardstick, seed: u64) -> Value {
    json!({
        "command": "evaluate",
        "models": subjects.describe(),
        "data": subjects.describe_data(),
        "reference": yardstick.describe(),
        "samplers": wanted.samplers,
        "spacings": wanted.spacings,
        "nfe": wanted.nfe,
        "clip": wanted.clip.to_string(),
        "samples": wanted.samples,
        "seeds": wanted.seeds,
        "metrics": yardstick.names(),
        "seed": seed,
    })
}

/// The report and where it goes.
struct Study {
    report: TidyReport,
    out: PathBuf,
    formats: Vec<FigureFormat>,
}

impl Study {
    /// Measures what the report does not hold yet, and keeps the report on disk up to date.
    fn carry_out(&mut self, sweep: &Sweep, global: &Global) -> Result<()> {
        let stopped = watch_interrupts()?;
        let (earlier, began) = (self.report.provenance.wall_seconds, Instant::now());
        let cells = sweep.cells();
        let progress = Progress::new(sweep.calls(&cells), "network calls", global.quiet, &stopped);
        for cell in &cells {
            if tables::holds(&self.report, &sweep.key(cell)) {
                progress.skip(sweep.calls(std::slice::from_ref(cell)));
                continue;
            }
            progress.say(sweep.name(cell));
            let measured = sweep.measure(cell, &mut || progress.advance())?;
            let Some(measured) = measured.filter(|_| progress.goes_on()) else {
                self.update(sweep, false)?;
                return Err(job::interrupted(&self.out));
            };
            tables::add(&mut self.report, measured);
            self.report.provenance.wall_seconds = earlier + began.elapsed().as_secs_f64();
            self.update(sweep, false)?;
        }
        self.update(sweep, true)
    }

    /// What the rows so far come to, on disk.
    fn update(&mut self, sweep: &Sweep, complete: bool) -> Result<()> {
        tables::summarise(&mut self.report, sweep);
        self.report.complete = complete;
        let formats: &[FigureFormat] = if complete { &self.formats } else { &[] };
        report::write_tidy(&self.report, &self.out, formats).map(|_| ())
    }

    /// Warnings on stderr; on stdout the report as JSON, or the table, its reading and where the files are.
    fn present(&self, global: &Global) -> Result<Option<Outcome>> {
        let report = &self.report;
        report.warnings.iter().for_each(|warning| output::warn(&warning.to_string()));
        if global.json {
            return output::print_json(report);
        }
        if global.quiet {
            return Ok(None);
        }
        let table = tables::shown(report).map(|table| report::tidy_text(&table, output::width())).unwrap_or_default();
        let files = report.tables.iter().map(|table| format!("{}.csv", table.name));
        let figures = report.charts.iter().filter(|_| !self.formats.is_empty());
        let figures = figures
            .flat_map(|chart| self.formats.iter().map(move |format| format!("{}.{}", chart.name, format.extension())));
        let files: Vec<String> = std::iter::once("report.json".into()).chain(files).chain(figures).collect();
        let reading = report.reading.join("\n");
        output::print(&format!("{table}\n\n{reading}\n\nFiles in {}: {}\n", self.out.display(), files.join(", ")))
    }
}

/// An empty report, or the one that an interrupted run of the same plan left.
fn first_report(plan: Value, device: Device, out: &Path, resume: bool) -> Result<TidyReport> {
    let fresh = TidyReport {
        schema_version: report::SCHEMA_VERSION,
        complete: false,
        command: "evaluate".into(),
        title: "Sample quality".into(),
        provenance: job::provenance(plan, device::name(device)),
        tables: tables::empty(),
        charts: Vec::new(),
        reading: Vec::new(),
        warnings: Vec::new(),
    };
    let path = out.join("report.json");
    if !resume || !path.exists() {
        return Ok(fresh);
    }
    let earlier: TidyReport = job::earlier_report(&path)?;
    job::same_plan(&path, &earlier.provenance, &fresh.provenance)?;
    Ok(TidyReport { complete: false, ..earlier })
}

fn default_out(subjects: &Subjects) -> PathBuf {
    let names: Vec<String> = subjects.all.iter().map(|subject| report::slug(&subject.label)).collect();
    PathBuf::from("lipscope-out").join(format!("evaluate-{}", names.join("-vs-")))
}
