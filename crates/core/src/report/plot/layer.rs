//! One trace within a panel, layer by layer: its interval band, line, stems, markers and bars, and its row of the strip.

use super::run::{Mean, Run, runs};
use super::scale::Scale;
use super::{Mark, Panel, Plot, Trace};
use crate::report::drawing::ink::{Ink, Place};
use crate::report::drawing::style::{BAND, Look, Stroke};

/// Points closer than this, in points, are told apart by the line and not by markers.
const SPARSE: f64 = 5.0;
const MARKER: f64 = 3.2;
/// Lines of several series over the same x are moved apart by this, so that their bars can be told apart.
const ASIDE: f64 = 1.3;

/// A trace, ready to be drawn.
pub(super) struct Layer<'a> {
    plot: &'a Plot,
    trace: &'a Trace,
    /// What of it lies within the panel's window.
    runs: Vec<Run>,
    /// Whether several values stand over one x: then no line joins them.
    repeated: bool,
}

/// Where values stand in one frame.
pub(super) struct Axes {
    pub x: Scale,
    /// `None` where a logarithmic axis has nothing to show.
    pub y: Option<Scale>,
    /// Points between two neighbouring categories; `None` for numbers.
    pub spacing: Option<f64>,
}

impl<'a> Layer<'a> {
    pub fn new(plot: &'a Plot, panel: &Panel, trace: &'a Trace) -> Layer<'a> {
        let all = runs(&trace.spots, plot.y.log);
        let runs = match panel.window {
            Some(window) => all.iter().filter_map(|run| run.within(window)).collect(),
            None => all,
        };
        let repeated = trace.spots.windows(2).any(|pair| pair[0].x == pair[1].x);
        Layer { plot, trace, runs, repeated }
    }

    /// Index of its series.
    pub fn series(&self) -> usize {
        self.trace.series
    }

    fn look(&self) -> Look {
        self.plot.series[self.trace.series].look
    }

    pub fn means(&self) -> impl Iterator<Item = &Mean> {
        self.runs.iter().flat_map(Run::means)
    }

    /// Whether it has values that a logarithmic axis cannot show.
    pub fn is_off_scale(&self) -> bool {
        self.runs.iter().any(|run| matches!(run, Run::Off(_)))
    }

    /// Where a value over `x` stands; series are moved apart where each value has its bar.
    fn at(&self, axes: &Axes, x: f64) -> f64 {
        let of = self.plot.series.len() as f64;
        let step = axes.spacing.map_or(ASIDE, |spacing| (0.66 * spacing / of).min(9.0));
        let aside = if self.plot.bands { 0.0 } else { step * (self.trace.series as f64 - (of - 1.0) / 2.0) };
        axes.x.at(x) + aside
    }

    /// The intervals along the lines.
    pub fn draw_bands(&self, ink: &Ink, axes: &Axes) {
        let Some(y) = axes.y.filter(|_| self.plot.bands && !self.repeated) else { return };
        for run in &self.runs {
            let Run::Line(means) = run else { continue };
            for part in means.split(|m| m.interval.is_none()).filter(|part| part.len() > 1) {
                let ends = |upper: bool| {
                    let end = move |m: &Mean| m.interval.map_or(m.value, |(lo, hi)| if upper { hi } else { lo });
                    part.iter().map(move |m| (m.x, end(m)))
                };
                let place = |(x, value): (f64, f64)| (self.at(axes, x), y.at(value));
                let outline: Vec<Place> = ends(true).chain(ends(false).rev()).map(place).collect();
                ink.fill(&outline, self.look().stroke.color, BAND);
            }
        }
    }

    /// Lines, stems, and markers where points are sparse.
    pub fn draw_curve(&self, ink: &Ink, axes: &Axes) {
        let Some(y) = axes.y else { return };
        let places: Vec<f64> = self.runs.iter().flat_map(Run::places).collect();
        for run in &self.runs {
            match run {
                Run::Off(_) => {}
                Run::Stem(mean) => {
                    let (at, top) = (self.at(axes, mean.x), y.at(mean.value));
                    ink.line(&[(at, y.from), (at, top)], &Stroke::solid(self.look().stroke.color, 0.9));
                    self.draw_value(ink, mean, axes, &y, true);
                }
                Run::Line(means) => {
                    if axes.spacing.is_none() && !self.repeated {
                        self.draw_line(ink, means, axes, &y);
                    }
                    let barred = !self.plot.bands || self.repeated || means.len() == 1;
                    for mean in means.iter().filter(|m| m.measured) {
                        if barred || self.is_sparse(mean.x, &places, axes) {
                            self.draw_value(ink, mean, axes, &y, barred);
                        }
                    }
                }
            }
        }
    }

    fn draw_line(&self, ink: &Ink, means: &[Mean], axes: &Axes, y: &Scale) {
        let path: Vec<Place> = means.iter().map(|m| (self.at(axes, m.x), y.at(m.value))).collect();
        if let [first, .., last] = path.as_slice() {
            let crowded = path.len() as f64 > last.0 - first.0;
            let stroke = self.look().stroke;
            ink.line(&path, &Stroke { width: stroke.width * if crowded { 0.7 } else { 1.0 }, ..stroke });
        }
    }

    /// A marker, and the bar of its interval where the marker does not hide it.
    fn draw_value(&self, ink: &Ink, mean: &Mean, axes: &Axes, y: &Scale, barred: bool) {
        let (look, at) = (self.look(), self.at(axes, mean.x));
        let size = if axes.spacing.is_some() { 1.15 * MARKER } else { MARKER };
        if let Some((low, high)) = mean.interval.map(|(low, high)| (y.at(low), y.at(high)))
            && barred
            && low - high >= size
        {
            ink.error_bar(at, (low, high), look.stroke.color);
        }
        ink.marker((at, y.at(mean.value)), look.marker, size, look.stroke.color, false);
    }

    /// What the axis cannot show, as flat stretches, or open markers where it is sparse, in the row `row`; a cross
    /// wherever a derivative does not exist.
    pub fn draw_off_scale(&self, ink: &Ink, axes: &Axes, row: f64, crosses: bool) {
        let look = self.look();
        let color = look.stroke.color;
        let places: Vec<f64> = self.runs.iter().flat_map(Run::places).collect();
        for run in &self.runs {
            let Run::Off(all) = run else { continue };
            if let (Some(first), Some(last), None) = (all.first(), all.last(), axes.spacing) {
                let width = if all.len() > 1 { 1.6 } else { 0.8 };
                let (from, to) = (self.at(axes, *first) - 0.4, self.at(axes, *last) + 0.4);
                ink.line(&[(from, row), (to, row)], &Stroke::solid(color, width));
            }
            for x in all.iter().filter(|x| self.is_sparse(**x, &places, axes)) {
                ink.marker((self.at(axes, *x), row), look.marker, MARKER - 0.6, color, true);
            }
        }
        let seen = |x: &&f64| (axes.x.lo..=axes.x.hi).contains(*x);
        for x in self.trace.undefined.iter().filter(|_| crosses).filter(seen) {
            ink.cross((self.at(axes, *x), row), color);
        }
    }

    /// Its values where they stand.
    pub fn marks(&self, axes: &Axes, row: f64) -> impl Iterator<Item = Mark> {
        let place = move |value: f64| match &axes.y {
            Some(y) if !self.plot.y.log || value > 0.0 => y.at(value),
            _ => row,
        };
        let inside = |x: f64| (axes.x.lo..=axes.x.hi).contains(&x);
        self.trace.spots.iter().filter(move |spot| inside(spot.x)).filter_map(move |spot| {
            let at = (self.at(axes, spot.x), place(spot.y?));
            Some(Mark { series: self.trace.series, at, spot: *spot })
        })
    }

    /// Whether no other point of the trace stands close to `x`; `places` ascend.
    fn is_sparse(&self, x: f64, places: &[f64], axes: &Axes) -> bool {
        let i = places.partition_point(|other| *other < x);
        let neighbours = [i.checked_sub(1), Some(i + 1)].into_iter().flatten().filter_map(|j| places.get(j));
        let far = |other: &f64| *other == x || (axes.x.at(*other) - axes.x.at(x)).abs() >= SPARSE;
        axes.spacing.is_some() || neighbours.into_iter().all(far)
    }
}
