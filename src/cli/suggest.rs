//! `lipscope suggest`.

use super::Outcome;
use super::args::{Global, SuggestArgs};
use crate::error::{Error, Result};

/// Not there yet.
pub(super) fn run(_args: &SuggestArgs, _global: &Global) -> Result<Option<Outcome>> {
    Err(Error::mismatch("`lipscope suggest` is not there yet", "Use another command."))
}
