//! The parts as tables: attribution.csv, and a short one for readers.

use super::Attribution;
use super::near_zero::part_name;
use crate::attribution::PartKind;
use crate::error::Result;
use crate::report::csv::{column, failed, floats, steps, write};
use crate::report::table::{number, one_line, render};
use crate::report::{Artifact, ModelReport, PartRow, Report};
use polars::prelude::DataFrame;

pub(in crate::report) const FILE: &str = "attribution.csv";

/// Timesteps that the short table shows, and parts of each kind at most.
const TIMES: usize = 5;
const PARTS: usize = 8;

/// What the columns of attribution.csv are.
pub(in crate::report) const COLUMNS: [&str; 8] = [
    "label of the model",
    "t in steps",
    "site or frequency; the parts of each kind add up to ∂ε/∂t",
    "a site's name, or frequencies in rad per unit of what the network is told",
    "E‖part‖",
    "E⟨part, ∂ε/∂t⟩/E‖∂ε/∂t‖²; may lie outside [0, 1], adds up to 1; empty where ∂ε/∂t is 0",
    "lower end of the share's 95 % interval",
    "upper end of the share's 95 % interval",
];

/// `attribution.csv`: one row per model, timestep, kind and part; `None` where nothing was told apart.
///
/// # Errors
/// As [`crate::report::curve_csv`].
pub fn attribution_csv(report: &Report) -> Result<Option<Artifact>> {
    attribution_frame(report)?.map(|mut frame| write(FILE, &mut frame)).transpose()
}

/// What stands in `attribution.csv`.
pub(in crate::report) fn attribution_frame(report: &Report) -> Result<Option<DataFrame>> {
    let of = |model: &'_ ModelReport| model.attribution.as_ref().map(|found| (model.label.clone(), found.rows.clone()));
    let found: Vec<(String, Vec<PartRow>)> = report.models.iter().filter_map(of).collect();
    if found.is_empty() {
        return Ok(None);
    }
    let rows = || found.iter().flat_map(|(label, rows)| rows.iter().map(move |row| (label, row)));
    let text =
        |name: &str, of: fn(&PartRow) -> String| column(name, rows().map(|(_, row)| of(row)).collect::<Vec<_>>());
    let float = |name: &str, of: fn(&PartRow) -> Option<f64>| floats(name, rows().map(|(_, row)| of(row)).collect());
    let columns = vec![
        column("model", rows().map(|(label, _)| label.clone()).collect::<Vec<String>>()),
        steps("timestep", rows().map(|(_, row)| Some(row.timestep)).collect()),
        text("kind", |row| row.kind.to_string()),
        text("part", |row| row.part.clone()),
        float("norm", |row| row.norm),
        float("share", |row| row.share),
        float("share_ci_low", |row| row.share_ci_low),
        float("share_ci_high", |row| row.share_ci_high),
    ];
    DataFrame::new_infer_height(columns).map(Some).map_err(|e| failed(FILE, &e))
}

/// The largest parts of each model and kind at a few timesteps, as shares in per cent.
pub fn attribution_table(models: &[ModelReport], width: u16) -> String {
    let mut tables = Vec::new();
    for model in models {
        let Some(found) = &model.attribution else { continue };
        for kind in [PartKind::Site, PartKind::Frequency] {
            if !found.parts(kind).is_empty() {
                tables.push(one(model, found, kind, width));
            }
        }
    }
    tables.join("\n\n")
}

fn one(model: &ModelReport, found: &Attribution, kind: PartKind, width: u16) -> String {
    let times = found.timesteps();
    let last = times.len().saturating_sub(1);
    let mut shown: Vec<f64> = (0..TIMES).map(|k| times[k * last / (TIMES - 1)]).collect();
    shown.dedup();
    let parts = found.largest(kind, PARTS);
    let share = |part: &str, t: f64| found.row(kind, part, t).and_then(|row| row.share);
    let row = |part: &&str| {
        let shares = shown.iter().map(|t| number(share(part, *t).map(|share| 100.0 * share)));
        std::iter::once(part_name(kind, part)).chain(shares).collect::<Vec<String>>()
    };
    let rows: Vec<Vec<String>> = parts.iter().map(row).collect();
    let header: Vec<String> =
        std::iter::once(kind.to_string()).chain(shown.iter().map(|t| format!("t = {t}"))).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let left_out = found.parts(kind).len() - parts.len();
    let rest = if left_out > 0 { format!("\n({left_out} smaller parts in {FILE})") } else { String::new() };
    format!(
        "{}: shares of ∂ε/∂t in per cent, {} samples at each of {} timesteps\n{}{rest}",
        one_line(&model.label),
        found.samples,
        times.len(),
        render(&header, &rows, width)
    )
}

impl Attribution {
    /// The names of the parts that are largest on average over timesteps, largest first, `most` of them at most.
    pub fn largest(&self, kind: PartKind, most: usize) -> Vec<&str> {
        let size = |part: &str| -> f64 {
            self.rows_of(kind).filter(|row| row.part == part).filter_map(|row| row.share).map(f64::abs).sum()
        };
        let mut parts: Vec<(&str, f64)> = self.parts(kind).into_iter().map(|part| (part, size(part))).collect();
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        parts.into_iter().take(most).map(|(part, _)| part).collect()
    }
}
