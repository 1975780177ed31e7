//! What finished steps found out, one number per row.

use super::results::Results;
use super::step::Step;
use crate::error::{Error, Result};
use crate::report::{Report, Summary, Table, TidyReport};
use std::fs;
use std::path::Path;

/// One number of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Name of the setting.
    pub setting: String,
    /// Name of the model.
    pub model: String,
    /// The command that gave it.
    pub source: String,
    /// What it is, as the command's own files name it.
    pub quantity: String,
    /// Sampler, where there is one.
    pub sampler: Option<String>,
    /// Spacing of the sampler's steps.
    pub spacing: Option<String>,
    /// Network evaluations per sample.
    pub nfe: Option<f64>,
    /// Timestep, for a point of a curve.
    pub timestep: Option<f64>,
    /// Size of the perturbation, where there is one.
    pub size: Option<f64>,
    /// Its seed.
    pub seed: u64,
    /// The number.
    pub value: f64,
}

/// All numbers of finished steps: those of curves have a timestep.
///
/// # Errors
///
/// A finished step's files cannot be read.
pub fn observations(steps: &[Step], results: &Results) -> Result<Vec<Observation>> {
    let mut all = Vec::new();
    for step in steps.iter().filter(|step| results.done(&step.key).is_some()) {
        let folder = results.folder(&step.key);
        match step.command.as_str() {
            "train" => training(step, &folder, results, &mut all)?,
            "evaluate" => table(step, &read::<TidyReport>(&folder)?, "quality", &mut all)?,
            "stability" => {
                let report = read::<TidyReport>(&folder)?;
                table(step, &report, "summary", &mut all)?;
                perturbations(step, &report, &mut all)?;
            }
            _ => curves(step, &read::<Report>(&folder)?, &mut all),
        }
    }
    Ok(all)
}

fn read<R: serde::de::DeserializeOwned>(folder: &Path) -> Result<R> {
    let path = folder.join("report.json");
    let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, "reading the report", &e))?;
    serde_json::from_str(&text).map_err(|e| {
        Error::file(&path, format!("this is no report ({e})"), "Remove its folder and run the plan again.")
    })
}

fn observation(step: &Step, model: &str, quantity: impl Into<String>, value: f64) -> Observation {
    Observation {
        setting: step.setting.clone(),
        model: model.into(),
        source: step.command.clone(),
        quantity: quantity.into(),
        sampler: None,
        spacing: None,
        nfe: None,
        timestep: None,
        size: None,
        seed: step.seed,
        value,
    }
}

/// The last row of `train.csv`, and the time.
fn training(step: &Step, folder: &Path, results: &Results, all: &mut Vec<Observation>) -> Result<()> {
    let path = folder.join("train.csv");
    let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, "reading", &e))?;
    let (names, values) = (text.lines().next().unwrap_or_default(), text.lines().last().unwrap_or_default());
    let model = step.model.as_deref().unwrap_or_default();
    for (name, value) in names.split(',').zip(values.split(',')).filter(|(name, _)| name.starts_with("mse")) {
        all.extend(value.parse().ok().map(|value| observation(step, model, format!("training {name}"), value)));
    }
    all.extend(results.done(&step.key).map(|done| observation(step, model, "wall_seconds", done.wall_seconds)));
    Ok(())
}

fn curves(step: &Step, report: &Report, all: &mut Vec<Observation>) {
    for model in &report.models {
        for summary in &model.summary {
            let numbers = numbers(summary).into_iter();
            let named = numbers.filter_map(|(name, value)| Some((format!("{} {name}", summary.quantity), value?)));
            all.extend(named.map(|(name, value)| observation(step, &model.label, name, value)));
        }
        for curve in &model.curves {
            let points = curve.points.iter().filter_map(|point| Some((point.timestep, point.mean?)));
            all.extend(points.map(|(timestep, mean)| Observation {
                timestep: Some(timestep),
                ..observation(step, &model.label, curve.quantity.name(), mean)
            }));
        }
    }
}

/// Numbers of a summary, by the names of its fields.
fn numbers(summary: &Summary) -> [(&'static str, Option<f64>); 8] {
    let near = &summary.near_zero;
    [
        ("near_zero mean", near.mean),
        ("near_zero max", near.max),
        ("near_zero argmax", near.argmax),
        ("near_zero total_variation", near.total_variation),
        ("rest mean", summary.rest.mean),
        ("peak_ratio", summary.peak_ratio),
        ("exponent", summary.singularity.as_ref().map(|singularity| singularity.exponent)),
        ("exponent_per_sigma", summary.singularity.as_ref().and_then(|singularity| singularity.exponent_per_sigma)),
    ]
}

/// The means in a table of a tidy report.
fn table(step: &Step, report: &TidyReport, name: &str, all: &mut Vec<Observation>) -> Result<()> {
    let Some(table) = report.tables.iter().find(|table| table.name == name) else { return Ok(()) };
    let (model, mean) = (table.column("model")?, table.column("mean")?);
    let (quantity, prefix) = match table.column("metric") {
        Ok(metric) => (metric, ""),
        Err(_) => (table.column("perturbed")?, "perturbed "),
    };
    let optional = |table: &Table, name: &str| table.columns.iter().position(|column| column.name == name);
    let (sampler, spacing, nfe) = (optional(table, "sampler"), optional(table, "spacing"), optional(table, "nfe"));
    for row in &table.rows {
        let text = |column: Option<usize>| column.and_then(|c| row.get(c)?.as_text().map(str::to_string));
        let (Some(model), Some(quantity)) = (text(Some(model)), text(Some(quantity))) else { continue };
        let Some(value) = row.get(mean).and_then(|cell| cell.as_number()) else { continue };
        all.push(Observation {
            sampler: text(sampler),
            spacing: text(spacing),
            nfe: nfe.and_then(|c| row.get(c)?.as_number()),
            ..observation(step, &model, format!("{prefix}{quantity}"), value)
        });
    }
    Ok(())
}

/// Changes of x̂₀ over timesteps, one curve per size: `perturbed x` by δ of that standard deviation, `perturbed t` by so
/// many steps.
fn perturbations(step: &Step, report: &TidyReport, all: &mut Vec<Observation>) -> Result<()> {
    let Some(table) = report.tables.iter().find(|table| table.name == "stability") else { return Ok(()) };
    let [model, perturbed, size, timestep, mean] =
        ["model", "perturbed", "size", "timestep", "mean"].map(|name| table.column(name));
    let (model, perturbed, size, timestep, mean) = (model?, perturbed?, size?, timestep?, mean?);
    for row in &table.rows {
        let (Some(model), Some(perturbed)) = (row[model].as_text(), row[perturbed].as_text()) else { continue };
        let (Some(size), Some(value)) = (row[size].as_number(), row[mean].as_number()) else { continue };
        let timestep = row[timestep].as_number();
        let found = observation(step, model, format!("perturbed {perturbed}"), value);
        all.push(Observation { timestep, size: Some(size), ..found });
    }
    Ok(())
}
