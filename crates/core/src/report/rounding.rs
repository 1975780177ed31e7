//! How much of ∂ε/∂t and of ε(t′) − ε(t) is rounding, by the dtype of the network and of its time embedding.

use super::table::{number, one_line, render, step};
use crate::quantity::Quantity;
use serde::{Deserialize, Serialize};

/// Errors of every combination of dtypes against float64 throughout, on the same weights and the same x.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rounding {
    /// Label of the model.
    pub model: String,
    /// What the dtype of the time embedding applies to, in words; or why it cannot be varied.
    pub time_embedding: String,
    /// Samples x per timestep.
    pub samples: u64,
    /// Distance t′ − t of the secant in steps.
    pub dt: f64,
    /// One row per combination, quantity and timestep.
    pub rows: Vec<RoundingRow>,
    /// What could not be computed, and why.
    pub unavailable: Vec<NoRounding>,
    /// Seconds that it took.
    pub wall_seconds: f64,
}

/// Errors over samples of one quantity v at one timestep in one combination of dtypes: ‖v − r‖/‖r‖ for the float64 vector r.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundingRow {
    /// `derivative`, ∂ε/∂t, or `secant`, ε(t′) − ε(t).
    pub quantity: Quantity,
    /// dtype of weights, x and every layer: `f64`, `f32` or `bf16`.
    pub network_dtype: String,
    /// dtype of t and its features: `f64`, `f32` or `bf16`, or `fixed` where it cannot be varied.
    pub time_embedding_dtype: String,
    /// t in steps.
    pub timestep: f64,
    /// t′ in steps; `None` for a derivative.
    pub t_next: Option<f64>,
    /// Samples that the errors rest on.
    pub samples: u64,
    /// Samples left out: something was NaN or infinite, or the reference is 0.
    pub undefined: u64,
    /// Median over samples.
    pub median_relative_error: Option<f64>,
    /// Largest over samples.
    pub max_relative_error: Option<f64>,
    /// mean‖v‖/mean‖r‖ − 1, the error of the curve's own number: above 0 where rounding makes it larger.
    pub mean_norm_relative_error: Option<f64>,
    /// mean‖r‖.
    pub reference_mean_norm: Option<f64>,
}

/// A quantity that a combination of dtypes does not have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoRounding {
    /// `derivative` or `secant`.
    pub quantity: Quantity,
    /// dtype of the network.
    pub network_dtype: String,
    /// dtype of the time embedding.
    pub time_embedding_dtype: String,
    /// Why.
    pub reason: String,
}

/// dtype of the network, dtype of the time embedding.
type Combination<'a> = (&'a str, &'a str);

impl Rounding {
    fn rows_of(&self, quantity: Quantity) -> impl Iterator<Item = &RoundingRow> {
        self.rows.iter().filter(move |row| row.quantity == quantity)
    }

    /// In the order in which they were computed.
    fn combinations(&self) -> Vec<Combination<'_>> {
        let mut seen: Vec<Combination> = Vec::new();
        for row in &self.rows {
            let combination = (row.network_dtype.as_str(), row.time_embedding_dtype.as_str());
            if !seen.contains(&combination) {
                seen.push(combination);
            }
        }
        seen
    }

    fn error(&self, quantity: Quantity, (network, time): Combination, t: f64) -> Option<f64> {
        let row = self
            .rows_of(quantity)
            .find(|row| row.network_dtype == network && row.time_embedding_dtype == time && row.timestep == t)?;
        row.median_relative_error
    }

    /// The largest median over timesteps, and where.
    fn worst(&self, quantity: Quantity, (network, time): Combination) -> Option<(f64, f64)> {
        let rows = self.rows_of(quantity).filter(|r| r.network_dtype == network && r.time_embedding_dtype == time);
        let errors = rows.filter_map(|row| row.median_relative_error.map(|error| (error, row.timestep)));
        errors.max_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// The first timestep, the one in the middle and the last at which a quantity was measured.
    fn shown(&self, quantity: Quantity) -> Vec<(f64, Option<f64>)> {
        let Some(first) = self.combinations().into_iter().next() else { return Vec::new() };
        let of_first = |r: &&RoundingRow| (r.network_dtype.as_str(), r.time_embedding_dtype.as_str()) == first;
        let times: Vec<(f64, Option<f64>)> =
            self.rows_of(quantity).filter(of_first).map(|row| (row.timestep, row.t_next)).collect();
        let (Some(near), Some(far)) = (times.first(), times.last()) else { return Vec::new() };
        let middle = 0.5 * (near.0 + far.0);
        let between = times.iter().min_by(|a, b| (a.0 - middle).abs().total_cmp(&(b.0 - middle).abs()));
        let mut shown: Vec<(f64, Option<f64>)> =
            [Some(near), between, Some(far)].into_iter().flatten().copied().collect();
        shown.dedup();
        shown
    }
}

/// One row per combination; median errors near 0, in the middle and at the end, of the derivative and of the secant; then
/// what the time embedding's dtype applies to, and what is missing.
pub fn rounding_table(rounding: &Rounding, width: u16) -> String {
    let columns: Vec<(Quantity, f64, Option<f64>)> = [Quantity::Derivative, Quantity::Secant]
        .into_iter()
        .flat_map(|quantity| rounding.shown(quantity).into_iter().map(move |(t, next)| (quantity, t, next)))
        .collect();
    let heading = |(_, t, next): &(Quantity, f64, Option<f64>)| match next {
        Some(_) => format!("Δε {}", step(*t, *next)),
        None => format!("∂ε/∂t {t}"),
    };
    let header: Vec<String> =
        ["network", "time embedding"].map(String::from).into_iter().chain(columns.iter().map(heading)).collect();
    let row = |combination: Combination| -> Vec<String> {
        let errors = columns.iter().map(|(quantity, t, _)| number(rounding.error(*quantity, combination, *t)));
        [combination.0.to_string(), combination.1.to_string()].into_iter().chain(errors).collect()
    };
    let rows: Vec<Vec<String>> = rounding.combinations().into_iter().map(row).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    format!(
        "{}: rounding, ‖v − r‖/‖r‖ against float64 throughout, median over {} samples\n{}\ntime embedding: {}{}",
        one_line(&rounding.model),
        rounding.samples,
        render(&header, &rows, width),
        rounding.time_embedding,
        missing(rounding)
    )
}

/// A line for each reason why something is missing.
fn missing(rounding: &Rounding) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for NoRounding { quantity, network_dtype, time_embedding_dtype, reason } in &rounding.unavailable {
        let what = format!("{quantity} in {network_dtype} with {time_embedding_dtype}");
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, all)) => all.push(what),
            None => reasons.push((reason, vec![what])),
        }
    }
    reasons.iter().map(|(reason, what)| format!("\nno {}: {reason}", what.join(", no "))).collect()
}

/// What it comes to, in one sentence; what could not be computed is left out.
pub fn rounding_reading(rounding: &Rounding) -> String {
    let fixed = rounding.combinations().iter().any(|(_, time)| *time == "fixed");
    let usual = if fixed { "fixed" } else { "f32" };
    let cases = [
        ("in float32 throughout", ("f32", usual)),
        ("with a bf16 time embedding", ("f32", "bf16")),
        ("with a bf16 network", ("bf16", usual)),
    ];
    let mut parts: Vec<String> = Vec::new();
    for (words, combination) in cases {
        let shares = shares(rounding, combination, parts.is_empty());
        parts.extend((!shares.is_empty()).then(|| format!("{words} {shares}")));
    }
    if parts.is_empty() {
        return "Of this model nothing but the float64 reference could be computed.".into();
    }
    format!("Rounding at its worst timestep: {}.", parts.join("; "))
}

/// `0.0025 % of ∂ε/∂t (t = 998) and 0.008 % of ε(t+1) − ε(t) (t = 998)`; what they are shares of is said once.
fn shares(rounding: &Rounding, combination: Combination, first: bool) -> String {
    let secant = format!(" of ε(t+{}) − ε(t)", rounding.dt);
    let quantities = [(Quantity::Derivative, " of ∂ε/∂t"), (Quantity::Secant, secant.as_str())];
    let shares = quantities.into_iter().filter_map(|(quantity, of)| {
        let (error, t) = rounding.worst(quantity, combination)?;
        Some(format!("{}{} (t = {t})", percent(error), if first { of } else { "" }))
    });
    shares.collect::<Vec<_>>().join(" and ")
}

/// Two significant digits; what is below a millionth is not told apart.
fn percent(error: f64) -> String {
    let percent = 100.0 * error;
    if percent < 1e-4 {
        return "under 0.0001 %".into();
    }
    let digits = (1 - percent.log10().floor() as i32).max(0) as usize;
    format!("{percent:.digits$} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(quantity: Quantity, dtypes: Combination, t: f64, error: Option<f64>) -> RoundingRow {
        RoundingRow {
            quantity,
            network_dtype: dtypes.0.into(),
            time_embedding_dtype: dtypes.1.into(),
            timestep: t,
            t_next: (quantity == Quantity::Secant).then_some(t + 1.0),
            samples: 16,
            undefined: u64::from(error.is_none()),
            median_relative_error: error,
            max_relative_error: error,
            mean_norm_relative_error: error,
            reference_mean_norm: Some(1.0),
        }
    }

    fn example() -> Rounding {
        let mut rows = Vec::new();
        for t in [0.0, 30.0, 490.0, 998.0] {
            for (dtypes, scale) in [(("f64", "f64"), 0.0), (("f32", "f32"), 2.6e-8), (("f32", "bf16"), 1.2e-3)] {
                rows.push(row(Quantity::Derivative, dtypes, t, (t > 0.0).then_some(scale * t)));
                rows.push(row(Quantity::Secant, dtypes, t, Some(scale * (t + 1.0))));
            }
        }
        rows.push(row(Quantity::Secant, ("bf16", "f32"), 0.0, Some(27.5)));
        let lack = |quantity: Quantity| NoRounding {
            quantity,
            network_dtype: "bf16".into(),
            time_embedding_dtype: "f64".into(),
            reason: "mat1 and mat2 differ".into(),
        };
        Rounding {
            model: "DDPM".into(),
            time_embedding: "t and its sinusoids".into(),
            samples: 16,
            dt: 1.0,
            rows,
            unavailable: vec![lack(Quantity::Secant), lack(Quantity::Derivative)],
            wall_seconds: 1.0,
        }
    }

    #[test]
    fn the_table_has_a_row_per_combination_and_says_what_is_missing() {
        let text = rounding_table(&example(), 110);
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(text.starts_with("DDPM: rounding") && text.contains("median over 16 samples"), "{text}");
        assert!(text.lines().nth(1).unwrap().contains("∂ε/∂t 490  ∂ε/∂t 998   Δε 0→1"), "{text}");
        assert_eq!(words[3], ["f32", "f32", "–", "1.27e-5", "2.59e-5", "2.60e-8", "1.28e-5", "2.60e-5"]);
        assert_eq!(words[5], ["bf16", "f32", "–", "–", "–", "27.5", "–", "–"]);
        assert!(text.ends_with("no secant in bf16 with f64, no derivative in bf16 with f64: mat1 and mat2 differ"));
        assert!(rounding_table(&example(), 50).lines().take(6).all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn the_reading_is_one_plain_sentence() {
        assert_eq!(
            rounding_reading(&example()),
            "Rounding at its worst timestep: in float32 throughout 0.0026 % of ∂ε/∂t (t = 998) and 0.0026 % of \
             ε(t+1) − ε(t) (t = 998); with a bf16 time embedding 120 % (t = 998) and 120 % (t = 998); with a bf16 \
             network 2750 % (t = 0)."
        );
        let nothing = Rounding { rows: Vec::new(), ..example() };
        assert!(rounding_reading(&nothing).contains("nothing but"));
    }
}
