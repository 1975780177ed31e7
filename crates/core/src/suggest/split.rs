//! Ways to cut [0, t̃) into n sub-intervals. A new one is one constant and one line in [`SPLITS`].

use super::MeasuredCurve;
use super::grid::on_grid;
use crate::lipschitz_mass::LipschitzMass;
use crate::time::Timestep;

/// One way.
#[derive(Debug)]
pub struct Split {
    /// Name as it is typed.
    pub name: &'static str,
    /// What is alike in all sub-intervals.
    pub about: &'static str,
    /// The n + 1 boundaries, whole and increasing, of n sub-intervals of [0, until).
    pub boundaries: fn(&MeasuredCurve, until: usize, n: usize) -> Vec<Timestep>,
}

/// The family.
pub const SPLITS: &[Split] = &[
    Split { name: "mass", about: "equal Lipschitz mass (how far ε moves)", boundaries: mass },
    Split { name: "error", about: "equal mass of x̂₀ (how far the predicted x₀ moves)", boundaries: error },
    Split { name: "uniform", about: "equal length", boundaries: uniform },
];

fn mass(curve: &MeasuredCurve, until: usize, n: usize) -> Vec<Timestep> {
    equal(&curve.mass, until, n)
}

fn error(curve: &MeasuredCurve, until: usize, n: usize) -> Vec<Timestep> {
    equal(&curve.x0_mass, until, n)
}

pub(super) fn uniform(_curve: &MeasuredCurve, until: usize, n: usize) -> Vec<Timestep> {
    on_grid((0..=n).map(|i| i as f64 * until as f64 / n as f64))
}

fn equal(mass: &LipschitzMass, until: usize, n: usize) -> Vec<Timestep> {
    on_grid(mass.equal_parts(0.0, until as f64, n).into_iter())
}
