//! `lipscope stability CKPT…`.

use super::present;
use super::setup::setup;
use super::shards;
use super::spread;
use super::watch::Terminal;
use crate::error::Result;
use crate::stability::Study;
use lipscope_core::cli::args::{Global, StabilityArgs};
use lipscope_core::cli::{Outcome, output};

/// The perturbation test.
pub(super) fn run(args: &StabilityArgs, global: &Global) -> Result<Option<Outcome>> {
    let study = Study::new(args, &setup(global))?;
    let folder = study.folder(args.output.out.as_deref());
    if global.dry_run {
        return output::print_json(&spread::overview(study.plan(), &folder, &args.output, global)?);
    }
    // Before anything is written, so that a signal finds no half-written file.
    let watch = Terminal::new(global.quiet)?;
    let mut store = shards::store(&folder, study.plan(), &args.output, global)?;
    let report = study.run(&mut store, &watch)?;
    let shown = report.tables.first().cloned();
    present::tables(&report, shown, &mut store, &args.output, global).map(|()| None)
}
