//! The horizontal axis: numbers, or words in the order of their rows.

use super::Plot;
use super::legend::wrap;
use super::scale::{Scale, Ticks, linear_range, linear_ticks, log_range, log_ticks};
use crate::report::drawing::font::printable;
use crate::report::drawing::ink::{Anchor, Ink, shortened, text_width};
use crate::report::drawing::style::{FRAME, Stroke};
use crate::report::drawing::{LABEL_TEXT, TICK_TEXT};

/// Height of a row of tick labels.
const ROW: f64 = 8.2;
/// From the frame to the first row of tick labels.
const DROP: f64 = 3.0;
/// Longest word that is written upwards, in points.
const UPWARDS: f64 = 92.0;
/// Empty room at both ends of an axis of numbers.
const PADDING: f64 = 5.0;

/// The axis of all panels of one width.
#[derive(Debug)]
pub(super) struct XAxis {
    label: String,
    lo: f64,
    hi: f64,
    log: bool,
    ticks: Ticks,
    /// Rows of every category's label; empty for numbers.
    words: Vec<Vec<String>>,
    /// Whether the words are written upwards.
    upwards: bool,
}

impl XAxis {
    /// The axis for panels whose frames are `width` points wide: over all values, or over a window of them.
    pub fn new(plot: &Plot, window: Option<(f64, f64)>, width: f64) -> XAxis {
        let label = printable(plot.x.label());
        if !plot.categories.is_empty() {
            return XAxis::of_words(&plot.categories, label, width);
        }
        let inside = |x: &f64| window.is_none_or(|(lo, hi)| (lo..=hi).contains(x));
        let xs: Vec<f64> = plot.spots().map(|spot| spot.x).filter(inside).collect();
        // Where there is a 0 the axis cannot be logarithmic.
        let log = plot.x.log && xs.iter().all(|x| *x > 0.0);
        let ranged = || xs.iter().map(|x| (*x, None));
        let padded = if log { log_range(ranged()) } else { linear_range(ranged()) };
        let ends = xs.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), x| (lo.min(*x), hi.max(*x)));
        let (lo, hi) = window.unwrap_or(ends);
        let (lo, hi) = if lo < hi { (lo, hi) } else { padded.unwrap_or((0.0, 1.0)) };
        let scale = Scale { lo, hi, from: PADDING, to: width - PADDING, log };
        let ticks = number_ticks(xs, &scale);
        XAxis { label, lo, hi, log, ticks, words: Vec::new(), upwards: false }
    }

    fn of_words(categories: &[String], label: String, width: f64) -> XAxis {
        let room = width / categories.len() as f64 - 4.0;
        let names: Vec<String> = categories.iter().map(|name| printable(name)).collect();
        let longest_word = names.iter().flat_map(|name| name.split(' ')).map(|word| text_width(word, TICK_TEXT));
        let upwards = longest_word.fold(0.0, f64::max) > room;
        let rows = |name: &String| {
            if upwards {
                return vec![shortened(name, UPWARDS, TICK_TEXT)];
            }
            wrap(name, room, TICK_TEXT)
        };
        let words = names.iter().map(rows).collect();
        let hi = categories.len() as f64 - 0.5;
        XAxis { label, lo: -0.5, hi, log: false, ticks: Ticks::default(), words, upwards }
    }

    /// Where values stand between the sides of a frame.
    pub fn scale(&self, left: f64, right: f64) -> Scale {
        let padding = if self.words.is_empty() { PADDING } else { 0.0 };
        Scale { lo: self.lo, hi: self.hi, from: left + padding, to: right - padding, log: self.log }
    }

    /// Points between two neighbouring categories; `None` for numbers.
    pub fn spacing(&self, left: f64, right: f64) -> Option<f64> {
        (!self.words.is_empty()).then(|| (right - left) / self.words.len() as f64)
    }

    /// Height of the tick labels and the label below a frame.
    pub fn height(&self) -> f64 {
        self.tick_height() + LABEL_TEXT + 4.0
    }

    fn tick_height(&self) -> f64 {
        if self.upwards {
            let longest = self.words.iter().flatten().map(|word| text_width(word, TICK_TEXT)).fold(0.0, f64::max);
            return DROP + longest + 2.0;
        }
        DROP + ROW * self.words.iter().map(Vec::len).max().unwrap_or(1) as f64
    }

    /// Ticks and their labels below a frame.
    pub fn draw_ticks(&self, ink: &Ink, (left, right): (f64, f64), bottom: f64) {
        let scale = self.scale(left, right);
        let tick = |at: f64, long: f64| ink.line(&[(at, bottom), (at, bottom + long)], &Stroke::solid(FRAME, 0.6));
        for value in &self.ticks.minor {
            tick(scale.at(*value), 1.6);
        }
        for (value, label) in &self.ticks.major {
            let at = scale.at(*value);
            tick(at, 2.5);
            ink.text(label, (at, bottom + DROP + 6.2), TICK_TEXT, Anchor::Middle);
        }
        for (i, rows) in self.words.iter().enumerate() {
            let at = scale.at(i as f64);
            tick(at, 2.5);
            for (k, row) in rows.iter().enumerate() {
                if self.upwards {
                    let middle = bottom + DROP + 1.0 + text_width(row, TICK_TEXT) / 2.0;
                    ink.text_upwards(row, (at + 0.36 * TICK_TEXT, middle), TICK_TEXT);
                } else {
                    let baseline = bottom + DROP + 6.2 + ROW * k as f64;
                    ink.text(row, (at, baseline), TICK_TEXT, Anchor::Middle);
                }
            }
        }
    }

    /// The label, centred on `middle` below the tick labels of a frame.
    pub fn draw_label(&self, ink: &Ink, middle: f64, bottom: f64) {
        ink.text(&self.label, (middle, bottom + self.tick_height() + LABEL_TEXT), LABEL_TEXT, Anchor::Middle);
    }
}

/// Ticks at the values themselves where their labels have room, else at round numbers.
fn number_ticks(mut values: Vec<f64>, scale: &Scale) -> Ticks {
    values.sort_by(f64::total_cmp);
    values.dedup();
    let width = |label: &str| text_width(label, TICK_TEXT) + 5.0;
    let apart = |ticks: &[(f64, String)]| {
        ticks.windows(2).all(|pair| {
            let room = scale.at(pair[1].0) - scale.at(pair[0].0);
            room >= (width(&pair[0].1) + width(&pair[1].1)) / 2.0
        })
    };
    let own: Vec<(f64, String)> = values.into_iter().map(|value| (value, value.to_string())).collect();
    let short = own.iter().all(|(_, label)| label.chars().count() <= 6);
    if own.len() <= 9 && short && apart(&own) {
        return Ticks { major: own, minor: Vec::new() };
    }
    if scale.log {
        let ticks = log_ticks(scale.lo, scale.hi);
        if ticks.major.len() > 1 && apart(&ticks.major) {
            return ticks;
        }
    }
    let tried = (2..=7).rev().map(|count| linear_ticks(scale.lo, scale.hi, count));
    tried.into_iter().find(|ticks| apart(&ticks.major)).unwrap_or_default()
}
