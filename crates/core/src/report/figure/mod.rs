//! `lipschitz.svg|png|pdf`: the curves over timesteps, one column wide.
//!
//! Panel (a) shows all timesteps, panel (b) the region near t = 0. Both have logarithmic y axes; values that are exactly
//! 0, as inside shared sub-intervals, stand in a strip below, and the jumps between them rise from it as stems.

mod panel;
mod series;
mod trace;
mod wording;

use super::Report;
use super::drawing::font;
use super::drawing::ink::{Ink, text_width};
use super::drawing::legend::{Key, Legend};
use super::drawing::{COLUMN, Figure, LABEL_TEXT, MARGIN};
use crate::error::Result;
use panel::Panel;
pub(super) use series::is_jump;
use series::{Run, Series};

/// Height of one of two panels, and of a panel that stands alone.
const PANEL_HEIGHT: (f64, f64) = (130.0, 165.0);

/// Draws the curves of a report.
///
/// # Errors
/// [`crate::error::Error::Mismatch`] when no timestep has a value, or when curves differ in unit, norm or axis.
pub fn figure(report: &Report) -> Result<Figure> {
    font::register()?;
    let series = series::series(report)?;
    let y_labels = wording::y_labels(report)?;
    let shared = shared_boundaries(report);
    let panels = panels(report, &series, &shared);
    let legend = Legend::new(keys(&series, panels.iter().any(Panel::shows_shades)), COLUMN - 2.0 * MARGIN);
    let panel_height = if panels.len() > 1 { PANEL_HEIGHT.0 } else { PANEL_HEIGHT.1 };
    let top = MARGIN + legend.height + 2.0;
    let height = (top + panel_height * panels.len() as f64 + MARGIN).ceil();

    let mut drawn = String::new();
    let ink = Ink::new(&mut drawn, COLUMN, height);
    legend.draw(&ink, (MARGIN, MARGIN))?;
    draw_y_label(&ink, &y_labels, (top, height))?;
    let room = panels.iter().map(Panel::label_room).fold(0.0, f64::max);
    let left = MARGIN + 1.4 * LABEL_TEXT + room;
    for (i, panel) in panels.iter().enumerate() {
        let above = top + panel_height * i as f64;
        panel.draw(&ink, left, COLUMN - 2.5 * MARGIN, (above, above + panel_height))?;
    }
    ink.finish()?;
    Figure::new(&drawn, (COLUMN, height), "lipschitz", wording::description(report))
}

/// What the legend explains.
fn keys(series: &[Series], shared: bool) -> Vec<(Key, String)> {
    let mut keys: Vec<(Key, String)> = series.iter().map(|s| (Key::Curve(s.look), s.name.clone())).collect();
    if series.iter().flat_map(|s| &s.runs).flat_map(Run::means).any(|m| m.interval.is_some()) {
        keys.push((Key::Band, "95 % CI".into()));
    }
    if shared {
        keys.push((Key::Shared, "shared sub-interval".into()));
    }
    if let Some(series) = series.iter().find(|s| !s.undefined.is_empty()) {
        let what = "a jump: no derivative here, and 0 beside it by construction";
        keys.push((Key::Undefined(series.look.stroke), what.into()));
    }
    keys
}

/// The most explicit label of the vertical axis, and the shortest.
pub(super) fn y_labels(report: &Report) -> Result<(String, String)> {
    let labels = wording::y_labels(report)?;
    let label = |label: Option<&String>| label.cloned().unwrap_or_default();
    Ok((label(labels.first()), label(labels.last())))
}

/// One label for all panels, the most explicit that fits.
fn draw_y_label(ink: &Ink, labels: &[String], (top, bottom): (f64, f64)) -> Result<()> {
    let fits = |label: &&String| text_width(label, LABEL_TEXT) <= bottom - top;
    let Some(label) = labels.iter().find(fits).or(labels.last()) else { return Ok(()) };
    ink.text_upwards(label, (MARGIN + 0.8 * LABEL_TEXT, (top + bottom) / 2.0), LABEL_TEXT)
}

/// The whole range, and the region near 0 unless it is the whole range or holds nothing.
fn panels<'a>(report: &Report, series: &'a [Series], shared: &'a [f64]) -> Vec<Panel<'a>> {
    let timesteps: Vec<f64> = series.iter().flat_map(|s| &s.runs).flat_map(Run::timesteps).collect();
    let first = timesteps.iter().copied().fold(f64::INFINITY, f64::min);
    let last = timesteps.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total = report.models.iter().map(|m| m.model.timesteps as f64).fold(last, f64::max);
    // A curve that reaches the last steps gets the whole axis, so that its end is labelled: 1000, not 800.
    let end = if last >= 0.95 * total { total } else { last };
    let whole = if first < last { (first, end) } else { ((first - 1.0).max(0.0), last + 1.0) };
    let unfinished = if report.complete { "" } else { ", unfinished" };
    let (from, until) = near_zero(report);
    let near = (from, until + 0.15 * (until - from));
    let enlarged = Panel::new(format!("(b) near t = 0{unfinished}"), near, series, Some(shared));
    if whole.1 <= near.1 || enlarged.points() < 2 {
        let caption = if report.complete { String::new() } else { "unfinished run".into() };
        return vec![Panel::new(caption, whole, series, Some(shared))];
    }
    vec![Panel::new(format!("(a) all measured timesteps{unfinished}"), whole, series, None), enlarged]
}

/// The window near 0: the summary's, else the shared one, else a tenth of all timesteps.
pub(super) fn near_zero(report: &Report) -> (f64, f64) {
    let summarised = report.models.iter().flat_map(|m| &m.summary).map(|s| (s.near_zero.from, s.near_zero.until));
    let sane = |(from, until): &(f64, f64)| from.is_finite() && until.is_finite() && from < until;
    let shared = report.models.iter().filter_map(|m| m.model.boundaries.last()).map(|end| (0.0, *end));
    let tenth = report.models.iter().map(|m| (0.0, m.model.timesteps as f64 / 10.0));
    summarised.chain(shared).chain(tenth).find(sane).unwrap_or((0.0, 100.0))
}

/// The boundaries to shade: those of the models that share, if they all share alike.
pub(super) fn shared_boundaries(report: &Report) -> Vec<f64> {
    let mut sharing = report.models.iter().map(|m| &m.model.boundaries).filter(|b| b.len() > 1);
    match sharing.next() {
        Some(first) if sharing.all(|other| other == first) => first.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
