//! One panel in its frame: shades, grid, layers, axes, and the strip for what a logarithmic axis cannot show.

use super::axis::XAxis;
use super::layer::{Axes, Layer};
use super::scale::{Scale, Ticks, linear_range, linear_ticks, log_range, log_ticks};
use super::{Form, Mark, Panel, Plot, tiles};
use crate::report::drawing::font::printable;
use crate::report::drawing::ink::{Anchor, Ink, Place, text_width};
use crate::report::drawing::style::{FRAME, GRID, SHADES, Stroke};
use crate::report::drawing::{LABEL_TEXT, TICK_TEXT};

/// The strip: margins above and below, and one row per series that has values in it.
const STRIP: (f64, f64) = (5.5, 2.5);
const STRIP_ROW: f64 = 3.6;

/// A panel, ready to be drawn.
pub(super) struct View<'a> {
    plot: &'a Plot,
    panel: &'a Panel,
    layers: Vec<Layer<'a>>,
    /// The vertical axis; `None` where a logarithmic one has nothing to show.
    y: Option<(f64, f64)>,
    ticks: Ticks,
    /// Rows of the strip.
    pub rows: usize,
}

/// Where the frame stands on the sheet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// The vertical axis for some layers.
pub(super) fn y_range<'a>(layers: impl Iterator<Item = &'a Layer<'a>>, log: bool) -> Option<(f64, f64)> {
    let values = layers.flat_map(Layer::means).map(|mean| (mean.value, mean.interval));
    if log { log_range(values) } else { linear_range(values) }
}

impl<'a> View<'a> {
    pub fn new(plot: &'a Plot, panel: &'a Panel) -> View<'a> {
        let layers: Vec<Layer> = panel.traces.iter().map(|trace| Layer::new(plot, panel, trace)).collect();
        let rows = layers.iter().filter(|layer| layer.is_off_scale()).count();
        let y = match plot.form {
            Form::Lines => y_range(layers.iter(), plot.y.log),
            Form::Columns | Form::Map => tiles::range(plot, panel),
        };
        let mut view = View { plot, panel, layers, y: None, ticks: Ticks::default(), rows };
        view.set_range(y);
        view
    }

    /// Its own vertical axis.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.y
    }

    /// Gives it another vertical axis.
    pub fn set_range(&mut self, y: Option<(f64, f64)>) {
        self.y = y;
        self.ticks = match y {
            Some(_) if self.plot.form == Form::Map => tiles::names(self.plot, self.panel),
            Some((lo, hi)) if self.plot.y.log => log_ticks(lo, hi),
            Some((lo, hi)) => linear_ticks(lo, hi, 6),
            None => Ticks::default(),
        };
    }

    pub fn layers(&self) -> impl Iterator<Item = &Layer<'a>> {
        self.layers.iter()
    }

    /// The horizontal axis in a frame of this width.
    pub fn x_axis(&self, width: f64) -> XAxis {
        XAxis::new(self.plot, self.panel.window, width)
    }

    /// Room in points that the labels of the y axis need left of the frame.
    pub fn label_room(&self) -> f64 {
        let labels = self.ticks.major.iter().map(|(_, label)| text_width(label, TICK_TEXT));
        labels.fold(text_width(self.strip_label(), TICK_TEXT), f64::max) + 5.0
    }

    /// Values below 0 stand in the strip, too, where a table holds them.
    fn strip_label(&self) -> &'static str {
        if self.plot.spots().any(|spot| spot.y.is_some_and(|y| y < 0.0)) { "≤ 0" } else { "0" }
    }

    fn strip_height(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { STRIP.0 + STRIP_ROW * self.rows as f64 + STRIP.1 }
    }

    /// Draws it in a frame, with labels of the y axis only where asked; returns its values where they stand.
    pub fn draw(&self, ink: &Ink, frame: Frame, x: &XAxis, labelled: bool) -> Vec<Mark> {
        let Frame { left, right, top, bottom } = frame;
        let floor = bottom - self.strip_height();
        let log = self.plot.y.log;
        let y = self.y.map(|(lo, hi)| Scale { lo, hi, from: floor, to: top, log });
        let axes = Axes { x: x.scale(left, right), y, spacing: x.spacing(left, right) };
        ink.text(&printable(&self.panel.caption), (left, top - 3.5), LABEL_TEXT, Anchor::Start);
        self.draw_shades(ink, &axes.x, frame);
        self.draw_y_axis(ink, y.as_ref(), floor, frame, labelled);
        if self.plot.form != Form::Lines {
            let marks = tiles::draw(ink, self.plot, self.panel, &axes, frame);
            draw_frame(ink, &frame, floor, y.is_some());
            x.draw_ticks(ink, (left, right), bottom);
            return marks;
        }
        let rows = self.rows_of_layers(floor);
        for (layer, row) in self.layers.iter().zip(&rows) {
            let name = format!("series-{}", layer.series());
            ink.group(&name, || {
                layer.draw_off_scale(ink, &axes, *row, self.panel.enlarged);
                layer.draw_bands(ink, &axes);
            });
        }
        for layer in &self.layers {
            ink.group(&format!("series-{}", layer.series()), || layer.draw_curve(ink, &axes));
        }
        if self.panel.enlarged && self.panel.shades.is_empty() {
            self.draw_boundaries(ink, &axes.x, frame);
        }
        draw_frame(ink, &frame, floor, y.is_some());
        x.draw_ticks(ink, (left, right), bottom);
        self.layers.iter().zip(&rows).flat_map(|(layer, row)| layer.marks(&axes, *row)).collect()
    }

    /// The row of every layer in the strip; one without values there has none, and stands at its top.
    fn rows_of_layers(&self, floor: f64) -> Vec<f64> {
        let mut next = floor + STRIP.0 + STRIP_ROW / 2.0;
        let row = |layer: &Layer| {
            let row = next;
            next += if layer.is_off_scale() { STRIP_ROW } else { 0.0 };
            row
        };
        self.layers.iter().map(row).collect()
    }

    /// Sub-intervals in alternating greys.
    fn draw_shades(&self, ink: &Ink, x: &Scale, frame: Frame) {
        for (i, ends) in self.panel.shades.windows(2).enumerate() {
            let (from, until) = (ends[0].max(x.lo), ends[1].min(x.hi));
            if from < until {
                ink.rectangle((x.at(from), frame.top), (x.at(until), frame.bottom), SHADES[i % 2]);
            }
        }
    }

    /// Where series do not share their boundaries, each has its own as ticks of its colour under the upper edge.
    fn draw_boundaries(&self, ink: &Ink, x: &Scale, frame: Frame) {
        let sharing = self.plot.series.iter().filter(|series| !series.boundaries.is_empty());
        for (row, series) in sharing.enumerate() {
            let top = frame.top + 3.5 * row as f64;
            for boundary in series.boundaries.iter().filter(|b| (x.lo..=x.hi).contains(*b)) {
                let at = x.at(*boundary);
                ink.line(&[(at, top), (at, top + 3.5)], &Stroke::solid(series.look.stroke.color, 0.8));
            }
        }
    }

    fn draw_y_axis(&self, ink: &Ink, y: Option<&Scale>, floor: f64, frame: Frame, labelled: bool) {
        let Frame { left, right, top, bottom } = frame;
        let tick = |at: f64, long: f64| ink.line(&[(left - long, at), (left, at)], &Stroke::solid(FRAME, 0.5));
        let label = |text: &str, at: f64| {
            if labelled {
                ink.text(text, (left - 4.0, at + 0.36 * TICK_TEXT), TICK_TEXT, Anchor::End);
            }
        };
        // The strip is labelled in the middle of its rows.
        let strip = (floor + STRIP.0 + bottom - STRIP.1) / 2.0;
        if let Some(y) = y {
            self.ticks.minor.iter().for_each(|value| tick(y.at(*value), 1.6));
            for (value, text) in &self.ticks.major {
                let at = y.at(*value);
                ink.line(&[(left, at), (right, at)], &Stroke::solid(GRID, 0.4));
                tick(at, 2.5);
                // The label of the strip comes first where two would meet.
                if self.rows == 0 || strip - at >= 1.17 * TICK_TEXT {
                    label(text, at);
                }
            }
        }
        if self.rows > 0 {
            ink.line(&[(left, floor), (right, floor)], &Stroke::solid(GRID, 0.6));
            tick(strip, 2.5);
            label(self.strip_label(), strip);
        }
        if self.rows > 0 && y.is_none() {
            let centre: Place = ((left + right) / 2.0, (top + floor) / 2.0);
            ink.text("every value shown is exactly 0", centre, LABEL_TEXT, Anchor::Middle);
        }
    }
}

/// The frame, its sides broken where the logarithmic axis ends and the strip begins.
fn draw_frame(ink: &Ink, frame: &Frame, floor: f64, has_axis: bool) {
    let stroke = Stroke::solid(FRAME, 0.6);
    let Frame { left, right, top, bottom } = *frame;
    ink.line(&[(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], &stroke);
    if !has_axis || bottom - floor < 1.0 {
        return;
    }
    for side in [left, right] {
        let (above, below) = (floor - 1.0, floor + 1.0);
        let gap = [
            (side - 2.2, above + 1.0),
            (side + 2.2, above - 1.0),
            (side + 2.2, below - 1.0),
            (side - 2.2, below + 1.0),
        ];
        ink.fill(&gap, plotters::style::WHITE, 1.0);
        ink.line(&gap[..2], &stroke);
        ink.line(&gap[2..], &stroke);
    }
}
