//! What a figure shows: series over two axes, in panels.

use crate::report::drawing::style::Look;

/// What one figure shows.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Plot {
    /// Stem of its files.
    pub name: String,
    /// The line above it; may be empty.
    pub title: String,
    /// What it is, in one sentence for readers who cannot see it.
    pub description: String,
    /// The horizontal axis; a linear one where there are categories.
    pub x: Variable,
    /// The vertical axis.
    pub y: Variable,
    /// What is told apart by colour, dash and marker.
    pub series: Vec<Series>,
    /// Names of the places on the x axis; empty where x is a number.
    pub categories: Vec<String>,
    /// Panels in their order.
    pub panels: Vec<Panel>,
    /// Whether panels stand above one another, each with its own axes, and not side by side.
    pub stacked: bool,
    /// Whether intervals are bands along the lines, and not a bar each.
    pub bands: bool,
    /// How values are drawn.
    pub form: Form,
}

/// How the values of a plot are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::report) enum Form {
    /// As lines or dots with their intervals.
    #[default]
    Lines,
    /// As columns that stand on each other: each value fills its interval.
    Columns,
    /// As tiles of a map, a row per series, coloured by the logarithm of the value.
    Map,
}

/// What an axis shows.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Variable {
    /// Its label, from the most explicit wording to the shortest; the first that fits is drawn.
    pub labels: Vec<String>,
    /// Whether it is logarithmic.
    pub log: bool,
}

/// What a colour stands for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Series {
    /// Name in the legend; empty where nothing tells series apart.
    pub name: String,
    /// Colour, line and marker.
    pub look: Look,
    /// Ends of its sub-intervals, marked where series do not share them.
    pub boundaries: Vec<f64>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::report) struct Panel {
    /// The line above it; may be empty.
    pub caption: String,
    /// The part of the x axis that it shows; without one, all of it.
    pub window: Option<(f64, f64)>,
    /// Its lines.
    pub traces: Vec<Trace>,
    /// Ends of the intervals of x that are shaded in turns.
    pub shades: Vec<f64>,
    /// Whether it has room for boundaries of single series and for places without a derivative.
    pub enlarged: bool,
}

/// The points of one series within one panel.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Trace {
    /// Index of the series.
    pub series: usize,
    /// By ascending x.
    pub spots: Vec<Spot>,
    /// Where a derivative does not exist.
    pub undefined: Vec<f64>,
}

/// One value with its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Spot {
    /// Where it stands, a category by its index.
    pub x: f64,
    /// `None` breaks the line.
    pub y: Option<f64>,
    /// 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// Whether it rises alone from zeros: no line joins it to its neighbours.
    pub jump: bool,
}

/// A value where it was drawn, for pages that read the figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Mark {
    /// Index of the series.
    pub series: usize,
    /// Place on the sheet in points.
    pub at: (f64, f64),
    /// What stands there.
    pub spot: Spot,
}

impl Variable {
    /// One with a single label.
    pub fn new(label: impl Into<String>, log: bool) -> Variable {
        Variable { labels: vec![label.into()], log }
    }

    /// The most explicit label.
    pub fn label(&self) -> &str {
        self.labels.first().map_or("", String::as_str)
    }

    /// The shortest label.
    pub fn short_label(&self) -> &str {
        self.labels.last().map_or("", String::as_str)
    }
}

impl Plot {
    /// All points of all panels.
    pub fn spots(&self) -> impl Iterator<Item = &Spot> {
        self.panels.iter().flat_map(|panel| &panel.traces).flat_map(|trace| &trace.spots)
    }
}
