//! A report of curves, for readers.

use super::{Document, Plot, Shown, Source, provenance, table, words};
use crate::error::Result;
use crate::report::chart::data::{Data, PanelData, Spot, Trace};
use crate::report::csv::{comparison_frame, curve_frame, rounding_frame};
use crate::report::figure::{is_jump, near_zero, shared_boundaries, y_labels};
use crate::report::{
    Cell, Curve, ModelReport, Point, Report, Summary, Table, figure, reading, resolution_reading, rounding_reading,
};

/// What the columns of curve.csv are.
const CURVE: [&str; 18] = [
    "label of the model",
    "secant, derivative, path or spatial",
    "how it was estimated",
    "t in steps",
    "t′ in steps; empty for a derivative",
    "α at t",
    "σ at t",
    "ln(α²/σ²) at t",
    "samples that the numbers rest on",
    "expectation over x",
    "standard error of the mean",
    "lower end of the mean's 95 % interval",
    "upper end of the mean's 95 % interval",
    "5 % quantile over samples",
    "median over samples",
    "95 % quantile over samples",
    "largest sample: a lower bound of the supremum",
    "samples left out because they were NaN or infinite",
];

/// What the columns of comparison.csv are.
const COMPARISON: [&str; 9] = [
    "label of the candidate",
    "t in steps",
    "t′ in steps; empty for a derivative",
    "secant, derivative, path or spatial",
    "mean of the baseline",
    "mean of the candidate, on identical x",
    "candidate over baseline; empty over a baseline of 0",
    "lower end of the ratio's 95 % interval",
    "upper end of the ratio's 95 % interval",
];

/// What the columns of rounding.csv are.
const ROUNDING: [&str; 9] = [
    "label of the model",
    "derivative or secant",
    "dtype of weights and layers",
    "dtype of t and its sinusoids",
    "t in steps",
    "samples that the errors rest on",
    "median of ‖v − r‖/‖r‖ against float64",
    "largest ‖v − r‖/‖r‖ against float64",
    "mean‖v‖/mean‖r‖ − 1",
];

pub(super) fn document(report: &Report) -> Result<Document> {
    let labels: Vec<&str> = report.models.iter().map(|model| model.label.as_str()).collect();
    let mut said = vec![reading(report), resolution_reading(report).trim().to_string()];
    said.extend(report.rounding.as_ref().map(rounding_reading));
    let mut tables = vec![Shown { table: summaries(report), frame: None }];
    let mut add = |name: &str, title: &str, frame: polars::prelude::DataFrame, about: &[&str]| {
        tables.push(Shown { table: table(name, title, &frame, about), frame: Some(frame) });
    };
    add("curve", "Every point of every curve", curve_frame(report)?, &CURVE);
    if report.models.len() > 1 {
        add("comparison", "Candidates over the baseline", comparison_frame(report)?, &COMPARISON);
    }
    if let Some(rounding) = &report.rounding {
        add("rounding", "How much is rounding", rounding_frame(rounding)?, &ROUNDING);
    }
    let mut about = provenance(&report.provenance);
    about.extend(report.models.iter().flat_map(described));
    Ok(Document {
        title: format!("Lipschitz curves in time: {}", labels.join(", ")),
        command: report.command.clone(),
        complete: report.complete,
        reading: said.into_iter().filter(|text| !text.is_empty()).collect(),
        warnings: words(&report.warnings),
        plots: vec![plot(report)?],
        tables,
        provenance: about,
        plan: report.provenance.plan.clone(),
    })
}

fn plot(report: &Report) -> Result<Plot> {
    let window = near_zero(report);
    let curves: Vec<(&ModelReport, &Curve)> =
        report.models.iter().flat_map(|model| model.curves.iter().map(move |curve| (model, curve))).collect();
    let several = curves.iter().any(|(_, curve)| curve.quantity != curves[0].1.quantity);
    let name = |(model, curve): &(&ModelReport, &Curve)| {
        if several { format!("{}: {}", model.label, curve.quantity.letter()) } else { model.label.clone() }
    };
    let traces = |until: f64| -> Vec<Trace> {
        let all = curves.iter().enumerate();
        all.map(|(series, (model, curve))| Trace { series, spots: spots(model, curve, until) }).collect()
    };
    let (whole, near) = (traces(f64::INFINITY), traces(window.1 + 0.15 * (window.1 - window.0)));
    let shades = shared_boundaries(report);
    let (mut about, y) = y_labels(report)?;
    if !shades.is_empty() {
        about.push_str("; the sub-intervals in which timesteps are shared are shaded");
    }
    let panel = |caption: &str, traces, shades| PanelData { caption: caption.into(), traces, shades };
    let panels = if near == whole {
        vec![panel("", whole, shades)]
    } else {
        vec![panel("all measured timesteps", whole, Vec::new()), panel("near t = 0", near, shades)]
    };
    Ok(Plot {
        figure: figure(report)?,
        title: "Lipschitz estimate over timesteps".into(),
        about,
        data: Data { series: curves.iter().map(name).collect(), categories: Vec::new(), panels },
        x: ("timestep t".into(), false),
        y: (y, true),
        source: Source::Curves(window),
    })
}

fn spots(model: &ModelReport, curve: &Curve, until: f64) -> Vec<Spot> {
    let mut points: Vec<&Point> = curve.points.iter().collect();
    points.sort_by(|a, b| a.timestep.total_cmp(&b.timestep));
    let values: Vec<Option<f64>> = points.iter().map(|point| point.mean.filter(|mean| mean.is_finite())).collect();
    let spot = |(i, point): (usize, &&Point)| Spot {
        x: point.timestep,
        y: values[i],
        interval: point.ci_low.zip(point.ci_high),
        jump: values[i].is_some_and(|value| value > 0.0) && is_jump(model, point, i, &values),
    };
    points.iter().enumerate().map(spot).filter(|spot| spot.x <= until).collect()
}

/// What every curve comes to, a row each.
fn summaries(report: &Report) -> Table {
    let columns = [
        ("model", "label"),
        ("quantity", "secant, derivative, path or spatial"),
        ("near_zero_until", "end of the window near 0, in steps"),
        ("mean", "mean over the window's measured timesteps"),
        ("max", "largest value in the window"),
        ("argmax", "timestep of the largest value"),
        ("total_variation", "Σ K·Δt over the window, jumps included"),
        ("rest_mean", "mean over the timesteps from there on"),
        ("peak_ratio", "largest value over the median of the rest"),
        ("exponent", "p of K ∝ s^p towards t = 0"),
        ("verdict", "whether the curve blows up towards t = 0"),
        ("function_evaluations", "evaluations of the network on one x"),
    ];
    let mut table = Table::new("summary", "What the curves come to", &columns);
    for model in &report.models {
        table.rows.extend(model.summary.iter().map(|summary| summary_row(&model.label, summary)));
    }
    table
}

fn summary_row(label: &str, summary: &Summary) -> Vec<Cell> {
    let near = &summary.near_zero;
    let verdict = summary.singularity.as_ref().and_then(|found| serde_json::to_value(found.verdict).ok());
    vec![
        Cell::text(label),
        Cell::text(summary.quantity.name()),
        Cell::number(near.until),
        Cell::optional(near.mean),
        Cell::optional(near.max),
        Cell::optional(near.argmax),
        Cell::optional(near.total_variation),
        Cell::optional(summary.rest.mean),
        Cell::optional(summary.peak_ratio),
        Cell::optional(summary.singularity.as_ref().map(|found| found.exponent)),
        verdict.as_ref().and_then(|verdict| verdict.as_str()).map_or(Cell::Missing(()), Cell::text),
        Cell::number(summary.function_evaluations as f64),
    ]
}

/// What one model is.
fn described(model: &ModelReport) -> Vec<(String, String)> {
    let about = &model.model;
    let mut what = format!(
        "{} ({}), {} parameters, samples of {:?}, predicts {}, schedule {}, T = {}, conditioned on {}, {}",
        about.architecture,
        about.format,
        about.parameters,
        about.sample_shape,
        about.prediction,
        about.schedule,
        about.timesteps,
        about.conditioning,
        about.dtype
    );
    if let Some(asked) = &about.asked {
        what.push_str(&format!(", asked for {asked}"));
    }
    if !about.boundaries.is_empty() {
        let boundaries: Vec<String> = about.boundaries.iter().map(f64::to_string).collect();
        what.push_str(&format!(", shares timesteps between {}", boundaries.join(", ")));
    }
    let mut said = vec![(model.label.clone(), what)];
    said.push((format!("{}: source", model.label), about.source.clone()));
    said.extend(about.sha256.iter().map(|hash| (format!("{}: SHA-256", model.label), hash.clone())));
    said
}
