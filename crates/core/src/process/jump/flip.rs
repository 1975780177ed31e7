//! Bits that flip, each at rate 1.

use super::{Graph, Member};

pub(super) const MEMBER: Member =
    Member { name: "flip", parameters: &[], about: "each bit flips, at rate 1 per σ", build: |_| Ok(Graph::Flip) };
