//! `lipscope measure CKPT`.

use super::args::{Global, MeasureArgs};
use super::model::Opened;
use super::{Outcome, job, prepare, rounding};
use crate::checkpoint::Request;
use crate::error::Result;

/// The Lipschitz curve of one checkpoint.
pub(super) fn run(args: &MeasureArgs, global: &Global) -> Result<Option<Outcome>> {
    let arithmetic = prepare::arithmetic(global, &args.model.dtype)?;
    let request = Request { device: arithmetic.0, weights: args.model.weights.as_deref() };
    let opened = Opened::open(&args.checkpoint, args.label.as_deref(), &args.options.data, &request)?;
    let share = [args.model.share.as_deref()];
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
