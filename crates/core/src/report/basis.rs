//! What a model's numbers rest on: which weights, what the network is told instead of t, and who says how its output is
//! meant. One line per model, in the terminal, in the report and on the page.

use super::{ModelDescription, Provenance};
use crate::clock::Clock;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Who says something about a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nobody: the usual was assumed.
    #[default]
    Assumed,
    /// The command line, by this flag.
    Flag(String),
    /// The checkpoint, in this part of it, such as `scheduler_config.json`.
    File(String),
    /// It belongs to the architecture.
    Architecture,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Assumed => f.write_str("assumed"),
            Origin::Flag(flag) => f.write_str(flag),
            Origin::File(part) => f.write_str(part),
            Origin::Architecture => f.write_str("as its trainers do"),
        }
    }
}

/// Which set of weights was used, of those that a file or folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsUsed {
    /// Its name.
    pub name: String,
    /// The names of all of them.
    pub all: Vec<String>,
}

/// What gives the input and the output of a network their meaning.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Basis {
    /// The set of weights; `None` where the file holds one that has no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsUsed>,
    /// What the network is told at t = 0 and at t = T − 1; `None` where that is infinite.
    pub told: [Option<f64>; 2],
    /// Who says that it is told this.
    pub time: Origin,
    /// Who says the schedule.
    pub schedule: Origin,
    /// Who says the prediction type.
    pub prediction: Origin,
    /// Keys of configurations that only concern how samples are made, and were not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
}

/// Keys that are named in the line; the report lists all of them.
const NAMED: usize = 4;

impl ModelDescription {
    /// The line; `None` for closed forms, and for reports of versions that did not note it.
    pub fn basis_line(&self) -> Option<String> {
        let basis = self.basis.as_ref()?;
        let sizes: Vec<String> = self.sample_shape.iter().map(i64::to_string).collect();
        let mut parts = Vec::new();
        parts.extend(basis.weights.as_ref().map(WeightsUsed::in_words));
        parts.push(format!("x is {}", sizes.join("×")));
        let [first, last] = basis.told.map(|told| told.map_or_else(|| "±∞".into(), in_four_digits));
        parts.push(format!("told {} = {first} … {last} ({})", self.conditioning, basis.time));
        parts.extend(self.clock.as_ref().map(Clock::in_words));
        parts.push(format!("predicts {} ({})", self.prediction, basis.prediction));
        parts.push(format!("schedule {}, T = {} ({})", self.schedule, self.timesteps, basis.schedule));
        parts.extend(self.asked.as_ref().map(|asked| format!("asked for {asked}")));
        let ignored = &basis.ignored;
        if !ignored.is_empty() {
            let more = ignored.len().saturating_sub(NAMED);
            let named = ignored[..ignored.len() - more].join(", ");
            let rest = if more > 0 { format!(" and {more} more keys") } else { String::new() };
            parts.push(format!("for sampling only, not used: {named}{rest}"));
        }
        Some(parts.join("; "))
    }
}

impl Provenance {
    /// One line per model of the plan: its label, and what its numbers rest on.
    pub fn basis_lines(&self) -> Vec<(String, String)> {
        let models = self.plan.get("models").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let line = |model: &Value| {
            let label = model.get("label").and_then(Value::as_str)?;
            let description = ModelDescription::deserialize(model).ok()?;
            Some((label.to_string(), description.basis_line()?))
        };
        models.iter().filter_map(line).collect()
    }
}

impl WeightsUsed {
    fn in_words(&self) -> String {
        let place = self.all.iter().position(|name| *name == self.name).map_or(1, |place| place + 1);
        let others: Vec<&str> = self.all.iter().filter(|name| **name != self.name).map(String::as_str).collect();
        if others.is_empty() {
            return format!("weights {}, the only ones", self.name);
        }
        let others = others.join(", ");
        format!("weights {}, set {place} of {} (also {others}: --weights)", self.name, self.all.len())
    }
}

/// Enough to tell which range it is.
fn in_four_digits(number: f64) -> String {
    let whole = number.fract() == 0.0 && number.abs() < 1e9;
    if whole { format!("{number}") } else { format!("{}", format!("{number:.3e}").parse::<f64>().unwrap_or(number)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn the_line_says_what_is_assumed_and_by_whom_it_is_said() {
        let mut model = synthetic::ddpm().models.remove(0).model;
        assert_eq!(model.basis_line(), None);
        let all = vec!["ema".to_string(), "raw".into()];
        let keys = ["a", "b", "c", "d", "e", "f"].map(String::from).to_vec();
        model.sample_shape = vec![3, 32, 32];
        model.conditioning = "sigma*1000".into();
        model.prediction = "v".into();
        model.schedule = "cosine".into();
        model.timesteps = 1000;
        model.asked = Some("class 3".into());
        model.basis = Some(Basis {
            weights: Some(WeightsUsed { name: "raw".into(), all }),
            told: [Some(0.123_456), Some(999.0)],
            time: Origin::Flag("--time-input".into()),
            schedule: Origin::Assumed,
            prediction: Origin::File("scheduler_config.json".into()),
            ignored: keys,
        });
        assert_eq!(
            model.basis_line().unwrap(),
            "weights raw, set 2 of 2 (also ema: --weights); x is 3×32×32; told sigma*1000 = 0.1235 … 999 (--time-input); \
             predicts v (scheduler_config.json); schedule cosine, T = 1000 (assumed); asked for class 3; for sampling \
             only, not used: a, b, c, d and 2 more keys"
        );
        let back: ModelDescription = serde_json::from_str(&serde_json::to_string(&model).unwrap()).unwrap();
        assert_eq!(back.basis, model.basis);
        // JSON knows no infinity.
        model.basis.as_mut().unwrap().told = [Some(0.0), None];
        assert!(model.basis_line().unwrap().contains("= 0 … ±∞"));
        let back: ModelDescription = serde_json::from_str(&serde_json::to_string(&model).unwrap()).unwrap();
        assert_eq!(back.basis, model.basis);
        // The plan of any report has the same, with the label beside it.
        let mut described = serde_json::to_value(&model).unwrap();
        described["label"] = "mine".into();
        let mut provenance = synthetic::ddpm().provenance;
        provenance.plan = serde_json::json!({"models": [described, {"label": "samples.npy"}]});
        assert_eq!(provenance.basis_lines(), [("mine".to_string(), model.basis_line().unwrap())]);
    }
}
