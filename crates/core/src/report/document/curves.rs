//! A report of curves, for readers.

use super::{Document, Drawing, Shown, Source, provenance, sharing, table, words};
use crate::error::Result;
use crate::report::attribution::{self, COLUMNS as ATTRIBUTION, attribution_frame};
use crate::report::csv::{BLOCK, comparison_frame, curve_frame, rounding_frame};
use crate::report::figure::Horizontal;
use crate::report::memorisation::{has_weights, memorisation_frame};
use crate::report::plot::{Form, Plot};
use crate::report::table::of_block;
use crate::report::{
    Cell, ModelReport, Report, Summary, Table, attribution_reading, figure, reading, resolution_reading,
    rounding_reading,
};
use crate::singularity::Over;
use polars::prelude::DataFrame;

/// What the columns of curve.csv are.
const CURVE: [&str; 19] = [
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
    "part of the output whose norm it is",
];

/// What the columns of comparison.csv are.
const COMPARISON: [&str; 10] = [
    "label of the candidate",
    "t in steps",
    "t′ in steps; empty for a derivative",
    "secant, derivative, path or spatial",
    "mean of the baseline",
    "mean of the candidate, on identical x",
    "candidate over baseline; empty over a baseline of 0",
    "lower end of the ratio's 95 % interval",
    "upper end of the ratio's 95 % interval",
    "part of the output whose norm it is",
];

/// What the columns of memorisation.csv are.
const MEMORISATION: [&str; 7] = [
    "label of the model",
    "t in steps",
    "samples that the numbers rest on",
    "mean posterior weight of the point of the data that x came from",
    "lower end of its 95 % interval",
    "upper end of its 95 % interval",
    "mean square of ∂ε/∂t over what it is where the point is known",
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
    let mut said = vec![reading(report), resolution_reading(report)];
    said.extend(report.rounding.as_ref().map(rounding_reading));
    said.push(attribution_reading(&report.models));
    let mut tables = vec![Shown { table: summaries(report), frame: None }];
    tables.extend(sharing::intervals(report));
    let has_blocks = report.models.iter().flat_map(|model| &model.curves).any(|curve| curve.block.is_some());
    let mut add = |name: &str, title: &str, frame: DataFrame, about: &[&str]| {
        // A column of nothing says nothing to a reader; in the file it keeps its place.
        let shown = if has_blocks { None } else { frame.drop(BLOCK).ok() };
        tables.push(Shown { table: table(name, title, shown.as_ref().unwrap_or(&frame), about), frame: Some(frame) });
    };
    add("curve", "Every point of every curve", curve_frame(report)?, &CURVE);
    if report.compares() {
        add("comparison", "Candidates over the baseline", comparison_frame(report)?, &COMPARISON);
    }
    if has_weights(report) {
        add(
            "memorisation",
            "Posterior weight of the point that x came from",
            memorisation_frame(report)?,
            &MEMORISATION,
        );
    }
    if let Some(rounding) = &report.rounding {
        add("rounding", "How much is rounding", rounding_frame(rounding)?, &ROUNDING);
    }
    if let Some(parts) = attribution_frame(report)? {
        add("attribution", "Parts of ∂ε/∂t", parts, &ATTRIBUTION);
    }
    let mut drawings = vec![drawing(report)?];
    drawings.extend(parts(report)?);
    let mut about = provenance(&report.provenance);
    about.extend(report.models.iter().flat_map(described));
    Ok(Document {
        title: format!("Lipschitz curves in time: {}", labels.join(", ")),
        command: report.command.clone(),
        complete: report.complete,
        reading: said.into_iter().filter(|text| !text.is_empty()).collect(),
        warnings: words(&report.warnings),
        drawings,
        tables,
        provenance: about,
        plan: report.provenance.plan.clone(),
    })
}

fn drawing(report: &Report) -> Result<Drawing> {
    let plot = figure::describe(report)?;
    let mut about = plot.y.label().to_string();
    if plot.panels.iter().any(|panel| !panel.shades.is_empty()) {
        about.push_str("; the sub-intervals in which timesteps are shared are shaded");
        about.extend(sharing::in_words(report).map(|names| format!(": {names}")));
    }
    let horizontal = Horizontal::of(report);
    let title = match horizontal {
        Horizontal::Timestep => "Lipschitz estimate over timesteps",
        Horizontal::NoiseLevel => "Lipschitz estimate over the noise level",
    };
    let (_, until) = figure::near_window(report, horizontal);
    Drawing::new(plot, title, about, Source::Curves { until, horizontal })
}

/// The figures of the parts of ∂ε/∂t.
fn parts(report: &Report) -> Result<Vec<Drawing>> {
    let drawing = |plot: Plot| {
        let map = plot.form == Form::Map;
        let (title, about) = match map {
            false => ("Shares of the parts of ∂ε/∂t", "parts that work against the others stand below 0"),
            true => ("Norms of the parts of ∂ε/∂t", "norms do not add up"),
        };
        let source = Source::Parts { kind: if plot.name.contains("frequency") { "frequency" } else { "site" }, map };
        Drawing::new(plot, title, about.into(), source)
    };
    attribution::describe(report).into_iter().map(drawing).collect()
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
        ("exponent", exponent(report)),
        ("verdict", "whether the curve blows up towards t = 0"),
        ("function_evaluations", "evaluations of the network on one x"),
    ];
    let mut table = Table::new("summary", "Summary", &columns);
    for model in &report.models {
        table.rows.extend(model.summary.iter().map(|summary| summary_row(&model.label, summary)));
    }
    table
}

/// What the exponents are of.
fn exponent(report: &Report) -> &'static str {
    let mut found = report.models.iter().flat_map(|model| &model.summary).filter_map(|s| s.singularity.as_ref());
    if found.any(|found| found.over == Over::Sigma) {
        "p of K per σ ∝ σ^p at the smallest σ, or of K ∝ s^p at the first timesteps"
    } else {
        "p of K ∝ s^p at the first timesteps"
    }
}

fn summary_row(label: &str, summary: &Summary) -> Vec<Cell> {
    let near = &summary.near_zero;
    let verdict = summary.singularity.as_ref().and_then(|found| serde_json::to_value(found.verdict).ok());
    vec![
        Cell::text(label),
        Cell::text(format!("{}{}", summary.quantity.listed(summary.of), of_block(summary.block.as_deref()))),
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
    if let Some(clock) = &about.clock {
        what.push_str(&format!(", {}", clock.in_words()));
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
