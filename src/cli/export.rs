//! `lipscope export`.

use super::Outcome;
use super::args::{ExportArgs, Global};
use crate::error::{Error, Result};

/// Not there yet.
pub(super) fn run(_args: &ExportArgs, _global: &Global) -> Result<Option<Outcome>> {
    Err(Error::mismatch("`lipscope export` is not there yet", "Use another command."))
}
