//! What `measure`, `compare` and `theory` have in common.

use super::present;
use super::shards;
use super::spread;
use super::watch::Terminal;
use crate::error::Result;
use crate::report::{self, Artifact, Report};
use crate::run::{Measurement, Store};
use lipscope_core::cli::args::{Global, OutputOptions};
use lipscope_core::cli::output;

/// A finished measurement, and its files.
pub(super) struct Curves {
    /// What was found.
    pub report: Report,
    /// Where it is.
    pub store: Store,
    /// The files beside it.
    pub artifacts: Vec<Artifact>,
}

/// Carries out a measurement, or with `--dry-run` prints its plan: the life of `measure`, `compare` and `theory`.
pub(super) fn curves(measurement: Measurement, options: &OutputOptions, global: &Global) -> Result<Option<Report>> {
    let found = measured(measurement, options, global)?;
    found.map(|found| present::curves(&found, global).map(|()| found.report)).transpose()
}

/// The same without a word on stdout but the plan.
pub(super) fn measured(measurement: Measurement, options: &OutputOptions, global: &Global) -> Result<Option<Curves>> {
    let plan = measurement.plan().to_json()?;
    let folder = measurement.folder(options.out.as_deref());
    if global.dry_run {
        return output::print_json(&spread::overview(&plan, &folder, options, global)?).map(|_| None);
    }
    // Before anything is written, so that a signal finds no half-written file.
    let watch = Terminal::new(global.quiet)?;
    let mut store = shards::store(&folder, &plan, options, global)?;
    let report = measurement.run(Some(&mut store), &watch)?;
    let artifacts = report::files(&report, options.figures.plot.as_deref().unwrap_or_default())?;
    store.publish(&artifacts)?;
    Ok(Some(Curves { report, store, artifacts }))
}
