//! diffusers' `scheduler_config.json`: schedule, T, prediction type and clipping, in our names.

use super::Declared;
use crate::error::{Error, Result};
use crate::prediction::Prediction;
use crate::schedule::NamedSchedule;
use crate::schedule::Table;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// What the scheduler says about the network; other schedulers than those over β are refused by name.
pub(super) fn read(config: &Value, path: &Path) -> Result<Declared> {
    let text = |key: &str, default: &str| config.get(key).and_then(Value::as_str).unwrap_or(default).to_string();
    let flag = |key: &str, default: bool| config.get(key).and_then(Value::as_bool).unwrap_or(default);
    let prediction = match text("prediction_type", "epsilon").as_str() {
        "epsilon" => Prediction::Epsilon,
        "v_prediction" => Prediction::V,
        "sample" => Prediction::X0,
        "flow_prediction" => Prediction::Flow,
        other => return Err(unknown(path, "prediction_type", other)),
    };
    let range = config.get("clip_sample_range").and_then(Value::as_f64).unwrap_or(1.0);
    // Absent means DDPM's own default; schedulers without clipping write it as false or do not know it.
    let clips = flag("clip_sample", text("_class_name", "").starts_with("DD"));
    Ok(Declared {
        schedule: Some(schedule(config, path)?),
        prediction: Some(prediction),
        clip: clips.then_some(range),
        ..Declared::default()
    })
}

fn schedule(config: &Value, path: &Path) -> Result<NamedSchedule> {
    let zero_terminal_snr = config.get("rescale_betas_zero_snr").and_then(Value::as_bool).unwrap_or(false);
    if let Some(betas) = config.get("trained_betas").and_then(Value::as_array) {
        let betas: Option<Vec<f64>> = betas.iter().map(Value::as_f64).collect();
        let table = Table::from_betas(&betas.ok_or_else(|| unknown(path, "trained_betas", "not a list of numbers"))?)?;
        let table = if zero_terminal_snr { table.zero_terminal_snr() } else { table };
        return Ok(NamedSchedule { name: "trained_betas of the scheduler".into(), schedule: Arc::new(table) });
    }
    let Some(beta_schedule) = config.get("beta_schedule").and_then(Value::as_str) else {
        let class = config.get("_class_name").and_then(Value::as_str).unwrap_or("a scheduler of no name");
        return Err(unknown(path, "_class_name", class));
    };
    let number = |key: &str, default: f64| config.get(key).and_then(Value::as_f64).unwrap_or(default);
    let betas = format!("beta-start={},beta-end={},", number("beta_start", 0.0001), number("beta_end", 0.02));
    let (name, range) = match beta_schedule {
        "linear" => ("linear", betas),
        "scaled_linear" => ("scaled-linear", betas),
        "sigmoid" => ("sigmoid-beta", betas),
        "squaredcos_cap_v2" => ("cosine", String::new()),
        other => return Err(unknown(path, "beta_schedule", other)),
    };
    let suffix = if zero_terminal_snr { "-zero-terminal-snr" } else { "" };
    let timesteps = config.get("num_train_timesteps").and_then(Value::as_u64).unwrap_or(1000);
    format!("{name}{suffix}:{range}timesteps={timesteps}").parse()
}

fn unknown(path: &Path, key: &str, value: &str) -> Error {
    Error::file(
        path,
        format!("{key} is `{value}`, which is not covered"),
        "Schedulers over β with linear, scaled_linear, sigmoid or squaredcos_cap_v2 are read, with epsilon, \
         v_prediction, sample or flow_prediction. Give the model's own folder with --schedule and --prediction instead.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Declared> {
        read(&serde_json::from_str(text).unwrap(), Path::new("scheduler_config.json"))
    }

    #[test]
    fn the_usual_configs_are_read() {
        let ddpm = read_text(
            r#"{"_class_name": "DDPMScheduler", "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear",
                "clip_sample": true, "num_train_timesteps": 500, "trained_betas": null, "variance_type": "fixed_large"}"#,
        )
        .unwrap();
        let schedule = ddpm.schedule.unwrap().schedule;
        assert_eq!((schedule.timesteps(), ddpm.prediction, ddpm.clip), (500, Some(Prediction::Epsilon), Some(1.0)));
        assert!((schedule.alpha_bar(499.0) / 0.006353 - 1.0).abs() < 0.02);
        let v = read_text(
            r#"{"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": false,
                "prediction_type": "v_prediction", "rescale_betas_zero_snr": true}"#,
        )
        .unwrap();
        assert_eq!((v.prediction, v.clip), (Some(Prediction::V), None));
        assert_eq!(v.schedule.unwrap().schedule.alpha_bar(999.0), 0.0);
        let trained = read_text(r#"{"trained_betas": [0.1, 0.2], "beta_schedule": "linear"}"#).unwrap();
        assert!((trained.schedule.unwrap().schedule.alpha_bar(1.0) - 0.72).abs() < 1e-15);
        let cosine = read_text(r#"{"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 1000}"#).unwrap();
        assert!((cosine.schedule.unwrap().schedule.alpha_bar(500.0) - 0.49228517244880304).abs() < 1e-12);
    }

    #[test]
    fn others_are_named() {
        for (text, named) in [
            (r#"{"_class_name": "ScoreSdeVeScheduler"}"#, "ScoreSdeVeScheduler"),
            (r#"{"beta_schedule": "laplace"}"#, "laplace"),
            (r#"{"beta_schedule": "linear", "prediction_type": "noise"}"#, "noise"),
            (r#"{"beta_schedule": "linear", "num_train_timesteps": 99999999999}"#, "99999999999"),
        ] {
            assert!(read_text(text).unwrap_err().to_string().contains(named), "{text}");
        }
    }
}
