//! From the report's curves to what can be drawn: runs of points, stems at jumps, and stretches of exact zeros.

use crate::error::{Error, Result};
use crate::quantity::Quantity;
use crate::report::drawing::font::printable;
use crate::report::drawing::style::{Look, look};
use crate::report::{Curve, ModelReport, Point, Report};

/// One curve, ready to be drawn.
#[derive(Debug)]
pub(super) struct Series {
    /// Name in the legend.
    pub name: String,
    /// Colour, line and marker.
    pub look: Look,
    /// What stands along the curve, by ascending timestep.
    pub runs: Vec<Run>,
    /// Ends of the model's shared sub-intervals.
    pub boundaries: Vec<f64>,
    /// Where a derivative does not exist, because the condition jumps there.
    pub undefined: Vec<f64>,
}

/// A measured mean with its interval, or a place interpolated at the edge of a panel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mean {
    /// Timestep.
    pub t: f64,
    /// Positive value.
    pub value: f64,
    /// 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// `false` at the edge of a panel.
    pub measured: bool,
}

/// A stretch of one curve.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Run {
    /// Positive values, joined by a line.
    Line(Vec<Mean>),
    /// A jump: one positive value that rises from zeros.
    Stem(Mean),
    /// Values of exactly 0 at these timesteps, which a logarithmic axis cannot show.
    Zeros(Vec<f64>),
}

impl Run {
    /// The part within `lo…hi`; a line is cut where it crosses the edge.
    pub fn within(&self, lo: f64, hi: f64) -> Option<Run> {
        let inside = |t: f64| (lo..=hi).contains(&t);
        match self {
            Run::Stem(mean) => inside(mean.t).then(|| self.clone()),
            Run::Zeros(all) => {
                let seen: Vec<f64> = all.iter().copied().filter(|t| inside(*t)).collect();
                (!seen.is_empty()).then_some(Run::Zeros(seen))
            }
            Run::Line(means) => {
                let seen = cut(means, lo, hi);
                (!seen.is_empty()).then_some(Run::Line(seen))
            }
        }
    }

    /// The positive values.
    pub fn means(&self) -> &[Mean] {
        match self {
            Run::Line(means) => means,
            Run::Stem(mean) => std::slice::from_ref(mean),
            Run::Zeros(_) => &[],
        }
    }

    /// The timesteps that were measured.
    pub fn timesteps(&self) -> Vec<f64> {
        match self {
            Run::Zeros(all) => all.clone(),
            other => other.means().iter().filter(|m| m.measured).map(|m| m.t).collect(),
        }
    }
}

fn cut(means: &[Mean], lo: f64, hi: f64) -> Vec<Mean> {
    let mut seen = Vec::new();
    for (i, mean) in means.iter().enumerate() {
        if let Some(before) = i.checked_sub(1).map(|j| &means[j]) {
            let crossed = [lo, hi].into_iter().filter(|edge| before.t < *edge && *edge < mean.t);
            seen.extend(crossed.map(|edge| between(before, mean, edge)));
        }
        if (lo..=hi).contains(&mean.t) {
            seen.push(*mean);
        }
    }
    seen
}

/// The place at `t` on the line from `a` to `b` as a logarithmic axis shows it.
fn between(a: &Mean, b: &Mean, t: f64) -> Mean {
    let share = (t - a.t) / (b.t - a.t);
    let mix = |x: f64, y: f64| (x.ln() * (1.0 - share) + y.ln() * share).exp();
    let interval = match (a.interval, b.interval) {
        (Some(p), Some(q)) if p.0 > 0.0 && q.0 > 0.0 => Some((mix(p.0, q.0), mix(p.1, q.1))),
        _ => None,
    };
    Mean { t, value: mix(a.value, b.value), interval, measured: false }
}

/// All curves of a report, or why they cannot stand on one axis.
pub(super) fn series(report: &Report) -> Result<Vec<Series>> {
    let several_quantities = quantities(report).len() > 1;
    let mut all = Vec::new();
    for (i, model) in report.models.iter().enumerate() {
        for curve in &model.curves {
            let derivative = curve.quantity == Quantity::Derivative;
            let runs = runs(model, curve)?;
            let mut name = printable(&model.label);
            if several_quantities {
                name.push_str(&format!(": {}", curve.quantity.letter()));
            }
            if runs.is_empty() {
                name.push_str(" (no points)");
            }
            let (boundaries, undefined) = (model.model.boundaries.clone(), undefined(model, curve));
            all.push(Series { name, look: look(i, derivative), runs, boundaries, undefined });
        }
    }
    if all.iter().all(|s| s.runs.is_empty()) {
        return Err(Error::mismatch(
            "there is nothing to draw: no timestep of this report has a value",
            "Measure at least one timestep with finite values; `--resume` goes on with an interrupted run.",
        ));
    }
    Ok(all)
}

/// The quantities of a report, in order of appearance.
pub(super) fn quantities(report: &Report) -> Vec<Quantity> {
    let mut seen: Vec<Quantity> = Vec::new();
    for curve in report.models.iter().flat_map(|m| &m.curves) {
        if !seen.contains(&curve.quantity) {
            seen.push(curve.quantity);
        }
    }
    seen
}

fn runs(model: &ModelReport, curve: &Curve) -> Result<Vec<Run>> {
    let mut points: Vec<&Point> = curve.points.iter().collect();
    points.sort_by(|a, b| a.timestep.total_cmp(&b.timestep));
    let values: Vec<Option<f64>> = points.iter().map(|p| value(p)).collect();
    if let Some((p, _)) =
        points.iter().zip(&values).find(|(p, v)| !p.timestep.is_finite() || v.is_some_and(|v| v < 0.0))
    {
        return Err(Error::mismatch(
            format!(
                "`{}` holds a negative or impossible value at t = {}, and a norm has none",
                model.label, p.timestep
            ),
            "Measure again, or take the report as lipscope wrote it.",
        ));
    }
    let mut runs: Vec<Run> = Vec::new();
    let mut joined = false;
    for (i, point) in points.iter().enumerate() {
        let Some(value) = values[i] else {
            joined = false;
            continue;
        };
        let stem = value > 0.0 && is_jump(model, point, i, &values);
        match runs.last_mut() {
            Some(Run::Zeros(all)) if joined && value == 0.0 => all.push(point.timestep),
            Some(Run::Line(all)) if joined && value > 0.0 && !stem => all.push(mean(point, value)),
            _ if value == 0.0 => runs.push(Run::Zeros(vec![point.timestep])),
            _ if stem => runs.push(Run::Stem(mean(point, value))),
            _ => runs.push(Run::Line(vec![mean(point, value)])),
        }
        joined = true;
    }
    Ok(runs)
}

/// Boundaries at which the derivative was asked for and has no value; it is 0 beside them.
fn undefined(model: &ModelReport, curve: &Curve) -> Vec<f64> {
    let jumps = |point: &&Point| model.model.boundaries.contains(&point.timestep) && value(point).is_none();
    let asked = curve.points.iter().filter(|_| curve.quantity == Quantity::Derivative);
    asked.filter(jumps).map(|point| point.timestep).collect()
}

/// The finite mean, if there is one.
fn value(point: &Point) -> Option<f64> {
    point.mean.filter(|v| v.is_finite())
}

fn mean(point: &Point, value: f64) -> Mean {
    let interval = point.ci_low.zip(point.ci_high).filter(|(low, high)| low.is_finite() && high.is_finite());
    Mean { t: point.timestep, value, interval, measured: true }
}

/// Whether a positive value stands alone among zeros, or next to one with a shared boundary between t and t′.
pub(in crate::report) fn is_jump(model: &ModelReport, point: &Point, i: usize, values: &[Option<f64>]) -> bool {
    let before = i.checked_sub(1).and_then(|j| values[j]);
    let after = values.get(i + 1).copied().flatten();
    let zeros = [before, after].iter().filter(|v| **v == Some(0.0)).count();
    let known = [before, after].iter().flatten().count();
    let crosses =
        point.t_next.is_some_and(|next| model.model.boundaries.iter().any(|b| point.timestep < *b && *b <= next));
    zeros > 0 && (zeros == known || crosses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn shared_intervals_are_zeros_between_stems() {
        let report = synthetic::shared_pair();
        let series = series(&report).unwrap();
        let kind = |run: &Run| match run {
            Run::Zeros(_) => '0',
            Run::Stem(_) => 'j',
            Run::Line(_) => '-',
        };
        let kinds: String = series[1].runs.iter().map(kind).collect();
        assert_eq!(kinds, "0j0j0j0j0j-");
        assert_eq!(series[1].runs[1].timesteps(), [19.0]);
        assert_eq!(series[0].runs.len(), 1);
    }

    #[test]
    fn no_point_is_dropped() {
        let report = synthetic::shared_pair();
        for (series, model) in series(&report).unwrap().iter().zip(&report.models) {
            let drawn: Vec<f64> = series.runs.iter().flat_map(Run::timesteps).collect();
            let measured: Vec<f64> = model.curves[0].points.iter().map(|p| p.timestep).collect();
            assert_eq!(drawn, measured);
        }
    }

    #[test]
    fn a_missing_value_breaks_the_line() {
        let mut report = synthetic::ddpm();
        report.models[0].curves[0].points[5].mean = None;
        assert_eq!(series(&report).unwrap()[0].runs.len(), 2);
    }

    #[test]
    fn lines_are_cut_at_the_edge() {
        let at = |t: f64, value: f64| Mean { t, value, interval: None, measured: true };
        let run = Run::Line(vec![at(0.0, 1.0), at(10.0, 100.0)]).within(5.0, 20.0).unwrap();
        assert_eq!(run.means().len(), 2);
        assert!((run.means()[0].value - 10.0).abs() < 1e-9);
        assert!(!run.means()[0].measured);
    }

    #[test]
    fn a_negative_norm_is_refused() {
        let mut report = synthetic::ddpm();
        report.models[0].curves[0].points[5].mean = Some(-1.0);
        assert!(series(&report).unwrap_err().to_string().contains("t = 5"));
    }
}
