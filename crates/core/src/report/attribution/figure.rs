//! The parts over timesteps: their shares stacked on each other, and a map of their norms.
//!
//! Both have one panel per model, above one another. Shares stand on each other from 0 up, and those below 0 from 0 down:
//! in every column they add up to 1. Norms do not add up; their map begins with the norm of ∂ε/∂t itself.

use super::near_zero::part_name;
use crate::attribution::PartKind;
use crate::error::Result;
use crate::quantity::Quantity;
use crate::report::drawing::style::fill;
use crate::report::plot::{self, Form, Panel, Plot, Series, Spot, Trace, Variable};
use crate::report::{Attribution, Figure, ModelReport, Report};

/// Parts with a colour of their own.
const COLOURED: usize = 7;

/// Every figure of the parts, with the stem of its files; none where nothing was told apart.
///
/// # Errors
/// The font cannot be used.
pub fn attribution_figures(report: &Report) -> Result<Vec<Figure>> {
    describe(report).iter().map(|plot| Ok(plot::draw(plot)?.0)).collect()
}

/// What the figures show: shares and norms, of sites and of frequencies.
pub(in crate::report) fn describe(report: &Report) -> Vec<Plot> {
    let kinds = [PartKind::Site, PartKind::Frequency];
    kinds.into_iter().flat_map(|kind| [shares(report, kind), norms(report, kind)]).flatten().collect()
}

/// The models that were told apart by this kind.
fn told(report: &Report, kind: PartKind) -> Vec<(&ModelReport, &Attribution)> {
    let told = report.models.iter().filter_map(|model| Some((model, model.attribution.as_ref()?)));
    told.filter(|(_, found)| found.rows_of(kind).any(|row| row.norm.is_some())).collect()
}

fn shares(report: &Report, kind: PartKind) -> Option<Plot> {
    let models = told(report, kind);
    let mut chosen: Vec<&str> = Vec::new();
    // The largest of all models, in the order in which they stand.
    let ranked = (0..COLOURED)
        .flat_map(|rank| models.iter().filter_map(move |(_, a)| a.largest(kind, COLOURED).get(rank).copied()));
    for part in ranked {
        if chosen.len() < COLOURED && !chosen.contains(&part) {
            chosen.push(part);
        }
    }
    let order: Vec<&str> = models.iter().flat_map(|(_, found)| found.parts(kind)).collect();
    chosen.sort_by_key(|part| order.iter().position(|other| other == part));
    let most = models.iter().map(|(_, found)| found.parts(kind).len()).max()?;
    let others = most.saturating_sub(chosen.len());
    let mut series: Vec<Series> =
        chosen.iter().enumerate().map(|(i, part)| named(part_name(kind, part), Some(i))).collect();
    if others > 0 {
        // A single one has its name.
        let left = order.iter().find(|part| !chosen.contains(part)).filter(|_| others == 1);
        let name = left.map_or_else(|| format!("{others} others"), |part| part_name(kind, part));
        series.push(named(name, None));
    }
    let panels = models.iter().map(|(model, found)| Panel {
        caption: caption(model, models.len()),
        traces: stacked(found, kind, &chosen, others > 0),
        ..Panel::default()
    });
    Some(Plot {
        name: format!("attribution-{kind}"),
        description: format!(
            "Shares of the parts of ∂ε/∂t by {kind} over the timestep, stacked; in every column they add up to 1."
        ),
        y: Variable {
            labels: vec![format!("share of ∂ε/∂t by {kind}"), "share of ∂ε/∂t".into()], log: false
        },
        series,
        panels: panels.collect(),
        ..empty(Form::Columns)
    })
}

fn norms(report: &Report, kind: PartKind) -> Option<Plot> {
    let models = told(report, kind);
    let (_, first) = models.first()?;
    let unit = first.unit.clone();
    let (mut series, mut panels) = (vec![named("∂ε/∂t".into(), None)], Vec::new());
    for (model, found) in &models {
        let mut traces = vec![Trace { series: 0, spots: whole(model, found), undefined: Vec::new() }];
        for part in found.parts(kind) {
            let name = part_name(kind, part);
            let place = series.iter().position(|series| series.name == name).unwrap_or_else(|| {
                series.push(named(name, None));
                series.len() - 1
            });
            let spot = |t: f64| spot(t, found.row(kind, part, t).and_then(|row| row.norm), None);
            traces.push(Trace {
                series: place,
                spots: found.timesteps().into_iter().map(spot).collect(),
                undefined: Vec::new(),
            });
        }
        panels.push(Panel { caption: caption(model, models.len()), traces, ..Panel::default() });
    }
    Some(Plot {
        name: format!("attribution-{kind}-norms"),
        description: format!("Norms of ∂ε/∂t and of its parts by {kind} over the timestep, as a map of colours."),
        y: Variable::new(format!("E‖part of ∂ε/∂t‖  [{unit}]"), false),
        series,
        panels,
        ..empty(Form::Map)
    })
}

fn empty(form: Form) -> Plot {
    Plot {
        name: String::new(),
        title: String::new(),
        description: String::new(),
        x: Variable::new("timestep t + 1", true),
        y: Variable::new("", false),
        series: Vec::new(),
        categories: Vec::new(),
        panels: Vec::new(),
        stacked: true,
        bands: false,
        form,
    }
}

fn named(name: String, part: Option<usize>) -> Series {
    Series { name, look: fill(part), boundaries: Vec::new() }
}

fn caption(model: &ModelReport, models: usize) -> String {
    if models > 1 { model.label.clone() } else { String::new() }
}

/// t + 1 has a place on a logarithmic axis for every t.
fn spot(t: f64, y: Option<f64>, interval: Option<(f64, f64)>) -> Spot {
    Spot { x: t + 1.0, y: y.filter(|y| y.is_finite()), interval, jump: false }
}

/// The norm of ∂ε/∂t itself.
fn whole(model: &ModelReport, found: &Attribution) -> Vec<Spot> {
    let curve = model.curves.iter().find(|curve| curve.quantity == Quantity::Derivative);
    let at = |t: f64| curve?.points.iter().find(|point| point.timestep == t)?.mean;
    found.timesteps().into_iter().map(|t| spot(t, at(t), None)).collect()
}

/// The chosen parts, and all others together, each from where the one before it ends.
fn stacked(found: &Attribution, kind: PartKind, chosen: &[&str], others: bool) -> Vec<Trace> {
    let count = chosen.len() + usize::from(others);
    let mut traces: Vec<Trace> =
        (0..count).map(|series| Trace { series, spots: Vec::new(), undefined: Vec::new() }).collect();
    for t in found.timesteps() {
        let rows: Vec<_> = found.rows_of(kind).filter(|row| row.timestep == t).collect();
        let share = |part: &str| rows.iter().find(|row| row.part == part).and_then(|row| row.share);
        let rest =
            rows.iter().filter(|row| !chosen.contains(&row.part.as_str())).filter_map(|row| row.share).sum::<f64>();
        let known = rows.iter().any(|row| row.share.is_some());
        let (mut top, mut bottom) = (0.0, 0.0);
        for trace in &mut traces {
            let value = chosen.get(trace.series).map_or(known.then_some(rest), |part| share(part));
            let interval = value.map(|value| {
                let end = if value >= 0.0 { &mut top } else { &mut bottom };
                let from = *end;
                *end += value;
                (from.min(*end), from.max(*end))
            });
            trace.spots.push(spot(t, value, interval));
        }
    }
    traces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic::attributed;

    #[test]
    fn columns_stand_on_each_other_and_add_up_to_one() {
        let plots = describe(&attributed());
        let names: Vec<&str> = plots.iter().map(|plot| plot.name.as_str()).collect();
        assert_eq!(names, ["attribution-site", "attribution-site-norms"]);
        let shares = &plots[0];
        assert_eq!(shares.series.len(), COLOURED + 1);
        assert_eq!(shares.series.last().unwrap().name, "3 others");
        for i in 0..4 {
            let ends: Vec<(f64, f64)> =
                shares.panels[0].traces.iter().map(|trace| trace.spots[i].interval.unwrap()).collect();
            let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
            assert!(near(ends[0].0, 0.0) && near(ends[0].1, 0.9), "{ends:?}");
            assert!(near(ends[1].0, -0.1) && near(ends[1].1, 0.0), "what is negative stands below 0: {ends:?}");
            assert!(ends[2..].windows(2).all(|pair| near(pair[0].1, pair[1].0)), "{ends:?}");
            assert!(near(ends.last().unwrap().1, 1.1), "positive shares less the negative ones are 1: {ends:?}");
        }
    }

    #[test]
    fn every_tile_is_marked_within_the_figure() {
        for plot in describe(&attributed()) {
            let (figure, marks) = plot::draw(&plot).unwrap();
            let count: usize = plot.panels[0].traces.iter().map(|trace| trace.spots.len()).sum();
            assert_eq!(marks[0].len(), count, "{}", plot.name);
            let (width, height) = (0.75 * figure.tree().size().width(), 0.75 * figure.tree().size().height());
            let inside = |mark: &plot::Mark| {
                (0.0..f64::from(width)).contains(&mark.at.0) && (0.0..f64::from(height)).contains(&mark.at.1)
            };
            assert!(marks[0].iter().all(inside), "{}", plot.name);
        }
    }

    #[test]
    fn a_report_without_parts_has_no_such_figure() {
        assert!(describe(&crate::report::synthetic::both_quantities()).is_empty());
    }
}
