//! From the report's curves to the series and traces of a plot.

use super::Horizontal;
use crate::error::{Error, Result};
use crate::quantity::{Method, Quantity};
use crate::report::drawing::style::look;
use crate::report::plot::{Series, Spot, Trace};
use crate::report::{Curve, ModelReport, Point, Report};

/// All curves of a report, or why they cannot be drawn.
pub(super) fn series(report: &Report, horizontal: Horizontal) -> Result<(Vec<Series>, Vec<Trace>)> {
    let several_quantities = quantities(report).len() > 1;
    let (mut all, mut traces) = (Vec::new(), Vec::new());
    let curves =
        report.models.iter().enumerate().flat_map(|(i, model)| model.curves.iter().map(move |c| (i, model, c)));
    for (i, model, curve) in curves {
        for line in lines(curve) {
            let derivative = curve.quantity == Quantity::Derivative;
            let spots = spots(model, curve, line, horizontal)?;
            let mut name = model.label.clone();
            if several_quantities {
                name.push_str(&format!(": {}", curve.quantity.letter()));
            }
            // Each block has its colour, whichever model it is of.
            let mut colour = i;
            if let Some(block) = &curve.block {
                name.push_str(&format!(", {block}"));
                colour = all.len();
            }
            if let Some(words) = line.words {
                name.push_str(&format!(": {words}"));
                colour = all.len();
            }
            if spots.iter().all(|spot| spot.y.is_none()) {
                name.push_str(" (no points)");
            }
            traces.push(Trace { series: all.len(), spots, undefined: undefined(model, curve, horizontal) });
            all.push(Series { name, look: look(colour, derivative), boundaries: boundaries(model, horizontal) });
        }
    }
    if traces.iter().flat_map(|trace| &trace.spots).all(|spot| spot.y.is_none()) {
        return Err(Error::mismatch(
            "there is nothing to draw: no timestep of this report has a value",
            "Measure at least one timestep with finite values; the same command goes on with an interrupted run.",
        ));
    }
    Ok((all, traces))
}

/// What is drawn of a curve.
#[derive(Clone, Copy)]
struct Line {
    /// Behind the name of the model; `None` for the mean, which goes without saying.
    words: Option<&'static str>,
    of: fn(&Point) -> Option<f64>,
}

/// The mean; of total rates, whose mean says nothing about the model, what bounds them as well.
fn lines(curve: &Curve) -> Vec<Line> {
    let mean = Line { words: None, of: |point| point.mean };
    if !curve.is_size_of_rate() {
        return vec![mean];
    }
    let bound = if curve.estimator == Method::ClosedForm { "supremum" } else { "largest seen" };
    let largest = Line { words: Some(bound), of: |point| point.max };
    let rare = Line { words: Some("99.9 % quantile"), of: |point| point.p999 };
    vec![largest, rare, Line { words: Some("mean"), ..mean }]
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

/// The ends of a model's sub-intervals on the axis.
pub(super) fn boundaries(model: &ModelReport, horizontal: Horizontal) -> Vec<f64> {
    model.model.boundaries.iter().filter_map(|t| horizontal.place_of(model, *t)).collect()
}

fn spots(model: &ModelReport, curve: &Curve, line: Line, horizontal: Horizontal) -> Result<Vec<Spot>> {
    let mut points: Vec<&Point> = curve.points.iter().collect();
    points.sort_by(|a, b| a.timestep.total_cmp(&b.timestep));
    let values: Vec<Option<f64>> = points.iter().map(|p| (line.of)(p).filter(|v| v.is_finite())).collect();
    let is_mean = line.words.is_none_or(|words| words == "mean");
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
    let spot = |(i, point): (usize, &&Point)| Spot {
        x: horizontal.place(point),
        y: values[i],
        interval: point.ci_low.zip(point.ci_high).filter(|(a, b)| is_mean && a.is_finite() && b.is_finite()),
        jump: values[i].is_some_and(|value| value > 0.0) && is_jump(model, point, i, &values),
    };
    Ok(points.iter().enumerate().map(spot).collect())
}

/// Boundaries at which the derivative was asked for and has no value; it is 0 beside them.
fn undefined(model: &ModelReport, curve: &Curve, horizontal: Horizontal) -> Vec<f64> {
    let jumps = |point: &&Point| model.model.boundaries.contains(&point.timestep) && value(point).is_none();
    let asked = curve.points.iter().filter(|_| curve.quantity == Quantity::Derivative);
    asked.filter(jumps).map(|point| horizontal.place(point)).collect()
}

/// The finite mean, if there is one.
fn value(point: &Point) -> Option<f64> {
    point.mean.filter(|v| v.is_finite())
}

/// Whether a positive value stands alone among zeros, or next to one with a shared boundary between t and t′.
fn is_jump(model: &ModelReport, point: &Point, i: usize, values: &[Option<f64>]) -> bool {
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
    fn a_negative_norm_is_refused() {
        let mut report = synthetic::ddpm();
        report.models[0].curves[0].points[5].mean = Some(-1.0);
        assert!(series(&report, Horizontal::Timestep).unwrap_err().to_string().contains("t = 5"));
    }
}
