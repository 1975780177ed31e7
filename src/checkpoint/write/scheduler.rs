//! diffusers' `scheduler_config.json` for a schedule.

use crate::checkpoint::Declared;
use crate::prediction::Prediction;
use crate::schedule::NoiseSchedule;
use serde_json::{Value, json};

/// The configuration of a `DDPMScheduler` with the same ᾱ; `None` where there is none: α² + σ² ≠ 1.
pub(super) fn config(declared: &Declared) -> Option<Value> {
    let spec = declared.schedule.as_ref()?;
    let betas = betas(&*spec.gaussian("a scheduler").ok()?.schedule)?;
    let prediction = match declared.prediction.unwrap_or_default() {
        Prediction::Epsilon => "epsilon",
        Prediction::V => "v_prediction",
        Prediction::X0 => "sample",
        Prediction::Flow
        | Prediction::ReversedFlow
        | Prediction::Vp
        | Prediction::Ve
        | Prediction::Mixed
        | Prediction::Edm(_)
        | Prediction::Consistency(_) => {
            return None;
        }
    };
    // The betas themselves: names with parameters differ between programs, numbers do not.
    Some(json!({
        "_class_name": "DDPMScheduler",
        "beta_schedule": "linear",
        "trained_betas": betas,
        "num_train_timesteps": spec.timesteps(),
        "prediction_type": prediction,
        "variance_type": "fixed_small",
        "clip_sample": declared.clip.is_some(),
        "clip_sample_range": declared.clip.unwrap_or(1.0),
    }))
}

/// β_t = 1 − ᾱ_t/ᾱ_{t−1}, for a schedule that preserves the variance.
fn betas(schedule: &dyn NoiseSchedule) -> Option<Vec<f64>> {
    let mut before = 1.0;
    (0..schedule.timesteps())
        .map(|t| {
            let (alpha, sigma) = (schedule.alpha(t as f64), schedule.sigma(t as f64));
            let alpha_bar = alpha * alpha;
            let beta = 1.0 - alpha_bar / before;
            before = alpha_bar;
            ((alpha_bar + sigma * sigma - 1.0).abs() < 1e-9).then_some(beta)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::parse;

    #[test]
    fn betas_are_those_of_the_schedule() {
        let linear = betas(&*parse("linear").unwrap()).unwrap();
        // 1 − a ratio near 1 loses four digits of sixteen.
        assert!((linear[0] - 1e-4).abs() < 1e-12 && (linear[999] - 0.02).abs() < 1e-12);
        assert!(betas(&*parse("flow").unwrap()).is_none());
        assert_eq!(betas(&*parse("trigflow").unwrap()).unwrap().len(), 1000);
    }
}
