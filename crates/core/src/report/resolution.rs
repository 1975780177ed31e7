//! How well the timesteps resolve the curve, in words.

use super::{Report, Warning};
use crate::refine::Resolution;

/// A sentence of its own, with a leading space; empty where the timesteps were given.
pub fn resolution_reading(report: &Report) -> String {
    let Some(Resolution { tolerance, checked, within, unresolved, .. }) = &report.resolution else {
        return String::new();
    };
    let curves = report.models.iter().flat_map(|model| &model.curves);
    let timesteps = curves.map(|curve| curve.points.len()).max().unwrap_or(0);
    let per_cent = 100.0 * tolerance;
    if unresolved.is_empty() {
        return format!(
            "{timesteps} timesteps: between them straight lines are within {per_cent} % of the curve at the {within} of \
             {checked} places checked where none was added."
        );
    }
    format!("{timesteps} timesteps, which do not resolve the curve everywhere (see the warning).")
}

impl Warning {
    /// What is to be said about gaps that were left.
    pub fn unresolved(resolution: &Resolution) -> Option<Warning> {
        let (first, last) = (resolution.unresolved.first()?, resolution.unresolved.last()?);
        Some(Warning::Unresolved {
            gaps: resolution.unresolved.len(),
            from: first.0,
            until: last.1,
            worst: resolution.worst.unwrap_or(0.0),
        })
    }
}
