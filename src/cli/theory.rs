//! `lipscope theory`.

use super::curves::curves;
use super::setup::setup;
use crate::error::Result;
use crate::run::Measurement;
use lipscope_core::cli::Outcome;
use lipscope_core::cli::args::{Global, Overrides, TheoryArgs};

/// The ideal denoiser's curve for a data set and schedule.
pub(super) fn run(args: &TheoryArgs, global: &Global) -> Result<Option<Outcome>> {
    let TheoryArgs { label, schedule, share, options, output } = args;
    let overrides = Overrides { schedule: Some(schedule.clone()), share: share.clone(), ..Overrides::default() };
    let measurement = Measurement::of_ideal(label.as_deref(), options, &overrides, &setup(global))?;
    curves(measurement, output, global).map(|_| None)
}
