//! Bits that flip, each at rate 1.

use super::{Graph, Jump};
use crate::error::Result;
use crate::process::{Other, ProcessSpec};

/// `flip`.
pub const FLIP: Other = Other { name: "flip", about: "each bit flips, at rate 1 per σ", read };

fn read(pairs: &str, whole: &str) -> Result<ProcessSpec> {
    Jump::read((FLIP.name, &[]), pairs, whole, |_| Ok(Graph::Flip))
}
