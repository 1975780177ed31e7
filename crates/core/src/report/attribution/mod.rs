//! ∂ε/∂t told apart: parts by site and by frequency, over timesteps.

mod figure;
mod near_zero;
mod tables;

pub use figure::attribution_figures;
pub(super) use figure::describe;
pub use near_zero::{NearZeroShare, attribution_reading};
pub(crate) use near_zero::{part_name, percent};
pub(super) use tables::{COLUMNS, attribution_frame};
pub use tables::{attribution_csv, attribution_table};

use crate::attribution::PartKind;
use serde::{Deserialize, Serialize};

/// The parts of one model's ∂ε/∂t.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    /// Samples x per timestep: the first of those that the curve rests on.
    pub samples: u64,
    /// Unit of the norms, which is the curve's.
    pub unit: String,
    /// One row per timestep, kind and part; parts in the order of the forward pass, or fastest first.
    pub rows: Vec<PartRow>,
    /// Evaluations of the network on one x, which are not in the curve's count.
    pub function_evaluations: u64,
    /// Seconds that it took.
    pub wall_seconds: f64,
}

/// One part of ∂ε/∂t at one timestep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartRow {
    /// t in steps.
    pub timestep: f64,
    /// What the part belongs to.
    pub kind: PartKind,
    /// A site's name, or frequencies in rad per unit of what the network is told.
    pub part: String,
    /// E‖part‖.
    pub norm: Option<f64>,
    /// E⟨part, ∂ε/∂t⟩/E‖∂ε/∂t‖²: the parts of a kind add up to 1; `None` where ∂ε/∂t is 0.
    pub share: Option<f64>,
    /// Lower end of its 95 % interval.
    pub share_ci_low: Option<f64>,
    /// Upper end of its 95 % interval.
    pub share_ci_high: Option<f64>,
}

impl Attribution {
    /// The rows of one kind.
    pub fn rows_of(&self, kind: PartKind) -> impl Iterator<Item = &PartRow> {
        self.rows.iter().filter(move |row| row.kind == kind)
    }

    /// The names of the parts of one kind, in their order.
    pub fn parts(&self, kind: PartKind) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for row in self.rows_of(kind) {
            if !names.contains(&row.part.as_str()) {
                names.push(&row.part);
            }
        }
        names
    }

    /// The timesteps, ascending.
    pub fn timesteps(&self) -> Vec<f64> {
        let mut times: Vec<f64> = self.rows.iter().map(|row| row.timestep).collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        times
    }

    /// The row of a part at a timestep.
    pub fn row(&self, kind: PartKind, part: &str, t: f64) -> Option<&PartRow> {
        self.rows_of(kind).find(|row| row.part == part && row.timestep == t)
    }
}
