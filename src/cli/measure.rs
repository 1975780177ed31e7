//! `lipscope measure CKPT`.

use super::args::{Global, MeasureArgs};
use super::model::Opened;
use super::said::Said;
use super::{Outcome, job, prepare, rounding};
use crate::error::Result;

/// The Lipschitz curve of one checkpoint.
pub(super) fn run(args: &MeasureArgs, global: &Global) -> Result<Option<Outcome>> {
    let arithmetic = prepare::arithmetic(global, args.model.dtype)?;
    let said = Said::new(&args.model)?;
    let opened =
        Opened::open(&args.checkpoint, args.label.as_deref(), &args.options.data, &said.request(arithmetic.0))?;
    let share = [args.model.share.as_ref()];
    let mut prepared =
        prepare::prepare("measure", vec![opened], &share, (&args.options, &args.model), arithmetic, global.seed)?;
    if args.rounding {
        prepared.rounding = Some(rounding::open(args, &prepared)?);
    }
    if !job::dry_run(&prepared, global)? {
        job::carry_out(prepared, global)?;
    }
    Ok(None)
}
