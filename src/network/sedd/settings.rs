//! What the trainers' configurations say of a network over symbols:
//!
//! - SEDD's, `config.json` of its folders and `.hydra/config.yaml` of its runs: `tokens`, `graph.type`, `noise`, `model`;
//! - MDLM's runs: `parameterization`, `time_conditioning`, `noise`, `model`; the mask comes behind the tokenizer's symbols;
//! - MDLM's folders on the Hugging Face hub, `"model_type": "mdlm"`: `vocab_size`, `hidden_dim`, …, and nothing on the noise.
//!
//! Where there is none a user says the same by `--config`: `graph=absorb`, `n_heads=12`.

use super::config::{MDLM, SEDD};
use crate::error::{Error, Result};
use crate::prediction::Prediction;
use crate::process::ProcessSpec;
use serde_json::{Map, Value, json};

/// A configuration by its first keys.
pub(crate) type Lookup<'a> = dyn Fn(&str) -> Option<&'a Value> + 'a;

/// The keys of a configuration, of which the others concern no network.
pub(crate) const KEYS: [&str; 15] = [
    "graph",
    "noise",
    "model",
    "tokens",
    "parameterization",
    "time_conditioning",
    "data",
    "model_type",
    "vocab_size",
    "hidden_dim",
    "cond_dim",
    "n_blocks",
    "n_heads",
    "model_length",
    "scale_by_sigma",
];

/// Whether a configuration is one of these trainers.
pub(crate) fn is_training(config: &Value) -> bool {
    let has = |pointer: &str| config.pointer(pointer).is_some();
    is_hub(&|key| config.get(key))
        || has("/graph/type") && has("/noise")
        || has("/model/cond_dim") && (has("/graph") || has("/noise") || has("/parameterization"))
}

fn is_hub(get: &Lookup) -> bool {
    get("model_type").and_then(Value::as_str) == Some("mdlm")
}

/// What the network gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gives {
    /// Log-ratios, of symbols with a mask or without.
    Ratios { absorb: bool, scale_by_sigma: bool },
    /// log p(x₀ | x).
    X0,
}

/// σ over time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Noise {
    /// As `--schedule` takes it behind the symbols.
    Known(String),
    /// By the trainer's name, with no counterpart here.
    Other(String),
    /// Not in the configuration.
    Unsaid,
}

/// What a configuration says.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    gives: Gives,
    /// Symbols of states.
    states: Option<i64>,
    hidden_size: Option<i64>,
    cond_dim: Option<i64>,
    n_blocks: Option<i64>,
    n_heads: Option<i64>,
    length: Option<i64>,
    time_conditioning: bool,
    /// σ over time.
    pub noise: Noise,
}

impl Settings {
    /// Reads a configuration; `None` where it does not say what the network gives.
    ///
    /// # Errors
    /// A value of a wrong type, or one that is not known here; of a whole configuration, one that is missing.
    pub fn read(get: &Lookup) -> Result<Option<Self>> {
        let Some(gives) = gives(get)? else { return Ok(None) };
        // A user who says a few things is asked for others where they are needed.
        let whole = get("model").is_some_and(Value::is_object) || is_hub(get);
        let size = |names: &[&str]| match integer(get, names)? {
            None if whole => Err(missing(names)),
            number => Ok(number),
        };
        let tokens = integer(get, &["tokens"])?;
        let states = match gives {
            Gives::Ratios { absorb, .. } if get("graph").is_some() => tokens.map(|tokens| tokens + i64::from(absorb)),
            _ => integer(get, &["vocab_size"])?,
        };
        let settings = Settings {
            gives,
            states,
            hidden_size: size(&["model.hidden_size", "hidden_dim"])?,
            cond_dim: size(&["model.cond_dim", "cond_dim"])?,
            n_blocks: size(&["model.n_blocks", "n_blocks"])?,
            n_heads: size(&["model.n_heads", "n_heads"])?,
            length: integer(get, &["model.length", "model_length"])?,
            time_conditioning: flag(get, &["time_conditioning"])?.unwrap_or(!is_hub(get)),
            noise: noise(get)?,
        };
        settings.check(get, whole)?;
        Ok(Some(settings))
    }

    fn check(&self, get: &Lookup, whole: bool) -> Result<()> {
        if whole && self.states.is_none() && get("graph").is_some() {
            return Err(missing(&["tokens"]));
        }
        if self.gives == (Gives::Ratios { absorb: false, scale_by_sigma: true }) {
            let problem = "`model.scale_by_sigma` of its configuration is true, which belongs to the absorbing graph";
            return Err(Error::mismatch(problem, "Correct it: uniform graphs are trained without."));
        }
        let tokenizer = find(get, &["data.tokenizer_name_or_path"]).and_then(Value::as_str).unwrap_or("gpt2");
        if tokenizer.rsplit('/').next().is_some_and(|name| name.starts_with("gpt2")) {
            return Ok(());
        }
        let next = "Export a module whose symbols have the mask behind all others, with torch.jit.trace.";
        let problem = format!(
            "the tokenizer `{tokenizer}` may have a mask of its own, and only with gpt2 is it known to be the last symbol"
        );
        Err(Error::mismatch(problem, next))
    }

    /// The configuration of the network, whose table of symbols has `rows` rows and which has `width` channels in
    /// `blocks` blocks with a condition of `cond_dim`, by its weights.
    pub fn architecture(&self, [rows, width, cond_dim, blocks]: [i64; 4], heads: i64) -> Value {
        let mut config = Map::new();
        let class = if self.gives == Gives::X0 { MDLM } else { SEDD };
        config.insert("_class_name".into(), class.into());
        config.insert("vocab_size".into(), self.states.unwrap_or(rows).into());
        config.insert("hidden_size".into(), self.hidden_size.unwrap_or(width).into());
        config.insert("cond_dim".into(), self.cond_dim.unwrap_or(cond_dim).into());
        config.insert("n_blocks".into(), self.n_blocks.unwrap_or(blocks).into());
        config.insert("n_heads".into(), heads.into());
        config.extend(self.length.map(|length| ("length".into(), length.into())));
        if let Gives::Ratios { scale_by_sigma, .. } = self.gives {
            config.insert("scale_by_sigma".into(), scale_by_sigma.into());
        }
        config.insert("time_conditioning".into(), json!(self.time_conditioning));
        config.into()
    }

    /// Attention heads, where they are said.
    pub fn heads(&self) -> Option<i64> {
        self.n_heads
    }

    /// The forward process, of states of `rows` symbols; `None` where its noise is not known.
    pub fn schedule(&self, rows: i64) -> Result<Option<ProcessSpec>> {
        let Noise::Known(noise) = &self.noise else { return Ok(None) };
        let states = self.states.unwrap_or(rows);
        let graph = match self.gives {
            Gives::Ratios { absorb: false, .. } => format!("uniform:symbols={states}"),
            _ => format!("absorb:symbols={}", states - 1),
        };
        format!("{graph},{noise}").parse().map(Some)
    }

    /// What it outputs: `None` for log-ratios.
    pub fn prediction(&self) -> Option<Prediction> {
        (self.gives == Gives::X0).then_some(Prediction::X0)
    }
}

fn gives(get: &Lookup) -> Result<Option<Gives>> {
    let refused = |what: String, allowed: &str| {
        let next = "Export the network with torch.jit.trace and open that file instead.";
        Err(Error::mismatch(format!("{what} is not known here: {allowed}"), next))
    };
    if let Some(graph) = find(get, &["graph.type"]).or_else(|| get("graph")) {
        let absorb = match graph.as_str() {
            Some("absorb") => true,
            Some("uniform") => false,
            _ => return refused(format!("the graph {graph}"), "it is absorb or uniform"),
        };
        let scale_by_sigma = match flag(get, &["model.scale_by_sigma", "scale_by_sigma"])? {
            None if get("model").is_some() => return Err(missing(&["model.scale_by_sigma"])),
            said => said.unwrap_or(absorb),
        };
        return Ok(Some(Gives::Ratios { absorb, scale_by_sigma }));
    }
    match get("parameterization") {
        None if is_hub(get) => Ok(Some(Gives::X0)),
        None if get("model").is_some_and(Value::is_object) => Err(missing(&["graph.type"])),
        None => Ok(None),
        Some(name) => match name.as_str() {
            Some("subs") => Ok(Some(Gives::X0)),
            // There it is scaled whatever `model.scale_by_sigma` says.
            Some("sedd") => Ok(Some(Gives::Ratios { absorb: true, scale_by_sigma: true })),
            _ => refused(format!("the parameterization {name}"), "it is subs or sedd"),
        },
    }
}

fn noise(get: &Lookup) -> Result<Noise> {
    let Some(noise) = find(get, &["noise.type"]).or_else(|| get("noise")) else {
        // All of MDLM's are trained with this one.
        return Ok(if is_hub(get) { Noise::Known("noise=log-linear".into()) } else { Noise::Unsaid });
    };
    let sigma = |name: &str| match find(get, &[name]) {
        None => Err(missing(&[name])),
        Some(value) => value.as_f64().filter(|sigma| sigma.is_finite()).ok_or_else(|| wrong(name, value, "a number")),
    };
    Ok(match noise.as_str() {
        Some("loglinear" | "log-linear") => Noise::Known("noise=log-linear".into()),
        Some("geometric") => {
            let (min, max) = (sigma("noise.sigma_min")?, sigma("noise.sigma_max")?);
            Noise::Known(format!("noise=geometric,min={min},max={max}"))
        }
        _ => Noise::Other(noise.as_str().map_or_else(|| noise.to_string(), str::to_string)),
    })
}

/// The first of `names` that is there; `a.b` is the key `b` of the object `a`.
fn find<'a>(get: &Lookup<'a>, names: &[&str]) -> Option<&'a Value> {
    let one = |name: &str| match name.split_once('.') {
        Some((section, key)) => get(section)?.get(key),
        None => get(name),
    };
    names.iter().find_map(|name| one(name)).filter(|value| !value.is_null())
}

fn integer(get: &Lookup, names: &[&str]) -> Result<Option<i64>> {
    let Some(value) = find(get, names) else { return Ok(None) };
    let number = value.as_i64().filter(|number| (1..1 << 24).contains(number));
    number.map(Some).ok_or_else(|| wrong(names[0], value, "a whole number from 1 to 16777215"))
}

fn flag(get: &Lookup, names: &[&str]) -> Result<Option<bool>> {
    let Some(value) = find(get, names) else { return Ok(None) };
    value.as_bool().map(Some).ok_or_else(|| wrong(names[0], value, "true or false"))
}

fn missing(names: &[&str]) -> Error {
    let problem = format!("`{}` is missing from its configuration", names[0]);
    Error::mismatch(problem, "Give the configuration that the network was trained with, whole.")
}

fn wrong(name: &str, value: &Value, allowed: &str) -> Error {
    Error::mismatch(format!("`{name}` of its configuration is {value}: it is {allowed}"), "Correct the configuration.")
}
