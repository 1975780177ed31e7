//! What every figure is drawn with: one font, one palette, points on paper, and the three formats.

mod encode;
pub(in crate::report) mod font;
pub(in crate::report) mod ink;
pub(in crate::report) mod style;

use super::Artifact;
use crate::error::Result;
use clap::ValueEnum;
use ink::Ink;

#[cfg(test)]
pub(in crate::report) use encode::text_boxes;

/// Width in points of one column of a two-column paper, 3.5 inches.
pub(in crate::report) const COLUMN: f64 = 252.0;
/// Empty room at the edges of the page, in points.
pub(in crate::report) const MARGIN: f64 = 3.0;
/// Size of tick labels in points.
pub(in crate::report) const TICK_TEXT: f64 = 7.0;
/// Size of axis labels and captions in points.
pub(in crate::report) const LABEL_TEXT: f64 = 7.5;

/// A file format of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum FigureFormat {
    /// Scalable, with letters as outlines
    Svg,
    /// 300 dpi
    Png,
    /// Scalable, with searchable text
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

/// A drawn figure, to be written in any format.
#[derive(Debug)]
pub struct Figure {
    tree: resvg::usvg::Tree,
    stem: String,
    title: String,
}

impl Figure {
    /// From what was drawn, on a page of `size` points; `title` is for readers who cannot see it.
    pub(in crate::report) fn new(drawn: Ink, size: (f64, f64), stem: &str, title: String) -> Result<Figure> {
        Ok(Figure { tree: encode::parse(&drawn.into_svg(), size.0, size.1)?, stem: stem.into(), title })
    }

    /// The file `<stem>.<format>`; the stem of Lipschitz curves is `lipschitz`, that of a chart its name.
    pub fn artifact(&self, format: FigureFormat) -> Result<Artifact> {
        let bytes = match format {
            FigureFormat::Svg => self.svg().into_bytes(),
            FigureFormat::Png => encode::png(&self.tree)?,
            FigureFormat::Pdf => encode::pdf(&self.tree)?,
        };
        Ok(Artifact::new(format!("{}.{}", self.stem, format.extension()), bytes))
    }

    /// The SVG as text, for embedding.
    pub fn svg(&self) -> String {
        encode::svg(&self.tree, &self.title)
    }

    /// What it shows, in one sentence.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The elements of the SVG without their root, for a page of its own.
    pub(in crate::report) fn elements(&self) -> String {
        encode::elements(&self.tree)
    }

    /// Its width and height in pixels of 1/96 inch.
    pub(in crate::report) fn size(&self) -> (f32, f32) {
        (self.tree.size().width(), self.tree.size().height())
    }

    /// The page, for tests of what stands where.
    #[cfg(test)]
    pub(in crate::report) fn tree(&self) -> &resvg::usvg::Tree {
        &self.tree
    }
}
