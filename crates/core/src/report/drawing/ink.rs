//! Drawing primitives in points (1/72 inch) over plotters' SVG backend.
//!
//! plotters places everything on whole numbers, so the sheet is counted in twentieths of a point.

use super::font::FAMILY;
use super::style::{Marker, Stroke};
use crate::error::{Error, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Sheet units per point.
pub(in crate::report) const UNITS: f64 = 20.0;

/// plotters asks for a line height and writes it over 1.24 as the size of the font.
const LINE_HEIGHT: f64 = 1.24;

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

/// The sheet.
pub(in crate::report) struct Ink<'a> {
    sheet: DrawingArea<SVGBackend<'a>, Shift>,
}

impl<'a> Ink<'a> {
    /// An empty sheet of `width` × `height` points whose SVG goes into `svg`.
    pub fn new(svg: &'a mut String, width: f64, height: f64) -> Self {
        let size = (unit(width) as u32, unit(height) as u32);
        Ink { sheet: SVGBackend::with_string(svg, size).into_drawing_area() }
    }

    /// Ends the drawing.
    pub fn finish(self) -> Result<()> {
        self.sheet.present().map_err(failed)
    }

    /// An open line, dashed as its stroke says.
    pub fn line(&self, path: &[Place], stroke: &Stroke) -> Result<()> {
        let style = stroke.color.mix(stroke.alpha).stroke_width(unit(stroke.width).max(1) as u32);
        for piece in dashes(path, stroke.dash) {
            let places: Vec<(i32, i32)> = piece.into_iter().map(units).collect();
            self.sheet.draw(&PathElement::new(places, style)).map_err(failed)?;
        }
        Ok(())
    }

    /// A filled shape without an outline.
    pub fn fill(&self, outline: &[Place], color: RGBColor, alpha: f64) -> Result<()> {
        let places: Vec<(i32, i32)> = outline.iter().copied().map(units).collect();
        self.sheet.draw(&Polygon::new(places, color.mix(alpha))).map_err(failed)
    }

    /// A filled rectangle.
    pub fn rectangle(&self, (x0, y0): Place, (x1, y1): Place, color: RGBColor) -> Result<()> {
        self.fill(&[(x0, y0), (x1, y0), (x1, y1), (x0, y1)], color, 1.0)
    }

    /// A marker of about `size` points across; an open one is filled white.
    pub fn marker(&self, at: Place, marker: Marker, size: f64, color: RGBColor, open: bool) -> Result<()> {
        let outline = marker.outline(at, size / 2.0);
        self.fill(&outline, if open { WHITE } else { color }, 1.0)?;
        if !open {
            return Ok(());
        }
        let closed: Vec<Place> = outline.iter().chain(outline.first()).copied().collect();
        self.line(&closed, &Stroke::solid(color, 0.7))
    }

    /// ×.
    pub fn cross(&self, (x, y): Place, color: RGBColor) -> Result<()> {
        let (arm, thin) = (1.5, Stroke::solid(color, 0.8));
        self.line(&[(x - arm, y - arm), (x + arm, y + arm)], &thin)?;
        self.line(&[(x - arm, y + arm), (x + arm, y - arm)], &thin)
    }

    /// A vertical bar with caps: an interval.
    pub fn error_bar(&self, x: f64, (low, high): (f64, f64), color: RGBColor) -> Result<()> {
        let thin = Stroke::solid(color, 0.6);
        self.line(&[(x, low), (x, high)], &thin)?;
        [low, high].iter().try_for_each(|end| self.line(&[(x - 1.8, *end), (x + 1.8, *end)], &thin))
    }

    /// One line of text whose baseline passes through `at`.
    pub fn text(&self, text: &str, at: Place, size: f64, anchor: Anchor) -> Result<()> {
        self.place_text(text, (at.0, at.1 + 0.25 * size), size, anchor, FontTransform::None)
    }

    /// One line of text that reads upwards, centred on `at`, its baseline to the right.
    pub fn text_upwards(&self, text: &str, at: Place, size: f64) -> Result<()> {
        self.place_text(text, (at.0 + 0.25 * size, at.1), size, Anchor::Middle, FontTransform::Rotate270)
    }

    /// `at` lies a quarter em below the baseline: that is where plotters' bottom anchor has it.
    fn place_text(&self, text: &str, at: Place, size: f64, anchor: Anchor, turn: FontTransform) -> Result<()> {
        let side = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let style = text_style(size).transform(turn).pos(Pos::new(side, VPos::Bottom));
        self.sheet.draw(&Text::new(text, units(at), style)).map_err(failed)
    }
}

/// Width of `text` in points.
pub(in crate::report) fn text_width(text: &str, size: f64) -> f64 {
    let style = text_style(size);
    // Only a font that is not registered cannot be measured; then a wide guess keeps things apart.
    let wide = style.font.box_size(text).map_or(text.chars().count() as f64 * size, |(w, _)| f64::from(w) / UNITS);
    wide * FONT_HEIGHT / LINE_HEIGHT
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
    TextStyle::from((FAMILY, size * UNITS * LINE_HEIGHT).into_font()).color(&BLACK)
}

fn unit(points: f64) -> i32 {
    (points * UNITS).round() as i32
}

fn units((x, y): Place) -> (i32, i32) {
    (unit(x), unit(y))
}

fn failed(e: impl std::fmt::Display) -> Error {
    Error::mismatch(format!("the figure cannot be drawn ({e})"), "Please report this together with report.json.")
}

/// The inked pieces of a path under an on-off pattern in points; an empty pattern is a solid line.
fn dashes(path: &[Place], pattern: &[f64]) -> Vec<Vec<Place>> {
    if pattern.is_empty() {
        return vec![path.to_vec()];
    }
    let (mut pieces, mut piece) = (Vec::new(), Vec::new());
    let (mut index, mut left) = (0, pattern[0]);
    piece.extend(path.first());
    for pair in path.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let at = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length);
            if index % 2 == 0 {
                piece.push(at);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![at];
            }
            index = (index + 1) % pattern.len();
            left = pattern[index];
        }
        left -= length - done;
        if index % 2 == 0 {
            piece.push((x1, y1));
        }
    }
    if index % 2 == 0 && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_go_round_corners() {
        let path = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0)];
        let expected = vec![vec![(0.0, 0.0), (3.0, 0.0)], vec![(4.0, 1.0), (4.0, 4.0)]];
        assert_eq!(dashes(&path, &[3.0, 2.0]), expected);
        assert_eq!(dashes(&path, &[]), vec![path.to_vec()]);
    }

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
