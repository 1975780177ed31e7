//! diffusers' `scheduler_config.json`: schedule, T, prediction type and clipping, in our names (reference: diffusers 0.42.1).
//!
//! Keys are on a list, as those of networks are: what changes x_t, or the number that the network gets for t, is read or
//! refused by name. What only concerns how a sampler walks from T to 0 is left out, and listed as such.

#[cfg(test)]
mod every_scheduler;
mod keys;

use super::{Declared, Overridden};
use crate::error::{Error, Result};
use crate::prediction::Prediction;
use crate::schedule::{NamedSchedule, Table};
use crate::time::Conditioning;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// What the scheduler says about the network. What the command line says anyway (`said`) cannot be the reason of a refusal.
pub(super) fn read(config: &Value, path: &Path, said: Overridden) -> Result<Declared> {
    let scheduler = Scheduler { config, path };
    let anyway = said.schedule && said.prediction;
    let ignored = match scheduler.check_keys() {
        Err(error) if !anyway => return Err(error),
        Err(_) if !config.is_object() => return Ok(Declared::default()),
        ignored => ignored.unwrap_or_default(),
    };
    let schedule = scheduler.schedule();
    let prediction = scheduler.prediction();
    Ok(Declared {
        schedule: if said.schedule { schedule.ok() } else { Some(schedule?) }.map(Into::into),
        prediction: if said.prediction { prediction.ok() } else { Some(prediction?) },
        // Where the command line names another schedule, the number for t is that of a plain network, or is named too.
        conditioning: scheduler.conditioning().filter(|_| !said.schedule),
        clip: scheduler.clip(),
        thresholds: scheduler.flag("thresholding", false),
        ignored,
        ..Declared::default()
    }
    .said_in("scheduler_config.json"))
}

/// A configuration and where it lies.
struct Scheduler<'a> {
    config: &'a Value,
    path: &'a Path,
}

impl Scheduler<'_> {
    fn text<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.config.get(key).and_then(Value::as_str).unwrap_or(default)
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.config.get(key).and_then(Value::as_bool).unwrap_or(default)
    }

    fn class(&self) -> &str {
        self.text("_class_name", "DDPMScheduler")
    }

    /// T, as diffusers has it by default.
    fn timesteps(&self) -> u64 {
        self.config.get("num_train_timesteps").and_then(Value::as_u64).unwrap_or(1000)
    }

    /// Whether α = 1 − σ, and the network gets σ T: the flow-matching schedulers, and others with `use_flow_sigmas`.
    fn is_flow(&self) -> bool {
        self.class().starts_with("FlowMatch") || self.flag("use_flow_sigmas", false)
    }

    /// By what the flow-matching schedulers shift all their steps towards noise, training's as well. Where the shift depends on
    /// the image (`use_dynamic_shifting`), and in other schedulers (`flow_shift`), only sampling is shifted.
    fn shift(&self) -> f64 {
        let everywhere = self.class().starts_with("FlowMatch") && !self.flag("use_dynamic_shifting", false);
        let shift = self.config.get("shift").and_then(Value::as_f64);
        shift.filter(|_| everywhere).unwrap_or(1.0)
    }

    fn check_keys(&self) -> Result<Vec<String>> {
        let Some(object) = self.config.as_object() else {
            return Err(Error::file(self.path, "this is no JSON object", "Give --schedule and --prediction."));
        };
        if let Some(other) = self.config.get("timestep_type").filter(|value| *value != "discrete" && !value.is_null()) {
            let allowed =
                "the network would get ln(σ)/4 and not the step, and such models are not read from a scheduler";
            return Err(self.refuse("timestep_type", other, allowed));
        }
        if self.flag("invert_sigmas", false) {
            let allowed = "the network would get 1 − σ, and such models are not read from a scheduler";
            return Err(self.refuse("invert_sigmas", &Value::Bool(true), allowed));
        }
        let mut ignored = Vec::new();
        for (key, value) in object.iter().filter(|(key, _)| !key.starts_with('_')) {
            let read = key == "shift" && self.shift() != 1.0;
            if keys::SAMPLING.contains(&key.as_str()) && !read {
                ignored.push(key.clone());
            } else if !read && !keys::READ.contains(&key.as_str()) {
                let allowed = "this is no key of a scheduler that this version knows, and it may change x_t or the number \
                               that the network gets for t";
                return Err(self.refuse(key, value, allowed));
            }
        }
        Ok(ignored)
    }

    fn prediction(&self) -> Result<Prediction> {
        let default = if self.class().starts_with("FlowMatch") { "flow_prediction" } else { "epsilon" };
        match self.text("prediction_type", default) {
            "epsilon" => Ok(Prediction::Epsilon),
            "v_prediction" => Ok(Prediction::V),
            "sample" => Ok(Prediction::X0),
            "flow_prediction" => Ok(Prediction::Flow),
            other => Err(self.unknown("prediction_type", other)),
        }
    }

    fn conditioning(&self) -> Option<Conditioning> {
        let factor = self.timesteps() as f64;
        self.is_flow().then_some(Conditioning::scaled(crate::time::Axis::Sigma, factor))
    }

    fn clip(&self) -> Option<f64> {
        let range = self.config.get("clip_sample_range").and_then(Value::as_f64).unwrap_or(1.0);
        // Absent means DDPM's own default; schedulers without clipping write it as false or do not know it.
        let known = self.text("_class_name", "").starts_with("DD");
        self.flag("clip_sample", known).then_some(range)
    }

    fn schedule(&self) -> Result<NamedSchedule> {
        let timesteps = self.timesteps();
        if self.is_flow() {
            let shift = match self.shift() {
                1.0 => String::new(),
                shift => format!("shift={shift},"),
            };
            return format!("flow:{shift}timesteps={timesteps}").parse();
        }
        if self.text("prediction_type", "") == "flow_prediction" {
            let problem =
                "prediction_type is flow_prediction without use_flow_sigmas, which leaves open what α and σ are";
            return Err(Error::file(self.path, problem, NEXT));
        }
        let zero_terminal_snr = self.flag("rescale_betas_zero_snr", false);
        if let Some(betas) = self.config.get("trained_betas").and_then(Value::as_array) {
            let betas: Option<Vec<f64>> = betas.iter().map(Value::as_f64).collect();
            let betas = betas.ok_or_else(|| self.unknown("trained_betas", "not a list of numbers"))?;
            let table = Table::from_betas(&betas)?;
            let table = if zero_terminal_snr { table.zero_terminal_snr() } else { table };
            return Ok(NamedSchedule { name: "trained_betas of the scheduler".into(), schedule: Arc::new(table) });
        }
        let defaults = keys::OVER_BETA.iter().find(|defaults| defaults.class == self.class());
        let Some(beta_schedule) =
            self.config.get("beta_schedule").and_then(Value::as_str).or(defaults.map(|defaults| defaults.schedule))
        else {
            return Err(self.unknown("_class_name", self.class()));
        };
        let number = |key: &str, default: f64| self.config.get(key).and_then(Value::as_f64).unwrap_or(default);
        let [start, end] = defaults.map_or([0.0001, 0.02], |defaults| defaults.range);
        let betas = format!("beta-start={},beta-end={},", number("beta_start", start), number("beta_end", end));
        let (name, range) = match beta_schedule {
            "linear" => ("linear", betas),
            "scaled_linear" => ("scaled-linear", betas),
            "sigmoid" => ("sigmoid-beta", betas),
            "squaredcos_cap_v2" => ("cosine", String::new()),
            other => return Err(self.unknown("beta_schedule", other)),
        };
        let suffix = if zero_terminal_snr { "-zero-terminal-snr" } else { "" };
        format!("{name}{suffix}:{range}timesteps={timesteps}").parse()
    }

    fn refuse(&self, key: &str, value: &Value, allowed: &str) -> Error {
        let seen: String = value.to_string().chars().take(60).collect();
        Error::unsupported(format!("`{key}` = {seen} in {}", self.path.display()), allowed, NEXT)
    }

    fn unknown(&self, key: &str, value: &str) -> Error {
        let problem = format!(
            "{key} is `{value}`, which is not covered: read are flow matching, and schedulers over β with linear, \
             scaled_linear, sigmoid or squaredcos_cap_v2, with epsilon, v_prediction, sample or flow_prediction"
        );
        Error::file(self.path, problem, NEXT)
    }
}

/// What gets past any scheduler.
const NEXT: &str = "Say --schedule and --prediction, and --time-input where the network gets another number than the step; \
                    they override the file.";

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Declared> {
        read_but(text, Overridden::default())
    }

    fn read_but(text: &str, said: Overridden) -> Result<Declared> {
        let config = lipscope_core::python_json::parse(text.as_bytes()).unwrap();
        read(&config, Path::new("scheduler_config.json"), said)
    }

    #[test]
    fn the_usual_configs_are_read() {
        let ddpm = read_text(
            r#"{"_class_name": "DDPMScheduler", "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear",
                "clip_sample": true, "num_train_timesteps": 500, "trained_betas": null, "variance_type": "fixed_large"}"#,
        )
        .unwrap();
        let schedule = ddpm.schedule.unwrap().gaussian("a test").unwrap().schedule.clone();
        assert_eq!((schedule.timesteps(), ddpm.prediction, ddpm.clip), (500, Some(Prediction::Epsilon), Some(1.0)));
        assert!((schedule.alpha_bar(499.0) / 0.006353 - 1.0).abs() < 0.02);
        let v = read_text(
            r#"{"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": false,
                "prediction_type": "v_prediction", "rescale_betas_zero_snr": true}"#,
        )
        .unwrap();
        assert_eq!((v.prediction, v.clip), (Some(Prediction::V), None));
        assert_eq!(v.schedule.unwrap().gaussian("a test").unwrap().schedule.alpha_bar(999.0), 0.0);
        let trained = read_text(r#"{"trained_betas": [0.1, 0.2], "beta_schedule": "linear"}"#).unwrap();
        assert!((trained.schedule.unwrap().gaussian("a test").unwrap().schedule.alpha_bar(1.0) - 0.72).abs() < 1e-15);
        let cosine = read_text(r#"{"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 1000}"#).unwrap();
        assert!(
            (cosine.schedule.unwrap().gaussian("a test").unwrap().schedule.alpha_bar(500.0) - 0.49228517244880304)
                .abs()
                < 1e-12
        );
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

    /// FLUX.1-dev's, Sana's and sd_turbo's, without what does not matter here.
    #[test]
    fn flow_matching_is_read_with_the_number_that_the_network_gets() {
        for text in [
            r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 500, "shift": 3.0,
                "use_dynamic_shifting": true}"#,
            r#"{"_class_name": "DPMSolverMultistepScheduler", "beta_schedule": "linear", "num_train_timesteps": 500,
                "prediction_type": "flow_prediction", "use_flow_sigmas": true, "flow_shift": 3.0,
                "lambda_min_clipped": -Infinity}"#,
        ] {
            let read = read_text(text).unwrap();
            let schedule = read.schedule.unwrap().gaussian("a test").unwrap().schedule.clone();
            assert_eq!((schedule.timesteps(), read.prediction), (500, Some(Prediction::Flow)));
            // x_t = (1 − σ) x₀ + σ ε at t = 500 σ.
            let t = 124.0;
            assert_eq!([schedule.alpha(t), schedule.sigma(t)], [0.75, 0.25]);
            assert_eq!(read.conditioning.unwrap().coordinate(&*schedule, t), 125.0);
            assert!(read.ignored.iter().any(|key| key.ends_with("shift")), "{:?}", read.ignored);
        }
    }

    /// Stable Diffusion 3's, whose grid is the one of diffusers' `FlowMatchEulerDiscreteScheduler(shift=3.0).sigmas`, the other
    /// way round.
    #[test]
    fn the_shift_of_all_steps_is_a_part_of_the_schedule() {
        let read = read_text(r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}"#).unwrap();
        let spec = read.schedule.unwrap();
        let named = spec.gaussian("a test").unwrap();
        assert_eq!((named.name.as_str(), read.ignored.len()), ("flow:shift=3,timesteps=1000", 0));
        // sigmas[750] = 3·0.25/(1 + 2·0.25), timesteps[750] = 1000 times that.
        assert!((named.schedule.sigma(249.0) - 0.5).abs() < 1e-15);
        assert_eq!(read.conditioning.unwrap().coordinate(&*named.schedule, 249.0), 500.0);
        let plain = read_text(r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 1.0}"#).unwrap();
        assert_eq!(plain.schedule.unwrap().name(), "flow:timesteps=1000");
    }

    #[test]
    fn keys_are_read_left_out_or_refused() {
        let sampling = r#"{"_class_name": "DPMSolverMultistepScheduler", "beta_schedule": "linear", "thresholding": true,
            "use_karras_sigmas": true, "use_exponential_sigmas": false, "use_beta_sigmas": false,
            "final_sigmas_type": "zero", "timestep_spacing": "trailing", "steps_offset": 1, "timestep_type": "discrete"}"#;
        let read = read_text(sampling).unwrap();
        assert!(read.thresholds);
        let ignored = read.ignored;
        assert_eq!(ignored.len(), 7, "{ignored:?}");
        for (text, named) in [
            (r#"{"beta_schedule": "linear", "timestep_type": "continuous"}"#, "timestep_type"),
            (r#"{"beta_schedule": "scaled_linear", "snr_shift_scale": 3.0}"#, "snr_shift_scale"),
            (r#"{"beta_schedule": "linear", "prediction_type": "flow_prediction"}"#, "use_flow_sigmas"),
            (r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "invert_sigmas": true}"#, "invert_sigmas"),
            ("[]", "no JSON object"),
        ] {
            let message = read_text(text).unwrap_err().to_string();
            assert!(message.contains(named) && message.contains("--schedule"), "{message}");
            // The next step that is named works.
            let both = Overridden { schedule: true, prediction: true, ..Overridden::default() };
            assert!(read_but(text, both).is_ok(), "{text}");
        }
        let schedule = Overridden { schedule: true, prediction: false, ..Overridden::default() };
        let read = read_but(r#"{"_class_name": "EDMEulerScheduler", "prediction_type": "sample"}"#, schedule).unwrap();
        assert_eq!(read.prediction, Some(Prediction::X0));
    }

    #[test]
    fn what_a_class_leaves_out_is_its_own_default() {
        let heun = read_text(r#"{"_class_name": "HeunDiscreteScheduler"}"#).unwrap().schedule.unwrap();
        let heun = heun.gaussian("a test").unwrap().schedule.clone();
        let expected = crate::schedule::parse("linear:beta-start=0.00085,beta-end=0.012").unwrap();
        assert_eq!(heun.alpha_bar(999.0), expected.alpha_bar(999.0));
        assert!(read_text(r#"{"_class_name": "DDPMScheduler"}"#).is_ok());
    }
}
