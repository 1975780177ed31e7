//! How far the ideal denoiser of a finite data set knows which of its points x_t came from.

use super::csv::{column, floats, frame, steps, write};
use super::{Artifact, Report};
use crate::error::Result;
use polars::prelude::DataFrame;
use serde::{Deserialize, Serialize};

/// The posterior of the data set at one timestep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnWeight {
    /// t in steps.
    pub timestep: f64,
    /// Samples that the numbers rest on.
    pub samples: u64,
    /// Mean posterior weight of the point that x_t came from.
    pub mean: f64,
    /// Lower end of its 95 % interval.
    pub ci_low: Option<f64>,
    /// Upper end of its 95 % interval.
    pub ci_high: Option<f64>,
    /// ρ = E‖∂ε/∂t‖² / E‖(σ̇ ε + α̇ x₀)/σ‖², the second of which is ∂ε/∂t where the point is known: the part of the
    /// directions in which x_t gives x₀ away, for small σ; above 1 where the weights themselves move.
    pub known_directions: Option<f64>,
}

/// What a curve of own weights comes to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Memorisation {
    /// t below which x_t gives its own point away: a mean weight above ½. `None` where it never is, or always.
    pub own_weight_half_at: Option<f64>,
    /// ρ at the first timestep at which the mean weight is below a tenth: what is known there is the shape of the data.
    pub known_directions: Option<f64>,
}

/// A mean weight below which a point of its own hardly counts.
const GONE: f64 = 0.1;

impl Memorisation {
    /// Of weights by ascending timestep; `None` without weights.
    pub fn new(weights: &[OwnWeight]) -> Option<Self> {
        let crossing = weights.windows(2).find(|pair| pair[0].mean >= 0.5 && pair[1].mean < 0.5);
        let own_weight_half_at = crossing.map(|pair| {
            let (left, right) = (&pair[0], &pair[1]);
            left.timestep + (right.timestep - left.timestep) * (left.mean - 0.5) / (left.mean - right.mean)
        });
        let known_directions = weights.iter().find(|row| row.mean < GONE).and_then(|row| row.known_directions);
        (!weights.is_empty()).then_some(Memorisation { own_weight_half_at, known_directions })
    }

    /// What a reader of the curve must know.
    pub(super) fn reading(&self, label: &str) -> Option<String> {
        let half = self.own_weight_half_at?;
        Some(format!(
            "{label}: below t = {half:.0} x gives away the point of the data that it came from (posterior weight above ½), and \
             the curve is a formula of schedule and dimension: a network below it there may generalise"
        ))
    }
}

/// `memorisation.csv`: the posterior weight of x_t's own point by model and timestep.
///
/// # Errors
/// As [`super::curve_csv`].
pub fn memorisation_csv(report: &Report) -> Result<Artifact> {
    write("memorisation.csv", &mut memorisation_frame(report)?)
}

/// Whether there is something to say.
pub(super) fn has_weights(report: &Report) -> bool {
    report.models.iter().any(|model| !model.own_weights.is_empty())
}

/// What stands in `memorisation.csv`.
pub(super) fn memorisation_frame(report: &Report) -> Result<DataFrame> {
    let rows: Vec<(&String, &OwnWeight)> =
        report.models.iter().flat_map(|model| model.own_weights.iter().map(move |row| (&model.label, row))).collect();
    let float =
        |name: &str, of: fn(&OwnWeight) -> Option<f64>| floats(name, rows.iter().map(|row| of(row.1)).collect());
    let columns = vec![
        column("model", rows.iter().map(|row| row.0.clone()).collect::<Vec<String>>()),
        steps("timestep", rows.iter().map(|row| Some(row.1.timestep)).collect()),
        column("samples", rows.iter().map(|row| row.1.samples).collect::<Vec<u64>>()),
        float("own_weight", |row| Some(row.mean)),
        float("ci_low", |row| row.ci_low),
        float("ci_high", |row| row.ci_high),
        float("known_directions", |row| row.known_directions),
    ];
    frame("memorisation.csv", columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    fn weights() -> Vec<OwnWeight> {
        let row = |(timestep, mean, known): (f64, f64, f64)| OwnWeight {
            timestep,
            samples: 64,
            mean,
            ci_low: None,
            ci_high: None,
            known_directions: Some(known),
        };
        [(0.0, 1.0, 1.0), (100.0, 0.9, 1.0), (200.0, 0.4, 0.9), (300.0, 0.05, 0.75)].map(row).into()
    }

    #[test]
    fn the_half_lies_on_the_line_between_its_neighbours() {
        let found = Memorisation::new(&weights()).unwrap();
        assert!((found.own_weight_half_at.unwrap() - 180.0).abs() < 1e-9, "{found:?}");
        assert_eq!(found.known_directions, Some(0.75));
        let said = found.reading("ideal digits").unwrap();
        assert!(
            said.starts_with("ideal digits: below t = 180 x gives away") && said.ends_with("may generalise"),
            "{said}"
        );
        let always = Memorisation::new(&weights()[..2]).unwrap();
        assert_eq!((always.own_weight_half_at, always.known_directions, always.reading("a")), (None, None, None));
        assert_eq!(Memorisation::new(&[]), None);
    }

    #[test]
    fn the_table_has_a_row_for_every_timestep() {
        let mut report = synthetic::ddpm();
        assert!(!has_weights(&report));
        report.models[0].own_weights = weights();
        assert!(has_weights(&report));
        let text = String::from_utf8(memorisation_csv(&report).unwrap().bytes).unwrap();
        assert_eq!(text.lines().next().unwrap(), "model,timestep,samples,own_weight,ci_low,ci_high,known_directions");
        assert_eq!(text.lines().nth(3).unwrap(), "DDPM,200,64,0.4,,,0.9");
    }
}
