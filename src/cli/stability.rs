//! `lipscope stability`.

use super::Outcome;
use super::args::{Global, StabilityArgs};
use crate::error::{Error, Result};

/// Not there yet.
pub(super) fn run(_args: &StabilityArgs, _global: &Global) -> Result<Option<Outcome>> {
    Err(Error::mismatch("`lipscope stability` is not there yet", "Use another command."))
}
