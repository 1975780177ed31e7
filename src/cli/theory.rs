//! `lipscope theory`.

use super::args::{Global, Overrides, TheoryArgs};
use super::{Outcome, curves};
use crate::error::Result;
use crate::run::Measurement;

/// The ideal denoiser's curve for a data set and schedule.
pub(super) fn run(args: &TheoryArgs, global: &Global) -> Result<Option<Outcome>> {
    let TheoryArgs { label, schedule, share, options, output } = args;
    let overrides = Overrides { schedule: Some(schedule.clone()), share: share.clone(), ..Overrides::default() };
    let measurement = Measurement::of_ideal(label.as_deref(), options, &overrides, &super::setup(global))?;
    curves(measurement, output, global).map(|_| None)
}
