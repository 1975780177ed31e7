//! Panels of tiles: columns that are stacked on each other, and maps with a row per series and a colour per value.
//!
//! A tile is as wide as the way to its neighbours, half of it on each side, as the axis shows it.

use super::layer::Axes;
use super::panel::Frame;
use super::scale::{Scale, Ticks};
use super::{Form, Mark, Panel, Plot, Spot};
use crate::report::drawing::font::printable;
use crate::report::drawing::ink::{Ink, shortened};
use crate::report::drawing::style::{FRAME, Stroke, ramp};
use crate::report::drawing::{COLUMN, TICK_TEXT};

/// Values of a map that differ from its largest by more than this have the colour of nothing.
const DECADES: f64 = 1e4;
/// Stacked columns are shown up to here; parts that cancel each other may be larger by any factor.
const REACH: (f64, f64) = (-1.0, 2.0);
/// Height of a row of a map in points.
pub(super) const ROW: f64 = 7.6;

/// The vertical axis of a panel of tiles.
pub(super) fn range(plot: &Plot, panel: &Panel) -> Option<(f64, f64)> {
    if plot.form == Form::Map {
        let rows = rows(panel);
        return (rows > 0).then_some((-0.5, rows as f64 - 0.5));
    }
    let ends = || panel.traces.iter().flat_map(|trace| &trace.spots).filter_map(|spot| spot.interval);
    let (low, high) = ends().fold((0.0, 1.0), |(low, high): (f64, f64), ends| (low.min(ends.0), high.max(ends.1)));
    ends().next().map(|_| (low.max(REACH.0) - 0.03, high.min(REACH.1) + 0.03))
}

/// The names of a map's rows, at their places; the first row is on top.
pub(super) fn names(plot: &Plot, panel: &Panel) -> Ticks {
    let count = panel.traces.len();
    let name = |(i, trace): (usize, &super::Trace)| {
        let name = printable(&plot.series[trace.series].name);
        ((count - 1 - i) as f64, shortened(&name, 0.42 * COLUMN, TICK_TEXT))
    };
    Ticks { major: panel.traces.iter().enumerate().map(name).collect(), minor: Vec::new() }
}

/// Rows of a map.
pub(super) fn rows(panel: &Panel) -> usize {
    panel.traces.len()
}

/// What the colours of a map stand for, from nothing to the largest value; `None` where no value is above 0.
pub(super) fn colours(plot: &Plot) -> Option<(f64, f64)> {
    let largest = plot.spots().filter_map(|spot| spot.y).filter(|y| y.is_finite()).fold(0.0, f64::max);
    let smallest = plot.spots().filter_map(|spot| spot.y).filter(|y| *y > 0.0).fold(f64::INFINITY, f64::min);
    (largest > 0.0).then(|| (smallest.max(largest / DECADES).min(0.5 * largest), largest))
}

/// Draws the tiles of a panel; returns its values where they stand.
pub(super) fn draw(ink: &Ink, plot: &Plot, panel: &Panel, axes: &Axes, frame: Frame) -> Vec<Mark> {
    let Some(y) = axes.y else { return Vec::new() };
    let colours = colours(plot);
    let mut marks = Vec::new();
    for (i, trace) in panel.traces.iter().enumerate() {
        let edges = edges(&trace.spots, &axes.x, frame);
        let row = (panel.traces.len() - 1 - i) as f64;
        ink.group(&format!("series-{}", trace.series), || {
            for (spot, (left, right)) in trace.spots.iter().zip(&edges) {
                let Some(value) = spot.y else { continue };
                let (low, high, colour) = match (plot.form, spot.interval) {
                    (Form::Map, _) => (row - 0.5, row + 0.5, ramp(shade(value, colours))),
                    (_, Some((low, high))) => (low, high, plot.series[trace.series].look.stroke.color),
                    _ => continue,
                };
                ink.rectangle((*left, y.at(high)), (*right, y.at(low)), colour);
                let middle = (y.at(low) + y.at(high)) / 2.0;
                marks.push(Mark { series: trace.series, at: ((left + right) / 2.0, middle), spot: *spot });
            }
        });
    }
    if plot.form == Form::Columns {
        for value in [0.0, 1.0].into_iter().filter(|value| (y.lo..=y.hi).contains(value)) {
            ink.line(&[(frame.left, y.at(value)), (frame.right, y.at(value))], &Stroke::solid(FRAME, 0.6));
        }
    }
    marks
}

/// From 0 for nothing to 1 for the largest.
fn shade(value: f64, colours: Option<(f64, f64)>) -> f64 {
    match colours {
        Some((low, high)) if value > 0.0 => (0.06 + 0.94 * (value / low).ln() / (high / low).ln()).clamp(0.0, 1.0),
        _ => 0.0,
    }
}

/// Left and right sides of tiles, within the frame.
fn edges(spots: &[Spot], x: &Scale, frame: Frame) -> Vec<(f64, f64)> {
    let places: Vec<f64> = spots.iter().map(|spot| x.at(spot.x)).collect();
    let half = |i: usize, j: usize| (places[i] + places[j]) / 2.0;
    let side = |i: usize| {
        let left = if i == 0 { frame.left } else { half(i - 1, i) };
        let right = if i + 1 == places.len() { frame.right } else { half(i, i + 1) };
        (left, right)
    };
    (0..places.len()).map(side).collect()
}
