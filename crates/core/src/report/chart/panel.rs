//! One panel of a chart: lines over numbers, or dots over words, each with its interval.

use super::axis::XAxis;
use super::data::{PanelData, Spot, Trace};
use crate::error::Result;
use crate::report::drawing::font::printable;
use crate::report::drawing::ink::{Anchor, Ink, Place, text_width};
use crate::report::drawing::scale::{Scale, Ticks, linear_range, linear_ticks, log_range, log_ticks};
use crate::report::drawing::style::{BAND, FRAME, GRID, Look, Stroke, look};
use crate::report::drawing::{LABEL_TEXT, TICK_TEXT};

/// Points closer than this, in points, are told apart by the line and not by markers and bars.
const SPARSE: f64 = 6.0;
const MARKER: f64 = 3.6;
/// Lines of several series over the same x are moved apart by this, so that their bars can be told apart.
const ASIDE: f64 = 1.3;
/// Height of the strip for values that a logarithmic axis cannot show.
const STRIP: f64 = 8.0;

/// The vertical axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct YRange {
    pub lo: f64,
    pub hi: f64,
    pub log: bool,
}

/// The range of some points; `None` where no point has a value. Without a positive value no axis is logarithmic.
pub(super) fn y_range<'a>(spots: impl Iterator<Item = &'a Spot>, log: bool) -> Option<YRange> {
    let values: Vec<(f64, Option<(f64, f64)>)> = spots.filter_map(|s| s.y.map(|y| (y, s.interval))).collect();
    let positive = values.iter().copied().filter(|(value, _)| *value > 0.0);
    let found = if log { log_range(positive).map(|ends| (ends, true)) } else { None };
    let ((lo, hi), log) = found.or_else(|| linear_range(values.iter().copied()).map(|ends| (ends, false)))?;
    Some(YRange { lo, hi, log })
}

/// One panel, ready to be drawn.
pub(super) struct Panel<'a> {
    data: &'a PanelData,
    y: YRange,
    ticks: Ticks,
    /// How many series the whole chart has.
    of: usize,
    /// Whether it has a strip for values that a logarithmic axis cannot show.
    strip: bool,
}

/// Where the frame stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl<'a> Panel<'a> {
    pub fn new(data: &'a PanelData, y: YRange, of: usize) -> Panel<'a> {
        let ticks = if y.log { log_ticks(y.lo, y.hi) } else { linear_ticks(y.lo, y.hi, 6) };
        let strip = y.log && data.traces.iter().flat_map(|t| &t.spots).any(|s| s.y.is_some_and(|y| y <= 0.0));
        Panel { data, y, ticks, of, strip }
    }

    /// Makes room for the strip, so that its axis is that of a panel which has one.
    pub fn add_strip(&mut self) {
        self.strip = true;
    }

    /// Whether a value is at or below 0 on a logarithmic axis, here or in a panel beside it.
    pub fn is_off_scale(&self) -> bool {
        self.strip
    }

    /// Room in points that the labels of the y axis need left of the frame.
    pub fn label_room(&self) -> f64 {
        let labels = self.ticks.major.iter().map(|(_, label)| text_width(label, TICK_TEXT));
        labels.fold(text_width("≤ 0", TICK_TEXT), f64::max) + 5.0
    }

    /// Draws frame, grid and data; tick labels of the y axis only where asked.
    pub fn draw(&self, ink: &Ink, frame: Frame, x: &XAxis, labelled: bool) -> Result<()> {
        let Frame { left, right, top, bottom } = frame;
        let caption = printable(&self.data.caption);
        ink.text(&caption, (left, top - 3.5), LABEL_TEXT, Anchor::Start)?;
        let floor = bottom - if self.is_off_scale() { STRIP } else { 0.0 };
        let y = Scale { lo: self.y.lo, hi: self.y.hi, from: floor, to: top, log: self.y.log };
        self.draw_y_axis(ink, &y, frame, labelled)?;
        let scale = x.scale(left, right);
        let spacing = x.spacing(left, right);
        for trace in &self.data.traces {
            let drawn = Drawn::new(trace, &scale, spacing, self.of);
            drawn.draw(ink, &y, spacing.is_none())?;
            if floor < bottom {
                drawn.draw_off_scale(ink, (floor + bottom) / 2.0)?;
            }
        }
        let outline = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        ink.line(&outline, &Stroke::solid(FRAME, 0.6))?;
        x.draw_ticks(ink, (left, right), bottom)
    }

    fn draw_y_axis(&self, ink: &Ink, y: &Scale, frame: Frame, labelled: bool) -> Result<()> {
        let Frame { left, right, bottom, .. } = frame;
        let tick = |at: f64, long: f64| ink.line(&[(left - long, at), (left, at)], &Stroke::solid(FRAME, 0.5));
        let label = |text: &str, at: f64| {
            let place = (left - 4.0, at + 0.36 * TICK_TEXT);
            if labelled { ink.text(text, place, TICK_TEXT, Anchor::End) } else { Ok(()) }
        };
        let strip = (y.from + bottom) / 2.0;
        for value in &self.ticks.minor {
            tick(y.at(*value), 1.6)?;
        }
        for (value, text) in &self.ticks.major {
            let at = y.at(*value);
            ink.line(&[(left, at), (right, at)], &Stroke::solid(GRID, 0.4))?;
            tick(at, 2.5)?;
            // The label of the strip comes first where two would meet.
            if y.from == bottom || strip - at > 1.17 * TICK_TEXT {
                label(text, at)?;
            }
        }
        if y.from < bottom {
            ink.line(&[(left, y.from), (right, y.from)], &Stroke::solid(GRID, 0.6))?;
            label("≤ 0", strip)?;
        }
        Ok(())
    }
}

/// Place on the x axis, value, interval.
type Placed = (f64, f64, Option<(f64, f64)>);

/// A trace with its places.
struct Drawn<'a> {
    spots: Vec<(f64, &'a Spot)>,
    look: Look,
    sparse: bool,
    /// Whether several rows stand over one x: then no line joins them.
    repeated: bool,
}

impl<'a> Drawn<'a> {
    fn new(trace: &'a Trace, x: &Scale, spacing: Option<f64>, of: usize) -> Drawn<'a> {
        let at: Vec<f64> = trace.spots.iter().map(|spot| x.at(spot.x)).collect();
        let repeated = at.windows(2).any(|pair| pair[0] == pair[1]);
        let sparse = spacing.is_some() || at.windows(2).all(|pair| pair[0] == pair[1] || pair[1] - pair[0] >= SPARSE);
        let step = spacing.map_or(ASIDE, |spacing| (0.66 * spacing / of as f64).min(9.0));
        let aside = if sparse { step * (trace.series as f64 - (of as f64 - 1.0) / 2.0) } else { 0.0 };
        let spots = at.into_iter().map(|at| at + aside).zip(&trace.spots).collect();
        Drawn { spots, look: look(trace.series, false), sparse, repeated }
    }

    /// Stretches of neighbouring values that the axis can show.
    fn runs(&self, log: bool) -> Vec<Vec<Placed>> {
        let shown = |spot: &Spot| spot.y.filter(|y| !log || *y > 0.0);
        let stretches = self.spots.split(|(_, spot)| shown(spot).is_none());
        let values = |run: &[(f64, &Spot)]| {
            run.iter().filter_map(|(at, spot)| shown(spot).map(|y| (*at, y, spot.interval))).collect::<Vec<_>>()
        };
        stretches.map(values).filter(|run| !run.is_empty()).collect()
    }

    fn draw(&self, ink: &Ink, y: &Scale, joined: bool) -> Result<()> {
        let color = self.look.stroke.color;
        for run in self.runs(y.log) {
            let alone = run.len() == 1;
            if !self.sparse && !self.repeated {
                draw_band(ink, &run, y, self.look)?;
            }
            if joined && !self.repeated && !alone {
                let path: Vec<Place> = run.iter().map(|(at, value, _)| (*at, y.at(*value))).collect();
                ink.line(&path, &self.look.stroke)?;
            }
            if !(self.sparse || self.repeated || alone) {
                continue;
            }
            if alone && joined && self.rises_from_below(y.log) {
                let (at, value, _) = run[0];
                ink.line(&[(at, y.from), (at, y.at(value))], &Stroke::solid(color, 0.9))?;
            }
            for (at, value, interval) in &run {
                if let Some((low, high)) = interval {
                    ink.error_bar(*at, (y.at(*low), y.at(*high)), color)?;
                }
                ink.marker((*at, y.at(*value)), self.look.marker, MARKER, color, false)?;
            }
        }
        Ok(())
    }

    /// Whether single values are jumps between values that the axis cannot show.
    fn rises_from_below(&self, log: bool) -> bool {
        !self.sparse && log && self.spots.iter().any(|(_, spot)| spot.y.is_some_and(|y| y <= 0.0))
    }

    /// What a logarithmic axis cannot show: open markers, or a flat line where they would meet.
    fn draw_off_scale(&self, ink: &Ink, row: f64) -> Result<()> {
        let color = self.look.stroke.color;
        for (at, _) in self.spots.iter().filter(|(_, spot)| spot.y.is_some_and(|y| y <= 0.0)) {
            if self.sparse {
                ink.marker((*at, row), self.look.marker, MARKER, color, true)?;
            } else {
                ink.line(&[(at - 0.5, row), (at + 0.5, row)], &Stroke::solid(color, 1.8))?;
            }
        }
        Ok(())
    }
}

/// The intervals along a line.
fn draw_band(ink: &Ink, run: &[Placed], y: &Scale, look: Look) -> Result<()> {
    for part in run.split(|(_, _, interval)| interval.is_none()).filter(|part| part.len() > 1) {
        let end = |upper: bool| {
            let value = move |(_, y, ends): &Placed| ends.map_or(*y, |(low, high)| if upper { high } else { low });
            part.iter().map(move |point| (point.0, value(point)))
        };
        let outline: Vec<Place> = end(true).chain(end(false).rev()).map(|(at, v)| (at, y.at(v))).collect();
        ink.fill(&outline, look.stroke.color, BAND)?;
    }
    Ok(())
}
