//! Symbols that become any other, at rate 1/V each.

use super::{Graph, Jump, SYMBOLS, symbols};
use crate::error::Result;
use crate::process::{Other, ProcessSpec};

/// `uniform:symbols=V`.
pub const UNIFORM: Other =
    Other { name: "uniform", about: "each of V symbols becomes any other, at rate 1/V per σ", read };

fn read(pairs: &str, whole: &str) -> Result<ProcessSpec> {
    let graph = |parameters: &_| Ok(Graph::Uniform { symbols: symbols(parameters)? });
    Jump::read((UNIFORM.name, &SYMBOLS), pairs, whole, graph)
}
