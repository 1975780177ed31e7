//! Schedule and prediction type from the buffers that trainers save beside the weights: `betas` or `alphas_cumprod`
//! (latent-diffusion, denoising-diffusion-pytorch) and `loss_weight` (denoising-diffusion-pytorch).

use super::super::Declared;
use crate::error::Result;
use crate::prediction::Prediction;
use crate::schedule::NamedSchedule;
use crate::schedule::{NoiseSchedule, Table};
use crate::tensor_file::NamedArrays;
use std::sync::Arc;

const BETAS: &str = "betas";
const ALPHA_BAR: &str = "alphas_cumprod";
const LOSS_WEIGHT: &str = "loss_weight";

/// Where such buffers may lie: beside the weights, or one level or more up.
pub(super) struct Wanted {
    /// Prefixes, the nearest first.
    places: Vec<String>,
}

impl Wanted {
    /// Around the weights below `prefix`.
    pub fn beside(prefix: &str) -> Self {
        let ends = prefix.char_indices().filter(|(_, c)| *c == '.').map(|(i, _)| i + 1);
        let mut places: Vec<String> = std::iter::once(0).chain(ends).map(|end| prefix[..end].to_string()).collect();
        places.reverse();
        Wanted { places }
    }

    /// Whether `name` is one of them.
    pub fn has(&self, name: &str) -> bool {
        let buffer = |place: &String| name.strip_prefix(place.as_str());
        self.places.iter().filter_map(buffer).any(|rest| [BETAS, ALPHA_BAR, LOSS_WEIGHT].contains(&rest))
    }

    /// What they say.
    pub fn declared(&self, named: &NamedArrays) -> Result<Declared> {
        let values = |name: &str| {
            let found = self.places.iter().find_map(|place| named.get(&format!("{place}{name}")));
            found.filter(|array| array.shape().len() == 1).map(|array| array.map(|x| x))
        };
        // β is kept to a relative 1e-7 in float32, and 1 − ᾱ of the first steps to 1e-3 only.
        let table = match (values(BETAS), values(ALPHA_BAR)) {
            (Some(betas), _) => Some((Table::from_betas(&betas)?, BETAS)),
            (None, Some(alpha_bar)) => Some((Table::from_alpha_bar(&alpha_bar)?, ALPHA_BAR)),
            (None, None) => None,
        };
        let Some((table, name)) = table else { return Ok(Declared::default()) };
        let prediction = values(LOSS_WEIGHT).and_then(|weight| objective(&table, &weight));
        let schedule = NamedSchedule { name: format!("{name} in the file"), schedule: Arc::new(table) };
        Ok(Declared { schedule: Some(schedule.into()), prediction, ..Declared::default() }
            .said_in("buffers beside the weights"))
    }
}

/// The prediction type by the weight of its loss at t, with SNR = ᾱ/(1 − ᾱ): 1 for ε, SNR for x₀, SNR/(SNR + 1) for v.
/// Where the weights are clipped (min-SNR) that is where SNR is large; they are compared where it is below 1.
fn objective(table: &Table, loss_weight: &[f64]) -> Option<Prediction> {
    let snr = |t: usize| table.log_snr(t as f64).exp();
    let compared: Vec<usize> =
        (0..loss_weight.len().min(table.timesteps())).filter(|&t| snr(t) < 1.0 && snr(t) > 1e-6).collect();
    let weighs = |expected: fn(f64) -> f64| {
        let close = |&t: &usize| (loss_weight[t] / expected(snr(t)) - 1.0).abs() < 1e-2;
        !compared.is_empty() && compared.iter().all(close)
    };
    if weighs(|_| 1.0) {
        Some(Prediction::Epsilon)
    } else if weighs(|snr| snr) {
        Some(Prediction::X0)
    } else if weighs(|snr| snr / (snr + 1.0)) {
        Some(Prediction::V)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule;

    #[test]
    fn the_weight_of_the_loss_tells_the_prediction_type() {
        let linear = schedule::parse("linear").unwrap();
        let alpha_bar: Vec<f64> = (0..1000).map(|t| linear.alpha_bar(f64::from(t))).collect();
        let table = Table::from_alpha_bar(&alpha_bar).unwrap();
        let weights = |f: fn(f64) -> f64| alpha_bar.iter().map(|a| f(a / (1.0 - a))).collect::<Vec<f64>>();
        // With min-SNR weighting, γ = 5, and without.
        assert_eq!(objective(&table, &weights(|_| 1.0)), Some(Prediction::Epsilon));
        assert_eq!(objective(&table, &weights(|snr| snr.min(5.0) / snr)), Some(Prediction::Epsilon));
        assert_eq!(objective(&table, &weights(|snr| snr)), Some(Prediction::X0));
        assert_eq!(objective(&table, &weights(|snr| snr.min(5.0) / (snr + 1.0))), Some(Prediction::V));
        assert_eq!(objective(&table, &weights(|snr| snr * snr)), None);
        assert_eq!(objective(&table, &[]), None);
    }

    #[test]
    fn buffers_are_looked_for_beside_and_above_the_weights() {
        let wanted = Wanted::beside("ema.ema_model.model.");
        for name in ["ema.ema_model.betas", "betas", "ema.ema_model.model.alphas_cumprod"] {
            assert!(wanted.has(name), "{name}");
        }
        assert!(!wanted.has("other.betas") && !wanted.has("ema.ema_model.betas2") && !wanted.has("em.betas"));
    }
}
