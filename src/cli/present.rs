//! What a finished run shows: warnings on stderr; on stdout the report as JSON, or tables, reading and where the files are.

use super::curves::Curves;
use crate::error::Result;
use crate::report::{self, Artifact, Provenance, Report, TidyReport, Warning};
use crate::run::Store;
use lipscope_core::cli::args::{Global, OutputOptions};
use lipscope_core::cli::output;
use serde::Serialize;
use serde_json::Value;

/// Shows a report of curves.
pub(super) fn curves(found: &Curves, global: &Global) -> Result<()> {
    let Curves { report, store, artifacts } = found;
    show(report, &report.warnings, global, || {
        let width = output::width();
        let table = if report.compares() {
            report::comparison_table(report, width)
        } else {
            report::curve_table(report, width)
        };
        let rounding = report.rounding.as_ref();
        let rounding = rounding.map(|found| {
            format!(
                "{}\n\n{}\n\n",
                report::rounding_table(found, width),
                output::paragraphs(&[report::rounding_reading(found)])
            )
        });
        let resolution = Some(report::resolution_reading(report)).filter(|said| !said.is_empty());
        let said: Vec<String> = report::reading_lines(report).into_iter().chain(resolution).collect();
        let data = report.provenance.plan.get("data").and_then(|data| data.get("source")).and_then(Value::as_str);
        format!(
            "{table}\n\n{}\n\n{}{}{}x₀ from {}; {}",
            output::paragraphs(&said),
            attribution(report, width),
            rounding.unwrap_or_default(),
            basis(&report.provenance),
            data.unwrap_or("an unknown source"),
            place(store, artifacts)
        )
    })
}

/// The parts of ∂ε/∂t, where they were asked for.
fn attribution(report: &Report, width: u16) -> String {
    match report::attribution_table(&report.models, width) {
        none if none.is_empty() => none,
        table => format!("{table}\n\n{}\n\n", output::paragraphs(&[report::attribution_reading(&report.models)])),
    }
}

/// Writes the files of a report of tables and shows its table `shown`.
pub(super) fn tables(
    report: &TidyReport,
    shown: Option<report::Table>,
    store: &mut Store,
    options: &OutputOptions,
    global: &Global,
) -> Result<()> {
    let artifacts = report::tidy_files(report, options.figures.plot.as_deref().unwrap_or_default())?;
    store.publish(&artifacts)?;
    show(report, &report.warnings, global, || {
        let table = shown.map(|table| report::tidy_text(&table, output::width())).unwrap_or_default();
        let basis = basis(&report.provenance);
        format!("{table}\n\n{}\n\n{basis}{}", output::paragraphs(&report.reading), place(store, &artifacts))
    })
}

/// Warnings, then JSON or text.
pub(super) fn show(
    report: &impl Serialize,
    warnings: &[Warning],
    global: &Global,
    text: impl FnOnce() -> String,
) -> Result<()> {
    warnings.iter().for_each(|warning| output::warn(&warning.to_string()));
    match (global.json, global.quiet) {
        (true, _) => output::print_json(report).map(|_| ()),
        (false, true) => Ok(()),
        (false, false) => output::print(&text()).map(|_| ()),
    }
}

/// What the numbers of each model rest on, a line each.
pub(super) fn basis(provenance: &Provenance) -> String {
    provenance.basis_lines().into_iter().map(|(label, line)| format!("{label}: {line}\n")).collect()
}

/// Where the files are.
pub(super) fn place(store: &Store, artifacts: &[Artifact]) -> String {
    let names: Vec<&str> = artifacts.iter().map(|artifact| artifact.file_name.as_str()).collect();
    format!("files in {}: {}\n", store.folder().display(), names.join(", "))
}
