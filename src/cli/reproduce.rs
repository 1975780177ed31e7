//! `lipscope reproduce`.

use super::Outcome;
use super::args::{Global, ReproduceArgs};
use crate::error::{Error, Result};

/// Not there yet.
pub(super) fn run(_args: &ReproduceArgs, _global: &Global) -> Result<Option<Outcome>> {
    Err(Error::mismatch("`lipscope reproduce` is not there yet", "Use another command."))
}
