//! `lipscope stability CKPT…`.

use super::present;
use super::setup::setup;
use super::shards;
use super::watch::Terminal;
use crate::error::Result;
use crate::stability::Study;
use lipscope_core::cli::args::{Global, StabilityArgs};
use lipscope_core::cli::{Outcome, output};

/// The perturbation test.
pub(super) fn run(args: &StabilityArgs, global: &Global) -> Result<Option<Outcome>> {
    let study = Study::new(args, &setup(global))?;
    if global.dry_run {
        return output::print_json(study.plan());
    }
    // Before anything is written, so that a signal finds no half-written file.
    let watch = Terminal::new(global.quiet)?;
    let folder = study.folder(args.output.out.as_deref());
    let mut store = shards::store((&folder, study.plan()), &args.output, global, &watch)?;
    let report = study.run(&mut store, &watch)?;
    let shown = report.tables.first().cloned();
    present::tables(&report, shown, &mut store, &args.output, global).map(|()| None)
}
