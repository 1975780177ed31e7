//! `lipscope evaluate CKPT…`.

use super::present;
use super::setup::setup;
use super::shards;
use super::spread;
use super::watch::Terminal;
use crate::error::Result;
use crate::evaluate::Evaluation;
use lipscope_core::cli::args::{EvaluateArgs, Global};
use lipscope_core::cli::{Outcome, output};

/// Evaluates every model in every way that was asked for.
pub(super) fn run(args: &EvaluateArgs, global: &Global) -> Result<Option<Outcome>> {
    let evaluation = Evaluation::new(args, &setup(global))?;
    let folder = evaluation.folder(args.output.out.as_deref());
    if global.dry_run {
        return output::print_json(&spread::overview(evaluation.plan(), &folder, &args.output, global)?);
    }
    // Before anything is written, so that a signal finds no half-written file.
    let watch = Terminal::new(global.quiet)?;
    let mut store = shards::store(&folder, evaluation.plan(), &args.output, global)?;
    let report = evaluation.run(&mut store, &watch)?;
    let shown = Evaluation::shown(&report);
    present::tables(&report, shown, &mut store, &args.output, global).map(|()| None)
}
