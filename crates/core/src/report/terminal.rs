//! What is left of the data at the last timesteps.

use super::table::number;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// KL(q_t‖N(0, I)) at the end: by the model, and by the data alone. See [`crate::terminal`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terminal {
    /// The last measured timestep, of which the bounds are.
    pub timestep: f64,
    /// ½ E‖ε/σ − x‖², which is no less than KL where ε is that of the data.
    pub kl_bound: f64,
    /// Its 95 % interval.
    pub kl_bound_ci: Option<(f64, f64)>,
    /// KL of the Gaussian with the data's moments, which is no more than KL; `None` without data.
    pub kl_lower: Option<f64>,
    /// A bound from above by the data's second moment; `None` without data.
    pub kl_upper: Option<f64>,
    /// By threshold: the first timestep from which on KL is no more than that; `None` where it never is.
    pub timestep_for: BTreeMap<String, Option<f64>>,
    /// The same by the data alone: not before the first number, where the bound from below is reached, and surely from the
    /// second on, where that from above is. Empty without data.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timestep_for_data: BTreeMap<String, (Option<f64>, Option<f64>)>,
}

impl Terminal {
    /// What a smaller T costs, and whether model and data agree.
    pub(super) fn reading(&self) -> String {
        let interval = self.kl_bound_ci.filter(|(low, high)| low < high);
        let interval =
            interval.map(|(low, high)| format!(" [{}, {}]", number(Some(low)), number(Some(high)))).unwrap_or_default();
        let bound = format!(
            "at t = {} the divergence of x from pure noise, KL(q_t‖N(0, I)), is at most ½ E‖ε/σ − x‖² = {}{interval}",
            self.timestep,
            number(Some(self.kl_bound))
        );
        let data = match (self.kl_lower, self.kl_upper) {
            (Some(low), Some(high)) => {
                let agreement = self.agreement(low, high);
                format!(", and by the data alone between {} and {}{agreement}", number(Some(low)), number(Some(high)))
            }
            _ => String::new(),
        };
        // The largest threshold first, which is the one that is reached first.
        let mut reached: Vec<(&String, &Option<f64>)> = self.timestep_for.iter().collect();
        reached.sort_by(|a, b| b.0.parse::<f64>().unwrap_or(0.0).total_cmp(&a.0.parse().unwrap_or(0.0)));
        let place = |t: Option<f64>| t.map_or("nowhere".into(), |t| format!("{t}"));
        let words = reached.into_iter().map(|(threshold, from)| {
            let by_data = self.timestep_for_data.get(threshold);
            let by_data = by_data.map(|(first, surely)| match first == surely {
                true => format!(" (data: {})", place(*first)),
                false => format!(" (data: {} … {})", place(*first), place(*surely)),
            });
            let from = from.map_or("nowhere".into(), |t| format!("from t = {t}"));
            format!("{threshold} {from}{}", by_data.unwrap_or_default())
        });
        let words: Vec<String> = words.collect();
        format!("{bound}{data}; it is below {}: what a schedule that ends there costs", words.join(", "))
    }

    /// ε of the data has a bound of no less than KL, and near noise, where KL ≈ ¼ Σδ², of no more than twice KL.
    fn agreement(&self, low: f64, high: f64) -> &'static str {
        let (least, most) = self.kl_bound_ci.unwrap_or((self.kl_bound, self.kl_bound));
        if most < low {
            "; the two contradict each other, so ε is not that of this data there: trust the data"
        } else if least > 3.0 * high {
            "; the model's is far above, so its ε is not that of this data there: trust the data"
        } else {
            ""
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(kl_bound: f64) -> Terminal {
        let found = [("1e-2", Some(330.0)), ("1e-3", Some(495.0)), ("1e-4", None)];
        Terminal {
            timestep: 999.0,
            kl_bound,
            kl_bound_ci: Some((0.9 * kl_bound, 1.1 * kl_bound)),
            kl_lower: Some(2e-4),
            kl_upper: Some(3e-4),
            timestep_for: found.map(|(threshold, t)| (threshold.to_string(), t)).into(),
            timestep_for_data: BTreeMap::from([
                ("1e-3".into(), (Some(480.0), Some(600.0))),
                ("1e-4".into(), (Some(990.0), None)),
            ]),
        }
    }

    #[test]
    fn the_reading_says_both_bounds_and_what_a_smaller_t_costs() {
        let said = terminal(4e-4).reading();
        assert!(
            said.contains("at t = 999") && said.contains("= 0.000400 [0.000360, 0.000440], and by the data"),
            "{said}"
        );
        assert!(
            said.ends_with(
                "below 1e-2 from t = 330, 1e-3 from t = 495 (data: 480 … 600), 1e-4 nowhere (data: 990 … nowhere): what a schedule that ends there costs"
            ),
            "{said}"
        );
        assert!(!said.contains("not that of this data"), "{said}");
        assert!(terminal(1e-4).reading().contains("contradict"));
        assert!(terminal(1.5e-3).reading().contains("far above"));
        let alone = Terminal { kl_lower: None, timestep_for_data: BTreeMap::new(), ..terminal(1e-4) };
        assert!(!alone.reading().contains("data"));
    }
}
