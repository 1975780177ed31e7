//! Parts of ∂ε/∂t: what is told apart, and what the parts of one timestep come to.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What `--attribute` tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// The places where t enters the network
    Site,
    /// The frequencies of the time embedding
    Frequency,
    /// Both, one after the other
    Both,
}

/// What a part of ∂ε/∂t belongs to. The parts of each kind add up to ∂ε/∂t.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// A place where t enters.
    Site,
    /// A frequency of the time embedding.
    Frequency,
}

impl Attribute {
    /// What is told apart.
    pub fn kinds(self) -> &'static [PartKind] {
        match self {
            Attribute::Site => &[PartKind::Site],
            Attribute::Frequency => &[PartKind::Frequency],
            Attribute::Both => &[PartKind::Site, PartKind::Frequency],
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Attribute::Site => "site",
            Attribute::Frequency => "frequency",
            Attribute::Both => "both",
        })
    }
}

impl PartKind {
    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            PartKind::Site => "site",
            PartKind::Frequency => "frequency",
        }
    }
}

impl fmt::Display for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
