//! Points in the plane as dots, both axes in one scale.

use super::STEM;
use crate::error::Result;
use crate::report::drawing::ink::{Anchor, Ink, outline};
use crate::report::drawing::style::{FRAME, GRID, Marker, Stroke, look};
use crate::report::drawing::{COLUMN, Figure, LABEL_TEXT, MARGIN, TICK_TEXT, font};
use crate::report::plot::scale::{Scale, linear_ticks};

/// Dots at most.
const MOST: usize = 5000;
/// Height below the frame, and width left of it: tick labels and the axis label.
const ROOM: f64 = 26.0;
/// Empty room around the points, of their range.
const PADDING: f64 = 0.05;
/// Diameter of a dot in points, and its opacity.
const DOT: (f64, f64) = (1.6, 0.45);

/// The first points as dots; `None` where none is finite.
pub(super) fn scatter(points: &[[f64; 2]]) -> Result<Option<Figure>> {
    let finite: Vec<[f64; 2]> =
        points.iter().copied().filter(|point| point.iter().all(|x| x.is_finite())).take(MOST).collect();
    let Some([horizontal, vertical]) = ranges(&finite) else { return Ok(None) };
    font::register()?;
    let (left, top, right, bottom) = (MARGIN + ROOM, MARGIN, COLUMN - MARGIN, COLUMN - ROOM);
    let x = Scale { lo: horizontal.0, hi: horizontal.1, from: left, to: right, log: false };
    let y = Scale { lo: vertical.0, hi: vertical.1, from: bottom, to: top, log: false };
    let ink = Ink::default();
    for (value, label) in linear_ticks(x.lo, x.hi, 5).major {
        ink.line(&[(x.at(value), top), (x.at(value), bottom)], &Stroke::solid(GRID, 0.4));
        ink.text(&label, (x.at(value), bottom + 9.0), TICK_TEXT, Anchor::Middle);
    }
    for (value, label) in linear_ticks(y.lo, y.hi, 5).major {
        ink.line(&[(left, y.at(value)), (right, y.at(value))], &Stroke::solid(GRID, 0.4));
        ink.text(&label, (left - 4.0, y.at(value) + 0.36 * TICK_TEXT), TICK_TEXT, Anchor::End);
    }
    for [px, py] in &finite {
        let dot = outline(Marker::Circle, (x.at(*px), y.at(*py)), DOT.0 / 2.0);
        ink.fill(&dot, look(0, false).stroke.color, DOT.1);
    }
    let outline = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    ink.line(&outline, &Stroke::solid(FRAME, 0.6));
    ink.text("first coordinate", ((left + right) / 2.0, COLUMN - MARGIN - 2.0), LABEL_TEXT, Anchor::Middle);
    ink.text_upwards("second coordinate", (MARGIN + LABEL_TEXT, (top + bottom) / 2.0), LABEL_TEXT);
    let title = format!("{} of {} sampled points", finite.len(), points.len());
    Figure::new(ink, (COLUMN, COLUMN), STEM, title).map(Some)
}

/// Equally long ranges of both coordinates, around all points.
fn ranges(points: &[[f64; 2]]) -> Option<[(f64, f64); 2]> {
    let ends = |i: usize| {
        let values = || points.iter().map(|point| point[i]);
        Some((values().reduce(f64::min)?, values().reduce(f64::max)?))
    };
    let ends = [ends(0)?, ends(1)?];
    let longest = ends.iter().map(|(lo, hi)| hi - lo).fold(0.0, f64::max);
    let half = if longest > 0.0 { longest * (0.5 + PADDING) } else { 1.0 };
    Some(ends.map(|(lo, hi)| ((lo + hi) / 2.0 - half, (lo + hi) / 2.0 + half)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_axes_have_one_scale() {
        let [x, y] = ranges(&[[0.0, 1.0], [2.0, 1.5]]).unwrap();
        assert!((x.1 - x.0 - (y.1 - y.0)).abs() < 1e-12 && (x.0 + 0.1).abs() < 1e-12, "{x:?} {y:?}");
        assert_eq!(ranges(&[[3.0, 1.0]]).unwrap(), [(2.0, 4.0), (0.0, 2.0)]);
    }

    #[test]
    fn points_without_a_place_are_left_out() {
        let figure = scatter(&[[0.0, 1.0], [f64::NAN, 0.0], [1.0, f64::INFINITY], [1.0, 1.0]]).unwrap().unwrap();
        assert_eq!(figure.title(), "2 of 4 sampled points");
        assert!(scatter(&[[f64::NAN, 0.0]]).unwrap().is_none());
    }
}
