//! `lipscope sample`.

use super::Outcome;
use super::args::{Global, SampleArgs};
use crate::error::{Error, Result};

/// Not there yet.
pub(super) fn run(_args: &SampleArgs, _global: &Global) -> Result<Option<Outcome>> {
    Err(Error::mismatch("`lipscope sample` is not there yet", "Use another command."))
}
