//! Drawing primitives in points (1/72 inch), written as SVG.

use super::font::FAMILY;
use super::style::{Marker, Stroke};
use plotters::style::{BLACK, IntoFont, RGBColor, TextStyle, WHITE};
use std::cell::{Cell, RefCell};
use std::fmt::Write;

/// The size at which plotters measures text, in pixels per point: it counts in whole pixels.
const UNITS: f64 = 20.0;

/// DejaVu's ascent plus descent in em, by which plotters' measure of a text has to be set right.
const FONT_HEIGHT: f64 = (1901.0 + 483.0) / 2048.0;

/// A place on the sheet, x to the right and y down.
pub(in crate::report) type Place = (f64, f64);

/// Which end of a text its place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Anchor {
    /// The text begins there.
    Start,
    /// The text is centred there.
    Middle,
    /// The text ends there.
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        }
    }
}

/// The sheet.
#[derive(Debug, Default)]
pub(in crate::report) struct Ink {
    svg: RefCell<String>,
    groups: Cell<usize>,
}

impl Ink {
    /// The elements drawn so far.
    pub fn into_svg(self) -> String {
        self.svg.into_inner()
    }

    fn write(&self, element: std::fmt::Arguments) {
        // Writing into a string cannot fail.
        let _ = self.svg.borrow_mut().write_fmt(element);
    }

    /// What `draw` draws, as a group that a page finds again: its id is `name` and a number of its own.
    pub fn group(&self, name: &str, draw: impl FnOnce()) {
        self.groups.set(self.groups.get() + 1);
        self.write(format_args!("<g id=\"{name}.{}\">", self.groups.get()));
        draw();
        self.write(format_args!("</g>"));
    }

    /// An open line, dashed as its stroke says.
    pub fn line(&self, path: &[Place], stroke: &Stroke) {
        let dash: Vec<String> = stroke.dash.iter().map(f64::to_string).collect();
        let dash = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{}\"", dash.join(" ")) };
        self.write(format_args!(
            "<path fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{dash} d=\"{}\"/>",
            hex(stroke.color),
            stroke.width,
            joined(path)
        ));
    }

    /// A filled shape without an outline.
    pub fn fill(&self, outline: &[Place], color: RGBColor, alpha: f64) {
        let opacity = if alpha < 1.0 { format!(" fill-opacity=\"{alpha}\"") } else { String::new() };
        self.write(format_args!("<path fill=\"{}\"{opacity} d=\"{}Z\"/>", hex(color), joined(outline)));
    }

    /// A filled rectangle.
    pub fn rectangle(&self, (x0, y0): Place, (x1, y1): Place, color: RGBColor) {
        self.fill(&[(x0, y0), (x1, y0), (x1, y1), (x0, y1)], color, 1.0);
    }

    /// A marker of about `size` points across; an open one is filled white.
    pub fn marker(&self, at: Place, marker: Marker, size: f64, color: RGBColor, open: bool) {
        let outline = outline(marker, at, size / 2.0);
        self.fill(&outline, if open { WHITE } else { color }, 1.0);
        if !open {
            return;
        }
        let closed: Vec<Place> = outline.iter().chain(outline.first()).copied().collect();
        self.line(&closed, &Stroke::solid(color, 0.7));
    }

    /// ×.
    pub fn cross(&self, (x, y): Place, color: RGBColor) {
        let (arm, thin) = (1.5, Stroke::solid(color, 0.8));
        self.line(&[(x - arm, y - arm), (x + arm, y + arm)], &thin);
        self.line(&[(x - arm, y + arm), (x + arm, y - arm)], &thin);
    }

    /// A vertical bar with caps: an interval.
    pub fn error_bar(&self, x: f64, (low, high): (f64, f64), color: RGBColor) {
        let thin = Stroke::solid(color, 0.6);
        self.line(&[(x, low), (x, high)], &thin);
        [low, high].iter().for_each(|end| self.line(&[(x - 1.8, *end), (x + 1.8, *end)], &thin));
    }

    /// One line of text whose baseline passes through `at`.
    pub fn text(&self, text: &str, at: Place, size: f64, anchor: Anchor) {
        self.place_text(text, at, size, anchor, "");
    }

    /// One line of text that reads upwards, centred on `at`, its baseline to the right.
    pub fn text_upwards(&self, text: &str, at: Place, size: f64) {
        let turn = format!(" transform=\"rotate(-90 {:.2} {:.2})\"", at.0, at.1);
        self.place_text(text, at, size, Anchor::Middle, &turn);
    }

    fn place_text(&self, text: &str, (x, y): Place, size: f64, anchor: Anchor, turn: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let anchor = anchor.name();
        self.write(format_args!(
            "<text x=\"{x:.2}\" y=\"{y:.2}\" font-size=\"{size}\" text-anchor=\"{anchor}\"{turn}>{text}</text>"
        ));
    }
}

fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// The places of a path, to a hundredth of a point.
/// Corners of a marker around `centre`; areas are about equal for equal `radius`.
pub(in crate::report) fn outline(marker: Marker, centre: Place, radius: f64) -> Vec<Place> {
    let (corners, turn, scale) = match marker {
        Marker::Circle => (24, 0.0, 1.0),
        Marker::Square => (4, 0.5, 1.25),
        Marker::Diamond => (4, 0.0, 1.35),
        Marker::Up => (3, 0.0, 1.45),
        Marker::Down => (3, 0.5, 1.45),
        Marker::Pentagon => (5, 0.0, 1.15),
    };
    let corner = |k: usize| {
        let angle = std::f64::consts::TAU * (k as f64 + turn) / corners as f64;
        (centre.0 + scale * radius * angle.sin(), centre.1 - scale * radius * angle.cos())
    };
    (0..corners).map(corner).collect()
}

fn joined(path: &[Place]) -> String {
    let mut text = String::with_capacity(14 * path.len());
    for (i, (x, y)) in path.iter().enumerate() {
        let _ = write!(text, "{}{x:.2} {y:.2}", if i == 0 { "M" } else { "L" });
    }
    text
}

/// Width of `text` in points.
pub(in crate::report) fn text_width(text: &str, size: f64) -> f64 {
    let style = text_style(size);
    // Only a font that is not registered cannot be measured; then a wide guess keeps things apart.
    let wide = style.font.box_size(text).map_or(text.chars().count() as f64 * size, |(w, _)| f64::from(w) / UNITS);
    wide * FONT_HEIGHT
}

/// `text` in at most `width` points, its middle left out where it is longer.
pub(in crate::report) fn shortened(text: &str, width: f64, size: f64) -> String {
    let letters: Vec<char> = text.chars().collect();
    let kept = |count: usize| {
        let (head, tail) = (count.div_ceil(2), count / 2);
        letters[..head].iter().chain(&['…']).chain(&letters[letters.len() - tail..]).collect::<String>()
    };
    if text_width(text, size) <= width {
        return text.into();
    }
    (1..letters.len()).rev().map(kept).find(|shorter| text_width(shorter, size) <= width).unwrap_or_else(|| "…".into())
}

fn text_style(size: f64) -> TextStyle<'static> {
    TextStyle::from((FAMILY, size * UNITS).into_font()).color(&BLACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_font() {
        super::super::font::register().unwrap();
        // Each digit of DejaVu Sans is 1303/2048 em wide.
        let expected = 8.0 * 10.0 * 1303.0 / 2048.0;
        assert!((text_width("01234567", 10.0) - expected).abs() < 0.1);
        assert_eq!(shortened("01234567", expected + 1.0, 10.0), "01234567");
        assert_eq!(shortened("01234567", 0.7 * expected, 10.0), "01…67");
    }
}
