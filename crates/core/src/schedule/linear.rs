//! Linear β (Ho et al., DDPM, arXiv 2006.11239): β_t from `beta-start` to `beta-end` in T equal steps.

use super::{Built, Member, Parameters, Table};
use crate::error::Result;

pub(super) const MEMBER: Member = Member {
    name: "linear",
    parameters: &[("beta-start", "0.0001"), ("beta-end", "0.02")],
    about: "β linear in t (DDPM)",
    build,
};

fn build(parameters: &Parameters) -> Result<Built> {
    let betas = linspace(parameters.number("beta-start")?, parameters.number("beta-end")?, parameters.timesteps()?);
    Ok(Built::Table(Table::from_betas(&betas)?))
}

/// `count` ≥ 2 evenly spaced values from `start` to `end`, both included.
pub(super) fn linspace(start: f64, end: f64, count: usize) -> Vec<f64> {
    (0..count).map(|i| start + (end - start) * i as f64 / (count - 1) as f64).collect()
}
