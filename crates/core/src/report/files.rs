//! A report of curves as the files of its folder.

use super::memorisation::has_weights;
use super::{
    Artifact, FigureFormat, Report, attribution_csv, attribution_figures, comparison_csv, curve_csv, figure,
    memorisation_csv, rounding_csv,
};
use crate::error::{Error, Result};
use serde::Serialize;

/// The name of the report's own file.
pub const REPORT: &str = "report.json";

/// A value as indented JSON.
pub fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|e| Error::mismatch(format!("JSON cannot be written ({e})"), "Report this."))
}

/// report.json, the tables, and the figure in these formats.
pub fn files(report: &Report, formats: &[FigureFormat]) -> Result<Vec<Artifact>> {
    let mut artifacts = vec![Artifact::new(REPORT, json(report)?), curve_csv(report)?];
    if report.compares() {
        artifacts.push(comparison_csv(report)?);
    }
    if has_weights(report) {
        artifacts.push(memorisation_csv(report)?);
    }
    if let Some(rounding) = &report.rounding {
        artifacts.push(rounding_csv(rounding)?);
    }
    artifacts.extend(attribution_csv(report)?);
    if !formats.is_empty() {
        for figure in std::iter::once(figure(report)?).chain(attribution_figures(report)?) {
            for format in formats {
                artifacts.push(figure.artifact(*format)?);
            }
        }
    }
    Ok(artifacts)
}
