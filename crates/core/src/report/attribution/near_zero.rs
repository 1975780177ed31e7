//! What the parts come to near t = 0, and in words.

use super::Attribution;
use crate::attribution::PartKind;
use crate::quantity::Quantity;
use crate::report::table::one_line;
use crate::report::{Curve, ModelReport};
use crate::time::Axis;

/// Parts that a sentence names at most, and what they should make together.
const NAMED: usize = 3;
const MOST: f64 = 0.5;

/// A part's share of the window near 0.
#[derive(Debug, Clone, PartialEq)]
pub struct NearZeroShare {
    /// Its name.
    pub part: String,
    /// Its share of ∫ D: the mean of its shares, weighted by D and the distance between timesteps.
    pub share: f64,
}

impl Attribution {
    /// The shares of all parts of a kind in the window [from, until), largest first; empty where D is 0 there or no share is
    /// known.
    pub fn near_zero(&self, kind: PartKind, curve: &Curve, (from, until): (f64, f64)) -> Vec<NearZeroShare> {
        let times: Vec<f64> = self.timesteps().into_iter().filter(|t| (from..until).contains(t)).collect();
        let weights = weights(curve, &times);
        let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let share = |part: &str| {
            let at = |(t, weight): &(f64, f64)| Some(weight * self.row(kind, part, *t)?.share?);
            weights.iter().filter_map(at).sum::<f64>() / total
        };
        let all = self.parts(kind).into_iter().map(|part| NearZeroShare { part: part.into(), share: share(part) });
        let mut all: Vec<NearZeroShare> = all.filter(|part| part.share.is_finite()).collect();
        all.sort_by(|a, b| b.share.total_cmp(&a.share));
        all
    }
}

/// D(t) times the length of the axis that belongs to t: half of the way to each neighbour; alone, 1.
fn weights(curve: &Curve, times: &[f64]) -> Vec<(f64, f64)> {
    let points = || times.iter().filter_map(|t| curve.points.iter().find(|point| point.timestep == *t));
    let place = |point: &crate::report::Point| match curve.axis {
        Axis::Step | Axis::Unit => Some(point.timestep),
        Axis::Sigma => point.sigma,
        Axis::LogSnr => point.log_snr,
    };
    let known: Vec<(f64, f64, f64)> =
        points().filter_map(|p| Some((p.timestep, place(p)?, p.mean.filter(|mean| *mean > 0.0)?))).collect();
    let length = |i: usize| match known.len() {
        1 => 1.0,
        count => 0.5 * (known[(i + 1).min(count - 1)].1 - known[i.saturating_sub(1)].1).abs(),
    };
    known.iter().enumerate().map(|(i, (t, _, mean))| (*t, mean * length(i))).collect()
}

impl ModelReport {
    /// The shares near 0 of the parts of one kind, and where the window ends.
    pub fn near_zero_shares(&self, kind: PartKind) -> Option<(Vec<NearZeroShare>, f64)> {
        let attribution = self.attribution.as_ref()?;
        let near = &self.summary.iter().find(|summary| summary.quantity == Quantity::Derivative)?.near_zero;
        let curve = self.curves.iter().find(|curve| curve.quantity == Quantity::Derivative)?;
        let shares = attribution.near_zero(kind, curve, (near.from, near.until));
        (!shares.is_empty()).then_some((shares, near.until))
    }
}

/// One sentence per model: which sites and which frequencies make most of ∂ε/∂t near 0. Empty without an attribution.
pub fn attribution_reading(models: &[ModelReport]) -> String {
    let several = models.len() > 1;
    let sentences: Vec<String> = models.iter().filter_map(|model| one(model, several)).collect();
    sentences.join(" ")
}

fn one(model: &ModelReport, several: bool) -> Option<String> {
    model.attribution.as_ref()?;
    let name = if several { format!("{}: ", one_line(&model.label)) } else { String::new() };
    let kinds = [(PartKind::Site, "enters at"), (PartKind::Frequency, "comes through")];
    let mut until = 0.0;
    let mut parts = Vec::new();
    for (kind, verb) in kinds {
        let Some((shares, end)) = model.near_zero_shares(kind) else { continue };
        until = end;
        parts.push(format!("{verb} {}", named(kind, &shares)));
    }
    if parts.is_empty() {
        return Some(format!("{name}∂ε/∂t is 0 near t = 0, so it has no parts there."));
    }
    Some(format!("{name}Of ∂ε/∂t below t = {until}, most {}.", parts.join(", and ")))
}

/// `blocks.1 (61 %) and blocks.0 (29 %) of 3 sites`
fn named(kind: PartKind, shares: &[NearZeroShare]) -> String {
    let mut sum = 0.0;
    let enough = |part: &&NearZeroShare| {
        let goes_on = sum < MOST;
        sum += part.share;
        goes_on
    };
    let chosen: Vec<&NearZeroShare> = shares.iter().take(NAMED).take_while(enough).collect();
    let words: Vec<String> =
        chosen.iter().map(|part| format!("{} ({})", part_name(kind, &part.part), percent(part.share))).collect();
    let what = match kind {
        PartKind::Site => "sites",
        PartKind::Frequency => "parts of the time embedding",
    };
    format!("{}, of {} {what}{}", listed(&words), shares.len(), cancelling(shares))
}

/// Where parts work against each other, their shares alone mislead.
fn cancelling(shares: &[NearZeroShare]) -> String {
    let negative: f64 = shares.iter().map(|part| part.share.min(0.0)).sum();
    if negative > -0.2 {
        return String::new();
    }
    format!(" (others work against them with {} together)", percent(negative))
}

/// A part as a sentence has it.
pub(in crate::report) fn part_name(kind: PartKind, part: &str) -> String {
    match kind {
        PartKind::Frequency if part.starts_with(|c: char| c.is_ascii_digit()) => format!("ω = {part}"),
        _ => one_line(part),
    }
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// `a`, `a and b`, `a, b and c`.
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
