//! The rows of the tables.

use crate::quality;
use crate::report::Cell;

/// The row of the data against itself.
pub(super) const DATA: &str = "data";

/// The row of a table.
pub(super) type Row = Vec<Cell>;

pub(super) fn is_distance(metric: &str) -> bool {
    quality::find(metric).is_ok_and(|member| member.lower_is_better)
}
