//! Symbols that become any other, at rate 1/V each.

use super::{Graph, Member, symbols};

pub(super) const MEMBER: Member = Member {
    name: "uniform",
    parameters: &[("symbols", "")],
    about: "each of V symbols becomes any other, at rate 1/V per σ",
    build: |parameters| Ok(Graph::Uniform { symbols: symbols(parameters)? }),
};
