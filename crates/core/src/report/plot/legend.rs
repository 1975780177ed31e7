//! The legend: above the panels, in as many rows as its labels need.

use crate::report::drawing::ink::{Anchor, Ink, Place, text_width};
use crate::report::drawing::style::{BAND, FRAME, GRID, Look, SHADES, Stroke, ramp};
use plotters::style::RGBColor;

/// Size of its text in points.
pub(in crate::report) const SIZE: f64 = 7.0;
const ROW: f64 = 9.5;
const SAMPLE: f64 = 17.0;
const DOT: f64 = 5.0;
/// Colours that stand for a ramp.
const RAMP_STEPS: usize = 32;
const GAP: f64 = 3.0;
const BETWEEN: f64 = 7.0;
/// A label may take this many rows; the middle of a longer one is left out.
const MAX_ROWS: usize = 3;

/// What stands before a label.
pub(in crate::report) enum Key {
    /// A line with its marker, of the series of this number.
    Curve(usize, Look),
    /// A marker alone, of the series of this number.
    Dot(usize, Look),
    /// The columns of one series.
    Fill(usize, RGBColor),
    /// The colours of a map.
    Ramp,
    /// An interval along a line.
    Band,
    /// An interval of one value.
    Bar,
    /// Two sub-intervals.
    Shared,
    /// No value here.
    Undefined(Stroke),
}

impl Key {
    /// Width in points.
    fn width(&self) -> f64 {
        match self {
            Key::Dot(..) | Key::Bar | Key::Undefined(_) | Key::Fill(..) => DOT,
            Key::Ramp => 3.0 * SAMPLE,
            Key::Curve(..) | Key::Band | Key::Shared => SAMPLE,
        }
    }
}

struct Entry {
    key: Key,
    rows: Vec<String>,
    left: f64,
    top: f64,
}

impl Entry {
    fn draw(&self, ink: &Ink, corner: Place) {
        let (left, top) = (corner.0 + self.left, corner.1 + self.top);
        draw_key(ink, &self.key, left, top + ROW / 2.0);
        for (i, row) in self.rows.iter().enumerate() {
            let baseline = top + ROW * (i as f64 + 0.5) + 0.36 * SIZE;
            ink.text(row, (left + self.key.width() + GAP, baseline), SIZE, Anchor::Start);
        }
    }
}

/// Entries with their places, relative to the legend's corner.
pub(in crate::report) struct Legend {
    entries: Vec<Entry>,
    /// Height in points.
    pub height: f64,
}

impl Legend {
    /// Lays out all entries within `width` points.
    pub fn new(keys: Vec<(Key, String)>, width: f64) -> Self {
        let (mut left, mut top, mut row_height) = (0.0, 0.0, 0.0_f64);
        let mut entries = Vec::new();
        for (key, label) in keys {
            let rows = wrap(&label, width - SAMPLE - GAP, SIZE);
            let label_width = rows.iter().map(|r| text_width(r, SIZE)).fold(0.0, f64::max);
            let needed = key.width() + GAP + label_width;
            if left > 0.0 && left + needed > width {
                (left, top, row_height) = (0.0, top + row_height, 0.0);
            }
            row_height = row_height.max(ROW * rows.len() as f64);
            entries.push(Entry { key, rows, left, top });
            left += needed + BETWEEN;
        }
        Legend { entries, height: top + row_height }
    }

    /// Draws it with its upper left corner at `corner`.
    pub fn draw(&self, ink: &Ink, corner: Place) {
        for entry in &self.entries {
            match &entry.key {
                Key::Curve(i, _) | Key::Dot(i, _) | Key::Fill(i, _) => {
                    ink.group(&format!("key-{i}"), || entry.draw(ink, corner))
                }
                _ => entry.draw(ink, corner),
            }
        }
    }
}

fn draw_key(ink: &Ink, key: &Key, left: f64, middle: f64) {
    let (right, centre) = (left + key.width(), left + key.width() / 2.0);
    match key {
        Key::Curve(_, look) => {
            ink.line(&[(left, middle), (right, middle)], &look.stroke);
            ink.marker((centre, middle), look.marker, 3.2, look.stroke.color, false);
        }
        Key::Dot(_, look) => ink.marker((centre, middle), look.marker, 3.8, look.stroke.color, false),
        Key::Fill(_, color) => ink.rectangle((left, middle - 2.8), (right, middle + 2.8), *color),
        Key::Ramp => {
            let step = key.width() / RAMP_STEPS as f64;
            for k in 0..RAMP_STEPS {
                let from = left + step * k as f64;
                let color = ramp(0.06 + 0.94 * k as f64 / (RAMP_STEPS - 1) as f64);
                ink.rectangle((from, middle - 2.8), (from + step + 0.1, middle + 2.8), color);
            }
        }
        Key::Band => {
            let (top, bottom) = (middle - 2.6, middle + 2.6);
            ink.fill(&[(left, top), (right, top), (right, bottom), (left, bottom)], FRAME, BAND);
            ink.line(&[(left, middle), (right, middle)], &Stroke::solid(FRAME, 0.8));
        }
        Key::Bar => ink.error_bar(centre, (middle + 3.2, middle - 3.2), FRAME),
        Key::Undefined(stroke) => ink.cross((centre, middle), stroke.color),
        Key::Shared => {
            let (top, bottom) = (middle - 3.0, middle + 3.0);
            ink.rectangle((left, top), (centre, bottom), SHADES[0]);
            ink.rectangle((centre, top), (right, bottom), SHADES[1]);
            let outline = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
            ink.line(&outline, &Stroke::solid(GRID, 0.5));
        }
    }
}

/// Breaks a label at spaces, else (a path) anywhere, into rows of at most `width` points of text of that `size`.
pub(in crate::report) fn wrap(label: &str, width: f64, size: f64) -> Vec<String> {
    let fits = |text: &str| text_width(text, size) <= width;
    let (mut rows, mut row) = (Vec::new(), String::new());
    for c in label.chars() {
        row.push(c);
        if fits(&row) {
            continue;
        }
        row.pop();
        let at = row.rfind(' ').map_or(row.len(), |space| space + 1);
        let rest = row.split_off(at);
        rows.push(row.trim_end().to_string());
        row = rest;
        row.push(c);
    }
    rows.push(row);
    if rows.len() > MAX_ROWS {
        let last = rows.split_off(rows.len() - 1).concat();
        rows.truncate(MAX_ROWS - 1);
        rows.push(format!("… {last}"));
    }
    while rows.last().is_some_and(|last| !fits(last)) {
        // Only the row that got an ellipsis can be too long.
        let shorter = rows.pop().map(|last| last.replacen("… ", "…", 1)).unwrap_or_default();
        let mut characters = shorter.chars();
        let head = characters.next();
        characters.next();
        rows.push(head.into_iter().chain(characters).collect());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_wrap_at_spaces_and_paths_anywhere() {
        crate::report::drawing::font::register().unwrap();
        assert_eq!(wrap("DDPM", 100.0, SIZE), ["DDPM"]);
        assert_eq!(wrap("a model with a long name", 60.0, SIZE), ["a model with a", "long name"]);
        let rows = wrap(&"x/very_long_path_".repeat(40), 120.0, SIZE);
        assert_eq!(rows.len(), MAX_ROWS);
        assert!(rows[2].starts_with('…') && rows[2].ends_with("path_"), "{rows:?}");
        assert!(rows.iter().all(|r| text_width(r, SIZE) <= 120.0));
    }
}
