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

/// Colours of filled columns: the palette with its orange and its yellow, which a fill shows well.
const FILLS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(240, 228, 66),
];
/// What is left, taken together.
const OTHERS: RGBColor = RGBColor(190, 190, 190);

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

/// The look of the columns of part number `part`; `None` for all others together.
pub(in crate::report) fn fill(part: Option<usize>) -> Look {
    let color = part.map_or(OTHERS, |part| FILLS[part % FILLS.len()]);
    Look { stroke: Stroke::solid(color, 1.0), marker: Marker::Square }
}

/// The colour of a share from 0 to 1: white, the palette's blue, nearly black.
pub(in crate::report) fn ramp(share: f64) -> RGBColor {
    let stops = [[255.0, 255.0, 255.0], [86.0, 180.0, 233.0], [0.0, 114.0, 178.0], [0.0, 20.0, 60.0]];
    let place = share.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
    let below = (place.floor() as usize).min(stops.len() - 2);
    let mix = |c: usize| {
        let (from, to) = (stops[below][c], stops[below + 1][c]);
        (from + (to - from) * (place - below as f64)).round() as u8
    };
    RGBColor(mix(0), mix(1), mix(2))
}

/// The look of model number `model`; from the seventh on colours repeat, with other dashes and markers.
pub(in crate::report) fn look(model: usize, derivative: bool) -> Look {
    let i = model % COLORS.len();
    let other = (i + model / COLORS.len()) % COLORS.len();
    let (dash, width) = if derivative { (DOTS[other], 0.9) } else { (DASHES[other], 1.1) };
    Look { stroke: Stroke { color: COLORS[i], width, dash }, marker: MARKERS[other] }
}
