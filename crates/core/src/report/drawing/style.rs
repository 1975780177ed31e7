//! How a curve looks: colours that colour-blind readers tell apart, and dashes and markers that survive grey printing.

use plotters::style::RGBColor;

/// Okabe and Ito's palette (jfly.uni-koeln.de/color), its yellow left out: it cannot be seen on white.
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// On-off patterns in points; secants have strokes, derivatives dots, so that the two are never mistaken for each other.
const DASHES: [&[f64]; 6] =
    [&[], &[4.5, 1.5], &[6.0, 1.5, 1.2, 1.5], &[2.2, 1.2], &[6.0, 1.5, 1.2, 1.5, 1.2, 1.5], &[9.0, 2.0]];
const DOTS: [&[f64]; 6] =
    [&[1.0, 1.0], &[1.0, 2.0], &[1.0, 1.0, 1.0, 2.5], &[1.0, 3.0], &[1.0, 1.0, 1.0, 1.0, 1.0, 3.0], &[1.0, 4.0]];

const MARKERS: [Marker; 6] =
    [Marker::Circle, Marker::Square, Marker::Diamond, Marker::Up, Marker::Down, Marker::Pentagon];

/// Grey of frames and ticks.
pub(in crate::report) const FRAME: RGBColor = RGBColor(60, 60, 60);
/// Grey of grid lines.
pub(in crate::report) const GRID: RGBColor = RGBColor(225, 225, 225);
/// The two pale greys of shared sub-intervals.
pub(in crate::report) const SHADES: [RGBColor; 2] = [RGBColor(236, 236, 236), RGBColor(247, 247, 247)];
/// Opacity of an interval band.
pub(in crate::report) const BAND: f64 = 0.28;

/// A drawn line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Stroke {
    /// Colour.
    pub color: RGBColor,
    /// Width in points.
    pub width: f64,
    /// On-off pattern in points; empty for a solid line.
    pub dash: &'static [f64],
}

impl Stroke {
    /// A solid, opaque line.
    pub fn solid(color: RGBColor, width: f64) -> Self {
        Stroke { color, width, dash: &[] }
    }
}

/// Shape of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Marker {
    /// ●
    Circle,
    /// ■
    Square,
    /// ◆
    Diamond,
    /// ▲
    Up,
    /// ▼
    Down,
    /// ⬟
    Pentagon,
}

/// Colour, line and marker of one curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Look {
    /// The line.
    pub stroke: Stroke,
    /// The marker.
    pub marker: Marker,
}

/// The look of model number `model`; from the seventh on colours repeat, with other dashes and markers.
pub(in crate::report) fn look(model: usize, derivative: bool) -> Look {
    let i = model % COLORS.len();
    let other = (i + model / COLORS.len()) % COLORS.len();
    let (dash, width) = if derivative { (DOTS[other], 0.9) } else { (DASHES[other], 1.1) };
    Look { stroke: Stroke { color: COLORS[i], width, dash }, marker: MARKERS[other] }
}
