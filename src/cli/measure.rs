//! `lipscope measure CKPT`.

use super::curves::curves;
use super::setup::setup;
use crate::error::Result;
use crate::run::Measurement;
use lipscope_core::cli::Outcome;
use lipscope_core::cli::args::{Global, MeasureArgs};

/// The Lipschitz curve of one checkpoint.
pub(super) fn run(args: &MeasureArgs, global: &Global) -> Result<Option<Outcome>> {
    let MeasureArgs { checkpoint, label, rounding, options, model, output } = args;
    let setup = setup(global);
    let mut measurement = Measurement::of_checkpoint(checkpoint, label.as_deref(), options, model, &setup)?;
    if *rounding {
        measurement = measurement.with_rounding(checkpoint, options, model)?;
    }
    curves(measurement, output, global).map(|_| None)
}
