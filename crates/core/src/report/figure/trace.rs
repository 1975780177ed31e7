//! One curve within a panel: its interval band, line, stems and zeros.

use super::panel::Visible;
use super::series::{Mean, Run};
use crate::error::Result;
use crate::report::drawing::ink::{Ink, Place};
use crate::report::drawing::scale::Scale;
use crate::report::drawing::style::{BAND, Stroke};

/// Points closer than this, in points, are told apart by the line and not by markers.
const SPARSE: f64 = 5.0;
const MARKER: f64 = 3.2;

/// The 95 % intervals along the lines.
pub(super) fn bands(ink: &Ink, visible: &Visible, x: &Scale, y: &Scale) -> Result<()> {
    let color = visible.series.look.stroke.color;
    for run in &visible.runs {
        let Run::Line(means) = run else { continue };
        for part in means.split(|m| m.interval.is_none()).filter(|part| part.len() > 1) {
            let ends = |upper: bool| {
                part.iter()
                    .map(move |m| (m.t, m.interval.map_or(m.value, |(low, high)| if upper { high } else { low })))
            };
            let place = |(t, value): (f64, f64)| (x.at(t), y.at(value));
            let outline: Vec<Place> = ends(true).chain(ends(false).rev()).map(place).collect();
            ink.fill(&outline, color, BAND)?;
        }
    }
    Ok(())
}

/// Lines, stems, and markers where points are sparse.
pub(super) fn curve(ink: &Ink, visible: &Visible, x: &Scale, y: &Scale) -> Result<()> {
    let look = visible.series.look;
    let timesteps: Vec<f64> = visible.runs.iter().flat_map(Run::timesteps).collect();
    for run in &visible.runs {
        match run {
            Run::Zeros(_) => {}
            Run::Stem(mean) => {
                let (at, top) = (x.at(mean.t), y.at(mean.value));
                ink.line(&[(at, y.from), (at, top)], &Stroke::solid(look.stroke.color, 0.9))?;
                error_bar(ink, mean, x, y, look.stroke)?;
                ink.marker((at, top), look.marker, MARKER, look.stroke.color, false)?;
            }
            Run::Line(means) => {
                let path: Vec<Place> = means.iter().map(|m| (x.at(m.t), y.at(m.value))).collect();
                if path.len() > 1 {
                    let crowded = path.len() as f64 > path[path.len() - 1].0 - path[0].0;
                    let width = look.stroke.width * if crowded { 0.7 } else { 1.0 };
                    ink.line(&path, &Stroke { width, ..look.stroke })?;
                }
                for mean in means.iter().filter(|m| m.measured) {
                    let alone = means.len() == 1;
                    if alone {
                        error_bar(ink, mean, x, y, look.stroke)?;
                    }
                    if alone || is_sparse(mean.t, &timesteps, x) {
                        ink.marker((x.at(mean.t), y.at(mean.value)), look.marker, MARKER, look.stroke.color, false)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Zeros as flat stretches, or open markers where they are sparse, in the row `row`; `false` if there are none.
pub(super) fn zeros(ink: &Ink, visible: &Visible, x: &Scale, row: f64) -> Result<bool> {
    let look = visible.series.look;
    let timesteps: Vec<f64> = visible.runs.iter().flat_map(Run::timesteps).collect();
    let mut any = false;
    for run in &visible.runs {
        let Run::Zeros(all) = run else { continue };
        any = true;
        if let (Some(first), Some(last)) = (all.first(), all.last()) {
            let width = if all.len() > 1 { 1.6 } else { 0.8 };
            ink.line(&[(x.at(*first) - 0.4, row), (x.at(*last) + 0.4, row)], &Stroke::solid(look.stroke.color, width))?;
        }
        for t in all.iter().filter(|t| is_sparse(**t, &timesteps, x)) {
            ink.marker((x.at(*t), row), look.marker, MARKER - 0.6, look.stroke.color, true)?;
        }
    }
    Ok(any)
}

/// A cross in the row `row` wherever a derivative does not exist.
pub(super) fn undefined(ink: &Ink, visible: &Visible, (lo, hi): (f64, f64), x: &Scale, row: f64) -> Result<()> {
    for t in visible.series.undefined.iter().filter(|t| (lo..=hi).contains(*t)) {
        ink.cross((x.at(*t), row), visible.series.look.stroke.color)?;
    }
    Ok(())
}

fn error_bar(ink: &Ink, mean: &Mean, x: &Scale, y: &Scale, stroke: Stroke) -> Result<()> {
    let Some((low, high)) = mean.interval else { return Ok(()) };
    let (at, low, high) = (x.at(mean.t), y.at(low), y.at(high));
    if low - high < MARKER {
        // Hidden by the marker.
        return Ok(());
    }
    ink.error_bar(at, (low, high), stroke.color)
}

/// Whether no other measured point of the curve stands close to `t`; `timesteps` ascend.
fn is_sparse(t: f64, timesteps: &[f64], x: &Scale) -> bool {
    let i = timesteps.partition_point(|other| *other < t);
    let neighbours = [i.checked_sub(1), Some(i + 1)].into_iter().flatten().filter_map(|j| timesteps.get(j));
    neighbours.into_iter().all(|other| (x.at(*other) - x.at(t)).abs() >= SPARSE)
}
