//! What there is to be seen, in sentences that follow from the numbers.

use crate::report::{Curve, ModelReport, Report, Summary};
use lipscope_core::singularity::Verdict;

/// A model with its secants and what they come to.
struct Told<'a> {
    model: &'a ModelReport,
    curve: &'a Curve,
    summary: &'a Summary,
}

/// Of a DDPM, an E-TSDM and their ideal denoiser: how strong, whether singular, what sharing removes, what it adds at
/// the boundaries, and above them. What the report does not have is left out.
pub(super) fn of(report: &Report) -> Vec<String> {
    let told: Vec<Told> = report.models.iter().filter_map(Told::new).collect();
    let [ddpm, shared, ideal] = told.as_slice() else { return Vec::new() };
    let sentences =
        [strength(ddpm), singular(ddpm, ideal), removes(ddpm, shared), adds(ddpm, shared), above(ddpm, shared)];
    sentences.into_iter().flatten().collect()
}

impl<'a> Told<'a> {
    fn new(model: &'a ModelReport) -> Option<Self> {
        Some(Self { model, curve: model.curves.first()?, summary: model.summary.first()? })
    }

    fn until(&self) -> f64 {
        self.summary.near_zero.until
    }

    /// Timesteps and means in [from, until).
    fn points(&self, from: f64, until: f64) -> Vec<(f64, f64)> {
        let here = self.curve.points.iter().filter(|point| (from..until).contains(&point.timestep));
        here.filter_map(|point| Some((point.timestep, point.mean?))).collect()
    }

    fn total_variation(&self) -> Option<f64> {
        self.summary.near_zero.total_variation
    }

    /// As which power of t + 1 it blows up, if it does.
    fn power(&self) -> Option<f64> {
        let found = self.summary.singularity.as_ref().filter(|found| found.verdict == Verdict::Singular)?;
        Some(found.exponent)
    }
}

fn strength(ddpm: &Told) -> Option<String> {
    let near = &ddpm.summary.near_zero;
    let times = ddpm.summary.peak_ratio?;
    Some(format!(
        "K(t, t+1), how far the predicted noise moves in one timestep, peaks at t = {} in the DDPM: {:.2}, {times:.0} times its median \
         beyond t = {}.",
        near.argmax?, near.max?, near.until
    ))
}

/// Whether the trained network shows what its ideal denoiser does, and how much of it.
fn singular(ddpm: &Told, ideal: &Told) -> Option<String> {
    let (of_ideal, until) = (signed(ideal.power()?), ddpm.until());
    let part = 100.0 * ddpm.total_variation()? / ideal.total_variation()?;
    let first = ideal.points(0.0, 1.0).first()?.1;
    Some(match ddpm.power() {
        Some(power) => format!(
            "It is singular: towards t = 0 K grows as (t+1)^{}, as that of the ideal denoiser of its data does ({of_ideal}, {first:.2} at \
             t = 0), of whose change below t = {until} it makes {part:.0} %.",
            signed(power)
        ),
        None => format!(
            "The ideal denoiser of its data is singular: towards t = 0 K grows as (t+1)^{of_ideal}, to {first:.2} at t = 0. Of that change \
             below t = {until} the DDPM makes {part:.0} %: whether it is singular itself cannot be told yet."
        ),
    })
}

fn removes(ddpm: &Told, shared: &Told) -> Option<String> {
    let until = ddpm.until();
    let near = shared.points(0.0, until);
    let still = near.iter().filter(|(_, mean)| *mean == 0.0).count();
    let left = 100.0 * shared.total_variation()? / ddpm.total_variation()?;
    let intervals = shared.model.model.boundaries.len().checked_sub(1)?;
    Some(format!(
        "E-TSDM tells its network one t within each of {intervals} sub-intervals below t = {until}: K is exactly 0 at {still} of the {} \
         timesteps measured there, and {left:.0} % of the DDPM's change below t = {until} remains.",
        near.len()
    ))
}

fn adds(ddpm: &Told, shared: &Told) -> Option<String> {
    let near = shared.points(0.0, ddpm.until());
    let (timestep, jump) = near.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let peak = ddpm.summary.near_zero.max?;
    Some(format!(
        "What remains is in the jumps where sub-intervals meet: from t = {timestep} to {} it moves by {jump:.2}, {:.1} times the DDPM's peak.",
        timestep + 1.0,
        jump / peak
    ))
}

fn above(ddpm: &Told, shared: &Told) -> Option<String> {
    let until = ddpm.until();
    let (own, other) = (ddpm.points(until, f64::INFINITY), shared.points(until, f64::INFINITY));
    let mut ratios: Vec<f64> = own.iter().zip(&other).filter(|(a, b)| a.0 == b.0).map(|(a, b)| b.1 / a.1).collect();
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2)?;
    Some(format!(
        "Above t = {until}, where nothing is shared, K of E-TSDM is {median:.2} times the DDPM's (median over t)."
    ))
}

/// `−0.81`, with a minus that is one.
fn signed(power: f64) -> String {
    format!("{power:.2}").replace('-', "−")
}
