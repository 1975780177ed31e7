//! `lipschitz.svg|png|pdf`: the curves over timesteps, one column wide.
//!
//! Panel (a) shows all timesteps, panel (b) the region near t = 0. Both have logarithmic y axes; values that are exactly
//! 0, as inside shared sub-intervals, stand in a strip below, and the jumps between them rise from it as stems.

mod encode;
mod font;
mod ink;
mod legend;
mod panel;
mod scale;
mod series;
mod style;
mod trace;
mod wording;

use super::{Artifact, Report};
use crate::error::{Error, Result};
use ink::{Ink, text_width};
use legend::Legend;
use panel::{LABEL_TEXT, Panel};
use series::{Run, Series};
use std::str::FromStr;

/// Width in points: one column of a two-column paper, 3.5 inches.
const WIDTH: f64 = 252.0;
/// Height of one of two panels, and of a panel that stands alone.
const PANEL_HEIGHT: (f64, f64) = (130.0, 165.0);
const MARGIN: f64 = 3.0;

/// A file format of the figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FigureFormat {
    /// Scalable, with letters as outlines.
    Svg,
    /// 300 dpi.
    Png,
    /// Scalable, with searchable text.
    Pdf,
}

impl FigureFormat {
    /// All formats.
    pub const ALL: [FigureFormat; 3] = [FigureFormat::Svg, FigureFormat::Png, FigureFormat::Pdf];

    /// Extension of the file name.
    pub fn extension(self) -> &'static str {
        match self {
            FigureFormat::Svg => "svg",
            FigureFormat::Png => "png",
            FigureFormat::Pdf => "pdf",
        }
    }
}

impl FromStr for FigureFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = |f: &FigureFormat| f.extension().eq_ignore_ascii_case(text.trim());
        FigureFormat::ALL.into_iter().find(named).ok_or_else(|| {
            Error::argument(
                "--plot",
                text,
                "figures are written as svg, png or pdf",
                "Name one or more, such as svg,pdf.",
            )
        })
    }
}

/// A drawn figure, to be written in any format.
#[derive(Debug)]
pub struct Figure {
    tree: resvg::usvg::Tree,
    title: String,
}

impl Figure {
    /// The file `lipschitz.<format>`.
    pub fn artifact(&self, format: FigureFormat) -> Result<Artifact> {
        let bytes = match format {
            FigureFormat::Svg => self.svg().into_bytes(),
            FigureFormat::Png => encode::png(&self.tree)?,
            FigureFormat::Pdf => encode::pdf(&self.tree)?,
        };
        Ok(Artifact::new(format!("lipschitz.{}", format.extension()), bytes))
    }

    /// The SVG as text, for embedding.
    pub fn svg(&self) -> String {
        encode::svg(&self.tree, &self.title)
    }
}

/// Draws the curves of a report.
///
/// # Errors
/// [`Error::Mismatch`] when no timestep has a value, or when curves differ in unit, norm or axis.
pub fn figure(report: &Report) -> Result<Figure> {
    font::register()?;
    let series = series::series(report)?;
    let y_labels = wording::y_labels(report)?;
    let shared = shared_boundaries(report);
    let panels = panels(report, &series, &shared);
    let legend = Legend::new(&series, panels.iter().any(Panel::shows_shades), WIDTH - 2.0 * MARGIN);
    let panel_height = if panels.len() > 1 { PANEL_HEIGHT.0 } else { PANEL_HEIGHT.1 };
    let top = MARGIN + legend.height + 2.0;
    let height = (top + panel_height * panels.len() as f64 + MARGIN).ceil();

    let mut drawn = String::new();
    let ink = Ink::new(&mut drawn, WIDTH, height);
    legend.draw(&ink, (MARGIN, MARGIN))?;
    draw_y_label(&ink, &y_labels, (top, height))?;
    let room = panels.iter().map(Panel::label_room).fold(0.0, f64::max);
    let left = MARGIN + 1.4 * LABEL_TEXT + room;
    for (i, panel) in panels.iter().enumerate() {
        let above = top + panel_height * i as f64;
        panel.draw(&ink, left, WIDTH - 2.5 * MARGIN, (above, above + panel_height))?;
    }
    ink.finish()?;
    Ok(Figure { tree: encode::parse(&drawn, WIDTH, height)?, title: wording::description(report) })
}

/// One label for all panels, the most explicit that fits.
fn draw_y_label(ink: &Ink, labels: &[String], (top, bottom): (f64, f64)) -> Result<()> {
    let fits = |label: &&String| text_width(label, LABEL_TEXT) <= bottom - top;
    let Some(label) = labels.iter().find(fits).or(labels.last()) else { return Ok(()) };
    ink.text_upwards(label, (MARGIN + 0.8 * LABEL_TEXT, (top + bottom) / 2.0), LABEL_TEXT)
}

/// The whole range, and the region near 0 unless it is the whole range or holds nothing.
fn panels<'a>(report: &Report, series: &'a [Series], shared: &'a [f64]) -> Vec<Panel<'a>> {
    let timesteps: Vec<f64> = series.iter().flat_map(|s| &s.runs).flat_map(Run::timesteps).collect();
    let first = timesteps.iter().copied().fold(f64::INFINITY, f64::min);
    let last = timesteps.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total = report.models.iter().map(|m| m.model.timesteps as f64).fold(last, f64::max);
    // A curve that reaches the last steps gets the whole axis, so that its end is labelled: 1000, not 800.
    let end = if last >= 0.95 * total { total } else { last };
    let whole = if first < last { (first, end) } else { ((first - 1.0).max(0.0), last + 1.0) };
    let unfinished = if report.complete { "" } else { ", unfinished" };
    let (from, until) = near_zero(report);
    let near = (from, until + 0.15 * (until - from));
    let enlarged = Panel::new(format!("(b) near t = 0{unfinished}"), near, series, Some(shared));
    if whole.1 <= near.1 || enlarged.points() < 2 {
        let caption = if report.complete { String::new() } else { "unfinished run".into() };
        return vec![Panel::new(caption, whole, series, Some(shared))];
    }
    vec![Panel::new(format!("(a) all measured timesteps{unfinished}"), whole, series, None), enlarged]
}

/// The window near 0: the summary's, else the shared one, else a tenth of all timesteps.
fn near_zero(report: &Report) -> (f64, f64) {
    let summarised = report.models.iter().flat_map(|m| &m.summary).map(|s| (s.near_zero.from, s.near_zero.until));
    let sane = |(from, until): &(f64, f64)| from.is_finite() && until.is_finite() && from < until;
    let shared = report.models.iter().filter_map(|m| m.model.boundaries.last()).map(|end| (0.0, *end));
    let tenth = report.models.iter().map(|m| (0.0, m.model.timesteps as f64 / 10.0));
    summarised.chain(shared).chain(tenth).find(sane).unwrap_or((0.0, 100.0))
}

/// The boundaries to shade: those of the models that share, if they all share alike.
fn shared_boundaries(report: &Report) -> Vec<f64> {
    let mut sharing = report.models.iter().map(|m| &m.model.boundaries).filter(|b| b.len() > 1);
    match sharing.next() {
        Some(first) if sharing.all(|other| other == first) => first.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
