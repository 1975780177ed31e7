//! What `measure`, `compare` and `theory` have in common.

use super::present;
use super::shards;
use super::spread;
use super::watch::Terminal;
use crate::error::Result;
use crate::report::Report;
use crate::run::Measurement;
use lipscope_core::cli::args::{Global, OutputOptions};
use lipscope_core::cli::output;

/// Carries out a measurement, or with `--dry-run` prints its plan: the life of `measure`, `compare` and `theory`.
pub(super) fn curves(measurement: Measurement, options: &OutputOptions, global: &Global) -> Result<Option<Report>> {
    let plan = measurement.plan().to_json()?;
    let folder = measurement.folder(options.out.as_deref());
    if global.dry_run {
        return output::print_json(&spread::overview(&plan, &folder, options, global)?).map(|_| None);
    }
    // Before anything is written, so that a signal finds no half-written file.
    let watch = Terminal::new(global.quiet)?;
    let mut store = shards::store(&folder, &plan, options, global)?;
    let report = measurement.run(Some(&mut store), &watch)?;
    present::curves(&report, &mut store, options, global)?;
    Ok(Some(report))
}
