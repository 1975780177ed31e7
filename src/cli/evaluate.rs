//! `lipscope evaluate`.

use super::Outcome;
use super::args::{EvaluateArgs, Global};
use crate::error::{Error, Result};

/// Not there yet.
pub(super) fn run(_args: &EvaluateArgs, _global: &Global) -> Result<Option<Outcome>> {
    Err(Error::mismatch("`lipscope evaluate` is not there yet", "Use another command."))
}
