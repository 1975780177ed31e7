//! One panel: curves over a window of timesteps on a logarithmic axis, and below it a strip for exact zeros.

use super::series::{Run, Series};
use super::trace;
use crate::error::Result;
use crate::report::drawing::ink::{Anchor, Ink, Place, text_width};
use crate::report::drawing::scale::{Scale, Ticks, linear_ticks, log_range, log_ticks};
use crate::report::drawing::style::{FRAME, GRID, SHADES, Stroke};
use crate::report::drawing::{LABEL_TEXT, TICK_TEXT};

/// Height above the frame: the caption.
const CAPTION: f64 = 11.0;
/// Height below the frame: tick labels and the x label.
const BELOW: f64 = 21.5;
/// Empty room at both ends of the x axis, so that t = 0 does not stand on the frame.
const PADDING: f64 = 4.0;
/// The strip for zeros: margins above and below, and one row per curve that has zeros.
const STRIP: (f64, f64) = (5.5, 2.5);
const STRIP_ROW: f64 = 3.6;

/// What one panel shows.
pub(super) struct Panel<'a> {
    caption: String,
    window: (f64, f64),
    series: Vec<Visible<'a>>,
    boundaries: Option<&'a [f64]>,
    y: Option<(f64, f64)>,
    ticks: Ticks,
}

/// The part of a series within the window.
pub(super) struct Visible<'a> {
    /// The whole curve.
    pub series: &'a Series,
    /// What of it is within.
    pub runs: Vec<Run>,
}

/// Where the frame stands on the sheet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl<'a> Panel<'a> {
    /// The panel over the timesteps `window`; sub-intervals between `boundaries` are shaded. With an empty slice each
    /// model has ticks at its own, and with `None` nothing is marked.
    pub fn new(
        caption: impl Into<String>,
        window: (f64, f64),
        series: &'a [Series],
        boundaries: Option<&'a [f64]>,
    ) -> Self {
        let within = |s: &'a Series| Visible {
            series: s,
            runs: s.runs.iter().filter_map(|run| run.within(window.0, window.1)).collect(),
        };
        let series: Vec<Visible> = series.iter().map(within).collect();
        let means = series.iter().flat_map(|v| &v.runs).flat_map(Run::means);
        let y = log_range(means.map(|mean| (mean.value, mean.interval)));
        let ticks = y.map_or_else(Ticks::default, |(lo, hi)| log_ticks(lo, hi));
        Panel { caption: caption.into(), window, series, boundaries, y, ticks }
    }

    /// How many measured points it shows.
    pub fn points(&self) -> usize {
        self.series.iter().flat_map(|v| &v.runs).map(|run| run.timesteps().len()).sum()
    }

    /// Whether part of a shared sub-interval lies within the window.
    pub fn shows_shades(&self) -> bool {
        self.boundaries.unwrap_or_default().windows(2).any(|ends| ends[0] < self.window.1 && self.window.0 < ends[1])
    }

    /// Room in points that the labels of the y axis need left of the frame.
    pub fn label_room(&self) -> f64 {
        let widest = self.ticks.major.iter().map(|(_, label)| text_width(label, TICK_TEXT)).fold(0.0, f64::max);
        widest.max(text_width("0", TICK_TEXT)) + 5.0
    }

    /// Draws it between `top` and `bottom`, caption and labels included.
    pub fn draw(&self, ink: &Ink, left: f64, right: f64, (top, bottom): (f64, f64)) -> Result<()> {
        let frame = Frame { left, right, top: top + CAPTION, bottom: bottom - BELOW };
        let (lo, hi) = self.window;
        let x = Scale { lo, hi, from: left + PADDING, to: right - PADDING, log: false };
        ink.text(&self.caption, (left, frame.top - 3.5), LABEL_TEXT, Anchor::Start)?;
        self.draw_shades(ink, &x, &frame)?;
        let floor = frame.bottom - self.strip_height();
        let y = self.y.map(|(lo, hi)| Scale { lo, hi, from: floor, to: frame.top, log: true });
        if let Some(y) = &y {
            self.draw_y_axis(ink, y, &frame)?;
        }
        self.draw_strip(ink, &x, floor, &frame)?;
        if let Some(y) = &y {
            for visible in &self.series {
                trace::bands(ink, visible, &x, y)?;
            }
            for visible in &self.series {
                trace::curve(ink, visible, &x, y)?;
            }
        }
        if self.boundaries.is_some_and(<[f64]>::is_empty) {
            self.draw_boundary_ticks(ink, &x, &frame)?;
        }
        draw_frame(ink, &frame, floor, self.y.is_some())?;
        self.draw_x_axis(ink, &x, &frame)
    }

    fn rows_of_zeros(&self) -> usize {
        self.series.iter().filter(|v| v.runs.iter().any(|run| matches!(run, Run::Zeros(_)))).count()
    }

    fn strip_height(&self) -> f64 {
        let rows = self.rows_of_zeros();
        if rows == 0 { 0.0 } else { STRIP.0 + STRIP_ROW * rows as f64 + STRIP.1 }
    }

    /// Sub-intervals in alternating greys.
    fn draw_shades(&self, ink: &Ink, x: &Scale, frame: &Frame) -> Result<()> {
        for (i, ends) in self.boundaries.unwrap_or_default().windows(2).enumerate() {
            let (from, until) = (ends[0].max(self.window.0), ends[1].min(self.window.1));
            if from < until {
                ink.rectangle((x.at(from), frame.top), (x.at(until), frame.bottom), SHADES[i % 2])?;
            }
        }
        Ok(())
    }

    /// Where models share differently, each has its boundaries as ticks of its colour under the upper edge.
    fn draw_boundary_ticks(&self, ink: &Ink, x: &Scale, frame: &Frame) -> Result<()> {
        let sharing = self.series.iter().map(|v| v.series).filter(|s| !s.boundaries.is_empty());
        for (row, series) in sharing.enumerate() {
            let top = frame.top + 3.5 * row as f64;
            for boundary in series.boundaries.iter().filter(|b| (self.window.0..=self.window.1).contains(*b)) {
                let at = x.at(*boundary);
                ink.line(&[(at, top), (at, top + 3.5)], &Stroke::solid(series.look.stroke.color, 0.8))?;
            }
        }
        Ok(())
    }

    fn draw_y_axis(&self, ink: &Ink, y: &Scale, frame: &Frame) -> Result<()> {
        for value in &self.ticks.minor {
            let at = y.at(*value);
            ink.line(&[(frame.left - 1.6, at), (frame.left, at)], &Stroke::solid(FRAME, 0.4))?;
        }
        for (value, label) in &self.ticks.major {
            let at = y.at(*value);
            ink.line(&[(frame.left, at), (frame.right, at)], &Stroke::solid(GRID, 0.4))?;
            // The label of the strip comes first where two would meet.
            let meets_zero = y.from < frame.bottom && (at - zero_tick(y.from, frame)).abs() < 1.17 * TICK_TEXT;
            y_tick(ink, at, if meets_zero { "" } else { label }, frame)?;
        }
        Ok(())
    }

    fn draw_x_axis(&self, ink: &Ink, x: &Scale, frame: &Frame) -> Result<()> {
        let mut count = 7;
        let mut ticks = linear_ticks(self.window.0, self.window.1, count);
        let crowded =
            |t: &Ticks| t.major.iter().map(|(_, l)| text_width(l, TICK_TEXT) + 7.0).sum::<f64>() > x.to - x.from;
        while crowded(&ticks) && count > 2 {
            count -= 1;
            ticks = linear_ticks(self.window.0, self.window.1, count);
        }
        for (value, label) in &ticks.major {
            let at = x.at(*value);
            ink.line(&[(at, frame.bottom), (at, frame.bottom + 2.5)], &Stroke::solid(FRAME, 0.6))?;
            ink.text(label, (at, frame.bottom + 9.2), TICK_TEXT, Anchor::Middle)?;
        }
        let centre = (frame.left + frame.right) / 2.0;
        ink.text("timestep t", (centre, frame.bottom + 18.6), LABEL_TEXT, Anchor::Middle)
    }

    /// Zeros stand in rows of their own below the axis.
    fn draw_strip(&self, ink: &Ink, x: &Scale, floor: f64, frame: &Frame) -> Result<()> {
        if self.rows_of_zeros() == 0 {
            return Ok(());
        }
        ink.line(&[(frame.left, floor), (frame.right, floor)], &Stroke::solid(GRID, 0.6))?;
        y_tick(ink, zero_tick(floor, frame), "0", frame)?;
        let mut row = floor + STRIP.0 + STRIP_ROW / 2.0;
        for visible in &self.series {
            if trace::zeros(ink, visible, x, row)? {
                // In the whole range they would stand on top of each other.
                if self.boundaries.is_some() {
                    trace::undefined(ink, visible, self.window, x, row)?;
                }
                row += STRIP_ROW;
            }
        }
        if self.y.is_none() {
            let centre: Place = ((frame.left + frame.right) / 2.0, (frame.top + floor) / 2.0);
            ink.text("every value shown is exactly 0", centre, LABEL_TEXT, Anchor::Middle)?;
        }
        Ok(())
    }
}

/// Where the strip is labelled: the middle of its rows.
fn zero_tick(floor: f64, frame: &Frame) -> f64 {
    (floor + STRIP.0 + frame.bottom - STRIP.1) / 2.0
}

fn y_tick(ink: &Ink, at: f64, label: &str, frame: &Frame) -> Result<()> {
    ink.line(&[(frame.left - 2.5, at), (frame.left, at)], &Stroke::solid(FRAME, 0.6))?;
    if label.is_empty() {
        return Ok(());
    }
    ink.text(label, (frame.left - 4.0, at + 0.36 * TICK_TEXT), TICK_TEXT, Anchor::End)
}

/// The frame, its sides broken where the logarithmic axis ends and the strip begins.
fn draw_frame(ink: &Ink, frame: &Frame, floor: f64, has_axis: bool) -> Result<()> {
    let stroke = Stroke::solid(FRAME, 0.6);
    let Frame { left, right, top, bottom } = *frame;
    ink.line(&[(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], &stroke)?;
    if !has_axis || bottom - floor < 1.0 {
        return Ok(());
    }
    for side in [left, right] {
        let (above, below) = (floor - 1.0, floor + 1.0);
        let gap = [
            (side - 2.2, above + 1.0),
            (side + 2.2, above - 1.0),
            (side + 2.2, below - 1.0),
            (side - 2.2, below + 1.0),
        ];
        ink.fill(&gap, plotters::style::WHITE, 1.0)?;
        ink.line(&gap[..2], &stroke)?;
        ink.line(&gap[2..], &stroke)?;
    }
    Ok(())
}
