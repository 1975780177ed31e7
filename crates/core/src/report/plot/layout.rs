//! Where everything stands: title, legend, panels in rows, and the labels beside and below them.

use super::axis::XAxis;
use super::legend::{Key, Legend, wrap};
use super::panel::{Frame, View, y_range};
use super::{Form, Mark, Plot, tiles};
use crate::report::drawing::font::printable;
use crate::report::drawing::ink::{Anchor, Ink, text_width};
use crate::report::drawing::style::Look;
use crate::report::drawing::{COLUMN, LABEL_TEXT, MARGIN};

/// Height of a frame in points: side by side, one of several above one another, and one that stands alone.
const FRAME_HEIGHT: (f64, f64, f64) = (118.0, 97.5, 132.5);
/// Panels side by side, at most.
const ACROSS: usize = 4;
/// Size of the title.
const TITLE: f64 = 8.0;
const TITLE_ROW: f64 = 10.5;
/// Height above a frame: its caption.
const CAPTION: f64 = 11.0;
/// Empty room right of the frames, for half a tick label.
const RIGHT: f64 = 2.5 * MARGIN;
/// Between panels with one vertical axis.
const BETWEEN: f64 = 8.0;
/// Height of a row of the vertical axis's label, of its size.
const LABEL_ROW: f64 = 1.35;
/// Words that still fit one column.
const COLUMN_CATEGORIES: usize = 10;
/// Panels of ranges less alike than this have each their own vertical axis.
const ALIKE: f64 = 0.2;

/// Everything with its place.
pub(super) struct Sheet<'a> {
    pub width: f64,
    pub height: f64,
    title: Vec<String>,
    legend: Legend,
    y_label: Vec<String>,
    views: Vec<View<'a>>,
    axes: Vec<XAxis>,
    across: usize,
    /// Whether all panels have the vertical axis of the first.
    shared_y: bool,
    /// Width and height of a frame.
    frame: (f64, f64),
    /// Room left of a frame for its tick labels.
    room: f64,
}

impl<'a> Sheet<'a> {
    pub fn new(plot: &'a Plot) -> Sheet<'a> {
        let wide = !plot.stacked && plot.panels.len() > 1 || plot.categories.len() > COLUMN_CATEGORIES;
        let width = if wide { 2.0 * COLUMN } else { COLUMN };
        let mut views: Vec<View> = plot.panels.iter().map(|panel| View::new(plot, panel)).collect();
        let shared_y = !plot.stacked && share_axis(plot, &mut views);
        let rows = if plot.stacked { views.len() } else { views.len().div_ceil(ACROSS) }.max(1);
        let across = views.len().div_ceil(rows).max(1);
        let frame_height = frame_height(plot);
        let y_label = y_label(plot, rows as f64 * (frame_height + 2.0 * CAPTION));
        let room = views.iter().map(View::label_room).fold(0.0, f64::max);
        let mut sheet = Sheet {
            width,
            height: 0.0,
            title: title(plot, width),
            legend: Legend::new(keys(plot), width - 2.0 * MARGIN),
            y_label,
            views,
            axes: Vec::new(),
            across,
            shared_y,
            frame: (0.0, frame_height),
            room,
        };
        sheet.frame.0 = (width - sheet.left() - RIGHT - sheet.between() * (across - 1) as f64) / across as f64;
        sheet.axes = sheet.views.iter().map(|view| view.x_axis(sheet.frame.0)).collect();
        sheet.height = (sheet.top() + sheet.row_height() * rows as f64 + MARGIN).ceil();
        sheet
    }

    fn top(&self) -> f64 {
        MARGIN + TITLE_ROW * self.title.len() as f64 + self.legend.height + 2.0
    }

    /// Left side of the first frame.
    fn left(&self) -> f64 {
        MARGIN + LABEL_ROW * LABEL_TEXT * self.y_label.len() as f64 + self.room
    }

    /// From the right side of a frame to the left side of the next.
    fn between(&self) -> f64 {
        if self.shared_y { BETWEEN } else { self.room + 6.0 }
    }

    fn row_height(&self) -> f64 {
        CAPTION + self.frame.1 + self.axes.iter().map(XAxis::height).fold(0.0, f64::max)
    }

    /// Draws it; returns every panel's values where they stand.
    pub fn draw(&self, ink: &Ink) -> Vec<Vec<Mark>> {
        for (i, row) in self.title.iter().enumerate() {
            ink.text(row, (MARGIN, MARGIN + 0.8 * TITLE + TITLE_ROW * i as f64), TITLE, Anchor::Start);
        }
        self.legend.draw(ink, (MARGIN, MARGIN + TITLE_ROW * self.title.len() as f64));
        self.draw_y_label(ink);
        let step = self.frame.0 + self.between();
        let mut marks = Vec::new();
        for (i, (view, x)) in self.views.iter().zip(&self.axes).enumerate() {
            let (row, column) = (i / self.across, i % self.across);
            let (top, left) =
                (self.top() + self.row_height() * row as f64 + CAPTION, self.left() + step * column as f64);
            let frame = Frame { left, right: left + self.frame.0, top, bottom: top + self.frame.1 };
            marks.push(view.draw(ink, frame, x, column == 0 || !self.shared_y));
            // One label below all panels of a row.
            if column + 1 == self.across || i + 1 == self.views.len() {
                x.draw_label(ink, (self.left() + frame.right) / 2.0, frame.bottom);
            }
        }
        marks
    }

    /// One label for all panels, in their middle, or as far up as a long one has room.
    fn draw_y_label(&self, ink: &Ink) {
        let (top, bottom) = (self.top() + CAPTION, self.height - MARGIN - self.axes.last().map_or(0.0, XAxis::height));
        for (i, row) in self.y_label.iter().enumerate() {
            let half = text_width(row, LABEL_TEXT) / 2.0;
            let middle = ((top + bottom) / 2.0).max(top - CAPTION + half);
            ink.text_upwards(row, (MARGIN + (0.8 + LABEL_ROW * i as f64) * LABEL_TEXT, middle), LABEL_TEXT);
        }
    }
}

fn frame_height(plot: &Plot) -> f64 {
    if plot.form == Form::Map {
        return tiles::ROW * plot.panels.iter().map(tiles::rows).max().unwrap_or(1) as f64;
    }
    match (plot.stacked, plot.panels.len()) {
        (false, _) => FRAME_HEIGHT.0,
        (true, 1) => FRAME_HEIGHT.2,
        (true, _) => FRAME_HEIGHT.1,
    }
}

/// The rows of the title; none where there is no title.
fn title(plot: &Plot, width: f64) -> Vec<String> {
    if plot.title.is_empty() {
        return Vec::new();
    }
    wrap(&printable(&plot.title), width - 2.0 * MARGIN, TITLE)
}

/// The most explicit label that fits `height`, else the shortest in several rows.
fn y_label(plot: &Plot, height: f64) -> Vec<String> {
    // A map has the names of its rows there, and says in its legend what is coloured.
    if plot.form == Form::Map {
        return Vec::new();
    }
    let mut labels = plot.y.labels.iter().map(|label| printable(label));
    let fits = |label: &String| text_width(label, LABEL_TEXT) <= height;
    let shortest = plot.y.labels.last().map(|label| printable(label)).unwrap_or_default();
    labels.find(fits).map_or_else(|| wrap(&shortest, height, LABEL_TEXT), |label| vec![label])
}

/// Gives all panels one vertical axis with one strip, if theirs are alike; whether they are.
fn share_axis(plot: &Plot, views: &mut [View]) -> bool {
    let log = plot.y.log;
    let all = y_range(views.iter().flat_map(View::layers), log);
    let length = |(lo, hi): (f64, f64)| if log { (hi / lo).ln() } else { hi - lo };
    let alike = |view: &View| view.range().zip(all).is_none_or(|(own, all)| length(own) >= ALIKE * length(all));
    if !views.iter().all(alike) {
        return false;
    }
    let rows = views.iter().map(|view| view.rows).max().unwrap_or(0);
    for view in views {
        view.set_range(all);
        view.rows = rows;
    }
    true
}

/// What the legend explains.
fn keys(plot: &Plot) -> Vec<(Key, String)> {
    if plot.form == Form::Map {
        let ends = tiles::colours(plot);
        let label =
            ends.map(|(low, high)| format!("{} … {}: {}, logarithmic", short(low), short(high), plot.y.label()));
        return label.map(|label| (Key::Ramp, printable(&label))).into_iter().collect();
    }
    let words = !plot.categories.is_empty();
    let named = plot.series.iter().enumerate().filter(|(_, series)| !series.name.is_empty());
    let key = |i, look: Look| match plot.form {
        Form::Columns => Key::Fill(i, look.stroke.color),
        _ if words => Key::Dot(i, look),
        _ => Key::Curve(i, look),
    };
    let mut keys: Vec<(Key, String)> = named.map(|(i, s)| (key(i, s.look), printable(&s.name))).collect();
    if plot.form == Form::Lines && plot.spots().any(|spot| spot.interval.is_some()) {
        keys.push((if plot.bands { Key::Band } else { Key::Bar }, "95 % CI".into()));
    }
    if plot.panels.iter().any(|panel| panel.shades.len() > 1) {
        keys.push((Key::Shared, "shared sub-interval".into()));
    }
    let undefined = plot.panels.iter().flat_map(|panel| &panel.traces).find(|trace| !trace.undefined.is_empty());
    if let Some(trace) = undefined {
        let what = "a jump of the condition: no derivative here";
        keys.push((Key::Undefined(plot.series[trace.series].look.stroke), what.into()));
    }
    keys
}

/// Two digits.
fn short(value: f64) -> String {
    let exponent = value.log10().floor();
    if (-3.0..3.0).contains(&exponent) {
        format!("{value:.*}", (1.0 - exponent).max(0.0) as usize)
    } else {
        format!("{value:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::describe;
    use crate::report::synthetic::{quality, tidy};
    use crate::report::{Cell, Table};

    #[test]
    fn panels_that_share_an_axis_share_its_strip() {
        let mut table = Table::new("t", "T", &[("x", "x"), ("y", "y"), ("panel", "panel")]);
        let row = |x: f64, y: f64, panel: &str| vec![Cell::number(x), Cell::number(y), Cell::text(panel)];
        table.rows =
            vec![row(0.0, 0.0, "a"), row(1.0, 1.0, "a"), row(2.0, 9.0, "a"), row(0.0, 1.0, "b"), row(1.0, 9.0, "b")];
        let mut asked = quality().charts.remove(0);
        (asked.table, asked.interval, asked.series) = ("t".into(), None, None);
        (asked.panels, asked.x.column, asked.y.column) = (Some("panel".into()), "x".into(), "y".into());
        let plot = describe(&tidy(vec![table], Vec::new()), &asked).unwrap();
        let sheet = Sheet::new(&plot);
        assert!(sheet.shared_y && sheet.views.len() == 2);
        assert!(sheet.views.iter().all(|view| view.rows == 1));
    }
}
