//! Symbols that are masked, at rate 1; the mask is symbol V.

use super::{Graph, Member, symbols};

pub(super) const MEMBER: Member = Member {
    name: "absorb",
    parameters: &[("symbols", "")],
    about: "each of V symbols becomes the mask V, at rate 1 per σ",
    build: |parameters| Ok(Graph::Absorb { symbols: symbols(parameters)? }),
};
