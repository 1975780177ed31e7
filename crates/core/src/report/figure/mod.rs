//! `lipschitz.svg|png|pdf`: the curves over timesteps, one column wide.
//!
//! Panel (a) shows all timesteps, panel (b) the region near t = 0. Both have logarithmic y axes; values that are exactly
//! 0, as inside shared sub-intervals, stand in the strip below. Curves of models that know σ and no steps stand over the
//! noise level (see `horizontal`).

mod horizontal;
mod series;
mod wording;

pub(super) use horizontal::Horizontal;

use super::plot::{self, Form, Panel, Plot, Trace, Variable};
use super::{Figure, Report};
use crate::error::Result;

/// Draws the curves of a report.
///
/// # Errors
/// [`crate::error::Error::Mismatch`] when no timestep has a value, or when curves differ in unit, norm or axis.
pub fn figure(report: &Report) -> Result<Figure> {
    Ok(plot::draw(&describe(report)?)?.0)
}

/// What the figure of a report shows.
pub(super) fn describe(report: &Report) -> Result<Plot> {
    let horizontal = Horizontal::of(report);
    let (series, traces) = series::series(report, horizontal)?;
    Ok(Plot {
        name: "lipschitz".into(),
        title: String::new(),
        description: wording::description(report, horizontal),
        x: Variable { labels: horizontal.labels(report), log: horizontal == Horizontal::NoiseLevel },
        y: Variable { labels: wording::y_labels(report)?, log: true },
        series,
        categories: Vec::new(),
        panels: panels(report, traces, horizontal),
        stacked: true,
        bands: true,
        form: Form::Lines,
    })
}

/// The whole range, and the region near 0 unless it is the whole range or holds nothing.
fn panels(report: &Report, traces: Vec<Trace>, horizontal: Horizontal) -> Vec<Panel> {
    let measured = || traces.iter().flat_map(|t| &t.spots).filter(|spot| spot.y.is_some()).map(|spot| spot.x);
    let (first, last) = (measured().fold(f64::INFINITY, f64::min), measured().fold(f64::NEG_INFINITY, f64::max));
    let whole = whole(report, (first, last), horizontal);
    let unfinished = if report.complete { "" } else { ", unfinished" };
    let near = near_window(report, horizontal);
    let seen = measured().filter(|t| (near.0..=near.1).contains(t)).count();
    let shades = |(lo, hi): (f64, f64)| {
        let boundaries = shared_boundaries(report, horizontal);
        let any = boundaries.windows(2).any(|ends| ends[0] < hi && lo < ends[1]);
        if any { boundaries } else { Vec::new() }
    };
    if whole.1 <= near.1 || seen < 2 {
        let caption = if report.complete { String::new() } else { "unfinished run".into() };
        return vec![Panel { caption, window: Some(whole), traces, shades: shades(whole), enlarged: true }];
    }
    let all = Panel {
        caption: format!("(a) all measured timesteps{unfinished}"),
        window: Some(whole),
        traces: traces.clone(),
        ..Panel::default()
    };
    let caption = format!("(b) {}{unfinished}", horizontal.data_end());
    vec![all, Panel { caption, window: Some(near), traces, shades: shades(near), enlarged: true }]
}

/// The window of all measured places.
fn whole(report: &Report, (first, last): (f64, f64), horizontal: Horizontal) -> (f64, f64) {
    if horizontal == Horizontal::NoiseLevel {
        return if first < last { (first, last) } else { (first / 2.0, last * 2.0) };
    }
    let total = report.models.iter().map(|m| m.model.timesteps as f64).fold(last, f64::max);
    // A curve that reaches the last steps gets the whole axis, so that its end is labelled: 1000, not 800.
    let end = if last >= 0.95 * total { total } else { last };
    if first < last { (first, end) } else { ((first - 1.0).max(0.0), last + 1.0) }
}

/// The part of the axis that panel (b) shows: the window near 0, and a little beyond it.
pub(super) fn near_window(report: &Report, horizontal: Horizontal) -> (f64, f64) {
    let (from, until) = near_zero(report);
    let near = (from, until + 0.15 * (until - from));
    if horizontal == Horizontal::Timestep {
        return near;
    }
    let points = || report.models.iter().flat_map(|model| &model.curves).flat_map(|curve| &curve.points);
    let inside = points().filter(|point| (near.0..=near.1).contains(&point.timestep));
    let places = inside.map(|point| horizontal.place(point));
    places.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), place| (lo.min(place), hi.max(place)))
}

/// The window near 0: the summary's, else the shared one, else a tenth of all timesteps.
fn near_zero(report: &Report) -> (f64, f64) {
    let summarised = report.models.iter().flat_map(|m| &m.summary).map(|s| (s.near_zero.from, s.near_zero.until));
    let sane = |(from, until): &(f64, f64)| from.is_finite() && until.is_finite() && from < until;
    let shared = report.models.iter().filter_map(|m| m.model.boundaries.last()).map(|end| (0.0, *end));
    let tenth = report.models.iter().map(|m| (0.0, m.model.timesteps as f64 / 10.0));
    summarised.chain(shared).chain(tenth).find(sane).unwrap_or((0.0, 100.0))
}

/// The boundaries to shade: those of the models that share, if they all share alike.
fn shared_boundaries(report: &Report, horizontal: Horizontal) -> Vec<f64> {
    let mut sharing = report.models.iter().map(|m| series::boundaries(m, horizontal)).filter(|b| b.len() > 1);
    match sharing.next() {
        Some(first) if sharing.all(|other| other == first) => first,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
