//! Symbols that are masked, at rate 1; the mask is symbol V.

use super::{Graph, Jump, SYMBOLS, symbols};
use crate::error::Result;
use crate::process::{Other, ProcessSpec};

/// `absorb:symbols=V`.
pub const ABSORB: Other =
    Other { name: "absorb", about: "each of V symbols becomes the mask V, at rate 1 per σ", read };

fn read(pairs: &str, whole: &str) -> Result<ProcessSpec> {
    let graph = |parameters: &_| Ok(Graph::Absorb { symbols: symbols(parameters)? });
    Jump::read((ABSORB.name, &SYMBOLS), pairs, whole, graph)
}
