//! Charts of tables: lines with intervals over numbers, or dots with intervals over words; panels side by side.
//!
//! Where a chart asks for a logarithmic axis, values at or below 0 stand as open markers in a strip below it.

mod axis;
pub(in crate::report) mod data;
mod panel;

use super::drawing::font::{self, printable};
use super::drawing::ink::{Anchor, Ink, text_width};
use super::drawing::legend::{Key, Legend, wrap};
use super::drawing::style::look;
use super::drawing::{COLUMN, Figure, LABEL_TEXT, MARGIN};
use super::{Chart, TidyReport};
use crate::error::Result;
use axis::XAxis;
use data::Data;
use panel::{Frame, Panel, YRange, y_range};

/// Height of a frame in points.
const FRAME_HEIGHT: f64 = 118.0;
/// Panels side by side, at most.
const ACROSS: usize = 4;
/// Size of the title.
const TITLE: f64 = 8.0;
const TITLE_ROW: f64 = 10.5;
const CAPTION: f64 = 11.0;
/// Words and numbers of a chart that still fit one column.
const COLUMN_CATEGORIES: usize = 10;
/// Lines of more points have a band along them.
const DENSE: usize = 30;
/// Panels of ranges less alike than this have each their own vertical axis.
const ALIKE: f64 = 0.2;

/// Draws a chart of a report: one column wide, or two where it has several panels or many words.
///
/// # Errors
///
/// A table or column that is not there, words on the vertical axis, or nothing to draw.
pub fn chart(report: &TidyReport, chart: &Chart) -> Result<Figure> {
    font::register()?;
    let data = Data::new(report, chart)?;
    let title = format!("{}: {} over {}", chart.title, chart.y.label, chart.x.label);
    let sheet = Sheet::new(&data, chart);
    let mut drawn = String::new();
    let ink = Ink::new(&mut drawn, sheet.width, sheet.height);
    sheet.draw(&ink)?;
    ink.finish()?;
    Figure::new(&drawn, (sheet.width, sheet.height), &chart.name, title)
}

/// Everything with its place.
struct Sheet<'a> {
    width: f64,
    height: f64,
    title: Vec<String>,
    legend: Legend,
    y_label: Vec<String>,
    panels: Vec<Panel<'a>>,
    across: usize,
    /// Whether all panels have the vertical axis of the first.
    shared_y: bool,
    x: XAxis,
    frame_width: f64,
    /// Room left of a frame for its tick labels.
    room: f64,
}

impl<'a> Sheet<'a> {
    fn new(data: &'a Data, chart: &Chart) -> Sheet<'a> {
        let wide = data.panels.len() > 1 || data.categories.len() > COLUMN_CATEGORIES;
        let width = if wide { 2.0 * COLUMN } else { COLUMN };
        let inside = width - 2.0 * MARGIN;
        let (ranges, shared_y) = y_ranges(data, chart.y.log);
        let mut panels: Vec<Panel> =
            data.panels.iter().zip(ranges).map(|(panel, y)| Panel::new(panel, y, data.series.len())).collect();
        // One axis for all has its strip in all.
        if shared_y && panels.iter().any(Panel::is_off_scale) {
            panels.iter_mut().for_each(Panel::add_strip);
        }
        let rows = panels.len().div_ceil(ACROSS);
        let across = panels.len().div_ceil(rows.max(1)).max(1);
        let y_label = wrap(&printable(&chart.y.label), FRAME_HEIGHT + 2.0 * CAPTION, LABEL_TEXT);
        let room = panels.iter().map(Panel::label_room).fold(0.0, f64::max);
        let label = MARGIN + 1.3 * LABEL_TEXT * y_label.len() as f64;
        let between = if shared_y { 8.0 } else { room + 6.0 };
        let frames = width - label - room - 2.0 * MARGIN - between * (across - 1) as f64;
        let frame_width = frames / across as f64;
        let x = XAxis::new(data, &chart.x.label, chart.x.log, frame_width);
        let title = wrap(&printable(&chart.title), inside, TITLE);
        let legend = Legend::new(keys(data, panels.iter().any(Panel::is_off_scale)), inside);
        let mut sheet =
            Sheet { width, height: 0.0, title, legend, y_label, panels, across, shared_y, x, frame_width, room };
        sheet.height = (sheet.top() + sheet.row_height() * rows as f64 + MARGIN).ceil();
        sheet
    }

    fn top(&self) -> f64 {
        MARGIN + TITLE_ROW * self.title.len() as f64 + self.legend.height + 2.0
    }

    fn row_height(&self) -> f64 {
        CAPTION + FRAME_HEIGHT + self.x.height()
    }

    fn draw(&self, ink: &Ink) -> Result<()> {
        for (i, row) in self.title.iter().enumerate() {
            ink.text(row, (MARGIN, MARGIN + 0.8 * TITLE + TITLE_ROW * i as f64), TITLE, Anchor::Start)?;
        }
        self.legend.draw(ink, (MARGIN, MARGIN + TITLE_ROW * self.title.len() as f64))?;
        for (row, panels) in self.panels.chunks(self.across).enumerate() {
            self.draw_row(ink, panels, self.top() + self.row_height() * row as f64)?;
        }
        Ok(())
    }

    fn draw_row(&self, ink: &Ink, panels: &[Panel], above: f64) -> Result<()> {
        let (top, bottom) = (above + CAPTION, above + CAPTION + FRAME_HEIGHT);
        for (i, row) in self.y_label.iter().enumerate() {
            let at = MARGIN + (0.8 + 1.3 * i as f64) * LABEL_TEXT;
            let half = text_width(row, LABEL_TEXT) / 2.0;
            ink.text_upwards(row, (at, ((top + bottom) / 2.0).max(above + half)), LABEL_TEXT)?;
        }
        let first = MARGIN + 1.3 * LABEL_TEXT * self.y_label.len() as f64 + self.room;
        let step = self.frame_width + if self.shared_y { 8.0 } else { self.room + 6.0 };
        for (i, panel) in panels.iter().enumerate() {
            let left = first + step * i as f64;
            let frame = Frame { left, right: left + self.frame_width, top, bottom };
            panel.draw(ink, frame, &self.x, i == 0 || !self.shared_y)?;
        }
        let right = first + step * (panels.len() - 1) as f64 + self.frame_width;
        self.x.draw_label(ink, (first + right) / 2.0, bottom)
    }
}

/// One range for all panels if they are alike, else one each; whether they are one.
fn y_ranges(data: &Data, log: bool) -> (Vec<YRange>, bool) {
    let nothing = YRange { lo: 0.0, hi: 1.0, log: false };
    let all = y_range(data.spots(), log).unwrap_or(nothing);
    let spots = |panel: &'_ data::PanelData| panel.traces.iter().flat_map(|t| t.spots.clone()).collect::<Vec<_>>();
    let own: Vec<YRange> =
        data.panels.iter().map(|panel| y_range(spots(panel).iter(), all.log).unwrap_or(all)).collect();
    let length = |y: &YRange| if y.log { (y.hi / y.lo).ln() } else { y.hi - y.lo };
    let alike = own.iter().all(|y| y.log == all.log && length(y) >= ALIKE * length(&all));
    if alike { (vec![all; own.len()], true) } else { (own, false) }
}

/// What the legend explains.
fn keys(data: &Data, off_scale: bool) -> Vec<(Key, String)> {
    let words = !data.categories.is_empty();
    let key = |i: usize| if words { Key::Dot(look(i, false)) } else { Key::Curve(look(i, false)) };
    let named = data.series.iter().enumerate().filter(|(_, name)| !name.is_empty());
    let mut keys: Vec<(Key, String)> = named.map(|(i, name)| (key(i), printable(name))).collect();
    if data.spots().any(|spot| spot.interval.is_some()) {
        let dense = data.panels.iter().flat_map(|panel| &panel.traces).any(|trace| trace.spots.len() > DENSE);
        keys.push((if dense && !words { Key::Band } else { Key::Bar }, "95 % CI".into()));
    }
    if off_scale {
        keys.push((Key::OffScale, "0 or less".into()));
    }
    keys
}

#[cfg(test)]
mod tests;
