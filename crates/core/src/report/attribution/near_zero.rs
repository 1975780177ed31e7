//! What the parts come to near t = 0, and in words.

use super::Attribution;
use crate::attribution::PartKind;
use crate::quantity::Quantity;
use crate::report::table::one_line;
use crate::report::{Curve, ModelReport};

/// Parts that a sentence names at most, and what they should make together.
const NAMED: usize = 3;
const MOST: f64 = 0.5;

/// A part's share of the window near 0.
#[derive(Debug, Clone, PartialEq)]
pub struct NearZeroShare {
    /// Its name.
    pub part: String,
    /// Its share of ∫ D dlog(t + 1): the timesteps are evenly spaced so, and near 0 is where shares are asked for.
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
            let known: Vec<f64> = weights.iter().filter_map(at).collect();
            if known.is_empty() { f64::NAN } else { known.iter().sum::<f64>() / total }
        };
        let all = self.parts(kind).into_iter().map(|part| NearZeroShare { part: part.into(), share: share(part) });
        let mut all: Vec<NearZeroShare> = all.filter(|part| part.share.is_finite()).collect();
        all.sort_by(|a, b| b.share.total_cmp(&a.share));
        all
    }
}

/// D(t) times the length of log(t + 1) that belongs to t: half of the way to each neighbour; alone, 1.
fn weights(curve: &Curve, times: &[f64]) -> Vec<(f64, f64)> {
    let mean = |t: f64| curve.points.iter().find(|point| point.timestep == t)?.mean.filter(|mean| *mean > 0.0);
    let known: Vec<(f64, f64)> = times.iter().filter_map(|t| Some((*t, mean(*t)?))).collect();
    let place = |i: usize| known[i].0.ln_1p();
    let length = |i: usize| match known.len() {
        1 => 1.0,
        count => 0.5 * (place((i + 1).min(count - 1)) - place(i.saturating_sub(1))),
    };
    known.iter().enumerate().map(|(i, (t, mean))| (*t, mean * length(i))).collect()
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
        parts.push(named(kind, verb, &shares));
    }
    if parts.is_empty() {
        return Some(format!("{name}∂ε/∂t is 0 near t = 0, so it has no parts there."));
    }
    Some(format!("{name}Of ∂ε/∂t below t = {until}, {}.", parts.join("; ")))
}

/// `90 % enters at blocks.1 (61 %) and blocks.0 (29 %), 2 of 3 sites`
fn named(kind: PartKind, verb: &str, shares: &[NearZeroShare]) -> String {
    let mut sum = 0.0;
    let enough = |part: &&NearZeroShare| {
        let goes_on = sum < MOST;
        sum += part.share;
        goes_on
    };
    let chosen: Vec<&NearZeroShare> = shares.iter().take(NAMED).take_while(enough).collect();
    let total: f64 = chosen.iter().map(|part| part.share).sum();
    let word = |part: &&NearZeroShare| match chosen.len() {
        1 => part_name(kind, &part.part),
        _ => format!("{} ({})", part_name(kind, &part.part), percent(part.share)),
    };
    let words: Vec<String> = chosen.iter().map(word).collect();
    let what = match kind {
        PartKind::Site => "sites",
        PartKind::Frequency => "parts of the time embedding",
    };
    let against = cancelling(shares);
    format!("{} {verb} {}, {} of {} {what}{against}", percent(total), listed(&words), chosen.len(), shares.len())
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
pub(crate) fn part_name(kind: PartKind, part: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic::{attributed, both_quantities};

    #[test]
    fn shares_near_zero_are_weighted_means() {
        let mut report = attributed();
        let (shares, until) = report.models[0].near_zero_shares(PartKind::Site).unwrap();
        assert_eq!((until, shares.len(), shares[0].part.as_str()), (100.0, 10, "site 0"));
        assert!((shares[0].share - 0.9).abs() < 1e-12 && (shares[9].share + 0.1).abs() < 1e-12, "{shares:?}");
        assert!((shares.iter().map(|part| part.share).sum::<f64>() - 1.0).abs() < 1e-12);
        // Each timestep counts by D and by what of log(t + 1) it stands for.
        let found = report.models[0].attribution.as_mut().unwrap();
        for row in found.rows.iter_mut().filter(|row| row.timestep == 99.0) {
            row.share = Some(if row.part == "site 2" { 1.0 } else { 0.0 });
        }
        let curve = report.models[0].curves[1].clone();
        let at = |t: f64| curve.points.iter().find(|point| point.timestep == t).unwrap().mean.unwrap();
        let [two, nine, hundred] = [2.0, 9.0, 100.0].map(f64::ln);
        let lengths = [two, nine, hundred - two, hundred - nine];
        let weights: Vec<f64> = lengths.iter().zip([0.0, 1.0, 8.0, 99.0]).map(|(length, t)| length * at(t)).collect();
        let (shares, _) = report.models[0].near_zero_shares(PartKind::Site).unwrap();
        let expected = 0.9 * weights[..3].iter().sum::<f64>() / weights.iter().sum::<f64>();
        assert!((shares[0].share - expected).abs() < 1e-12, "{shares:?}");
    }

    #[test]
    fn the_sentence_names_what_makes_most() {
        let said = attribution_reading(&attributed().models);
        assert_eq!(said, "Of ∂ε/∂t below t = 100, 90 % enters at site 0, 1 of 10 sites.");
        assert_eq!(attribution_reading(&both_quantities().models), "");
        let mut zero = attributed();
        for row in &mut zero.models[0].attribution.as_mut().unwrap().rows {
            row.share = None;
        }
        assert!(attribution_reading(&zero.models).contains("has no parts there"));
    }
}
