//! Carries out a plan: measures, keeps the report on disk as points finish, and presents the result.

use super::args::Global;
use super::output;
use super::plan::Plan;
use super::prepare::Prepared;
use super::progress::{Progress, watch_interrupts};
use super::record::Recorder;
use super::rounding;
use crate::compare::{empty_curve, summarise};
use crate::device;
use crate::error::{Error, Result};
use crate::estimator::estimators;
use crate::measure::{SampleRule, Settings, Subject, Sweep};
use crate::report::{self, Artifact, ComparisonRow, FigureFormat, ModelReport, Provenance, Report, Warning};
use crate::schedule::NoiseSchedule;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;
use std::time::Instant;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const REPORT: &str = "report.json";

/// Prints the plan instead of carrying it out, where `--dry-run` asks for that.
pub(super) fn dry_run(prepared: &Prepared, global: &Global) -> Result<bool> {
    if global.dry_run {
        output::print_json(&prepared.plan.to_json()?)?;
    }
    Ok(global.dry_run)
}

/// Measures everything, writes the files and presents them.
pub(super) fn carry_out(prepared: Prepared, global: &Global) -> Result<Report> {
    report::prepare_dir(&prepared.out)?;
    let stopped = watch_interrupts()?;
    let mut report = first_report(&prepared)?;
    let Some(draws) = prepared.draws(global.quiet, &stopped)? else { return Err(interrupted(&prepared.out)) };
    let Prepared { plan, models, batch, out, formats, mut warnings, rounding, automatic_batch, .. } = prepared;
    let subjects: Vec<Subject> = models
        .into_iter()
        .map(|model| Subject {
            denoiser: model.denoiser,
            estimators: estimators(plan.quantity, plan.dt, plan.axis, plan.norm),
        })
        .collect();
    let settings = Settings { rule: plan.samples, batch, probe: automatic_batch };
    let progress = Progress::new(plan.timesteps.len() as u64, "timesteps", global.quiet, &stopped);
    let mut recorder = Recorder::new(&mut report, &subjects, plan.seed, &out, progress);
    let mut sweep = Sweep::new(&subjects, &draws, &settings);
    let resolution = recorder.measure(&plan.timesteps, plan.refinement, &mut sweep)?;
    warnings.extend(recorder.smaller_batch.map(|batch| Warning::SmallerBatch { batch }));
    drop(recorder);
    report.resolution = resolution;
    if report_is_short(&report, &plan) {
        report.warnings = warnings;
        write(&report, &out, &[])?;
        return Err(interrupted(&out));
    }
    report.warnings = warnings;
    if let Some(subject) = rounding {
        let (earlier, began) = (report.provenance.wall_seconds, Instant::now());
        let Some(found) = rounding::measure(subject, &draws, &report, &plan, batch, global.quiet, &stopped)? else {
            write(&report, &out, &[])?;
            return Err(interrupted(&out));
        };
        report.rounding = Some(found);
        report.provenance.wall_seconds = earlier + began.elapsed().as_secs_f64();
    }
    let schedules: Vec<&dyn NoiseSchedule> = subjects.iter().map(|subject| subject.denoiser.schedule()).collect();
    finish(&mut report, plan.near_zero_until, &plan.samples, &schedules);
    write(&report, &out, &formats)?;
    present(&report, &out, &formats, global)?;
    Ok(report)
}

fn report_is_short(report: &Report, plan: &Plan) -> bool {
    let fewer = |points: usize| points < plan.timesteps.len();
    let short = report.models.iter().flat_map(|model| &model.curves).any(|curve| fewer(curve.points.len()));
    short || plan.refinement.is_some() && report.resolution.is_none()
}

/// An empty report, or the one that an interrupted run of the same plan left.
fn first_report(prepared: &Prepared) -> Result<Report> {
    let fresh = empty_report(prepared)?;
    let path = prepared.out.join(REPORT);
    if !prepared.resume || !path.exists() {
        return Ok(fresh);
    }
    let earlier: Report = earlier_report(&path)?;
    same_plan(&path, &earlier.provenance, &fresh.provenance)?;
    Ok(Report { complete: false, ..earlier })
}

/// The report that an interrupted run left.
pub(super) fn earlier_report<R: DeserializeOwned>(path: &Path) -> Result<R> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "reading the earlier report", &e))?;
    serde_json::from_str(&text)
        .map_err(|e| Error::file(path, format!("this is no report to go on from ({e})"), "Leave out --resume."))
}

/// Whether a run may go on from an earlier one.
pub(super) fn same_plan(path: &Path, earlier: &Provenance, fresh: &Provenance) -> Result<()> {
    if earlier.plan == fresh.plan {
        return Ok(());
    }
    let key = differing_key(&earlier.plan, &fresh.plan);
    let problem = format!("the earlier run had another plan: `{key}` differs");
    Err(Error::file(path, problem, "Repeat its command exactly, or choose another --out."))
}

/// A setting that two plans do not share.
fn differing_key(a: &Value, b: &Value) -> String {
    let keys = a.as_object().into_iter().chain(b.as_object()).flat_map(|object| object.keys());
    keys.into_iter().find(|key| a.get(key) != b.get(key)).cloned().unwrap_or_default()
}

/// The report before the first point.
pub(super) fn empty_report(prepared: &Prepared) -> Result<Report> {
    let plan = &prepared.plan;
    let curves = || estimators(plan.quantity, plan.dt, plan.axis, plan.norm);
    let model = |model: &super::model::Model| ModelReport {
        label: model.label.clone(),
        model: model.description.clone(),
        curves: curves().iter().map(|estimator| empty_curve(&**estimator)).collect(),
        spent: report::Spent::default(),
        summary: Vec::new(),
    };
    Ok(Report {
        schema_version: report::SCHEMA_VERSION,
        complete: false,
        command: plan.command.into(),
        provenance: provenance(plan.to_json()?, device::name(prepared.device)),
        models: prepared.models.iter().map(model).collect(),
        comparison: Vec::new(),
        resolution: None,
        rounding: None,
        warnings: Vec::new(),
    })
}

/// How numbers of a run that begins now come about.
pub(super) fn provenance(plan: Value, device: String) -> Provenance {
    let versions = [("lipscope", env!("CARGO_PKG_VERSION")), ("libtorch", device::LIBTORCH_VERSION)];
    Provenance {
        plan,
        versions: versions.map(|(name, version)| (name.to_string(), version.to_string())).into(),
        device,
        threads: tch::get_num_threads().max(1) as usize,
        began: now(),
        wall_seconds: 0.0,
    }
}

/// The time of day, RFC 3339, UTC.
pub(super) fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

/// Summaries, warnings from the numbers, and the mark of completeness.
pub(super) fn finish(report: &mut Report, until: f64, rule: &SampleRule, schedules: &[&dyn NoiseSchedule]) {
    for (model, schedule) in report.models.iter_mut().zip(schedules) {
        let spent = model.spent;
        model.summary = model.curves.iter().map(|curve| summarise(curve, until, *schedule, spent)).collect();
    }
    // Rows come timestep by timestep; readers want them candidate by candidate.
    let order: Vec<String> = report.models.iter().map(|model| model.label.clone()).collect();
    report.comparison.sort_by(|a, b| {
        let place = |row: &ComparisonRow| order.iter().position(|label| *label == row.model);
        place(a).cmp(&place(b)).then(a.timestep.total_cmp(&b.timestep))
    });
    let warnings = number_warnings(report, rule);
    report.warnings.extend(warnings);
    report.complete = true;
}

fn number_warnings(report: &Report, rule: &SampleRule) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = report.resolution.iter().filter_map(Warning::unresolved).collect();
    for model in &report.models {
        let points = || model.curves.iter().flat_map(|curve| &curve.points);
        let count = points().map(|point| point.non_finite).sum();
        if let Some(first) = points().find(|point| point.non_finite > 0) {
            warnings.push(Warning::NonFinite { model: model.label.clone(), count, timestep: first.timestep });
        }
        match points().map(|point| point.unconverged).sum() {
            0 => {}
            count => warnings.push(Warning::Unsettled { model: model.label.clone(), count }),
        }
        if let SampleRule::RelativeError { target, .. } = *rule {
            let relative = |point: &report::Point| point.std_error.zip(point.mean).map(|(error, mean)| error / mean);
            let short: Vec<(f64, f64)> = points()
                .filter_map(|point| relative(point).filter(|e| *e > target).map(|e| (point.timestep, e)))
                .collect();
            if !short.is_empty() {
                warnings.push(Warning::NotConverged {
                    model: model.label.clone(),
                    worst: short.iter().map(|(_, error)| *error).fold(0.0, f64::max),
                    timesteps: short.into_iter().map(|(t, _)| t).collect(),
                });
            }
        }
    }
    warnings
}

/// Writes report, tables and figures.
pub(super) fn write(report: &Report, out: &Path, formats: &[FigureFormat]) -> Result<()> {
    let mut artifacts = vec![report_json(report)?, report::curve_csv(report)?];
    if report.models.len() > 1 {
        artifacts.push(report::comparison_csv(report)?);
    }
    if let Some(rounding) = &report.rounding {
        artifacts.push(report::rounding_csv(rounding)?);
    }
    if !formats.is_empty() {
        let figure = report::figure(report)?;
        for format in formats {
            artifacts.push(figure.artifact(*format)?);
        }
    }
    report::write_all(out, &artifacts).map(|_| ())
}

pub(super) fn report_json(report: &Report) -> Result<Artifact> {
    Ok(Artifact::new(REPORT, output::json(report)?.into_bytes()))
}

/// Warnings on stderr; on stdout the report as JSON, or the table, its reading and where the files are.
pub(super) fn present(report: &Report, out: &Path, formats: &[FigureFormat], global: &Global) -> Result<()> {
    report.warnings.iter().for_each(|warning| output::warn(&warning.to_string()));
    if global.json {
        return output::print_json(report).map(|_| ());
    }
    if global.quiet {
        return Ok(());
    }
    let width = output::width();
    let table = if report.models.len() > 1 {
        report::comparison_table(report, width)
    } else {
        report::curve_table(report, width)
    };
    let mut files = vec![REPORT.to_string(), "curve.csv".into()];
    files.extend((report.models.len() > 1).then(|| "comparison.csv".into()));
    files.extend(report.rounding.as_ref().map(|_| "rounding.csv".into()));
    files.extend(formats.iter().map(|format| format!("lipschitz.{}", format.extension())));
    let data = report.provenance.plan.get("data").and_then(|data| data.get("source")).and_then(Value::as_str);
    let text = format!(
        "{table}\n\n{}{}\n\n{}x₀ from {}; files in {}: {}\n",
        report::reading(report),
        report::resolution_reading(report),
        report.rounding.as_ref().map(|found| rounding::text(found, width)).unwrap_or_default(),
        data.unwrap_or("nowhere"),
        out.display(),
        files.join(", ")
    );
    output::print(&text).map(|_| ())
}

/// What was finished is on disk, and can be gone on from.
pub(super) fn interrupted(out: &Path) -> Error {
    Error::Interrupted {
        next: format!("What was finished is in {}; the same command with --resume goes on from there.", out.display()),
    }
}
