//! What the names and shapes of a state dict tell about the network that they belong to, and what they do not.
//!
//! Attention heads, for one, leave no trace in any shape: they are asked for by name, with the likely values.

use crate::error::{Error, Result};
use crate::prediction::Prediction;
use crate::process::ProcessSpec;
use crate::time::Conditioning;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// How an architecture is known by its parameters.
#[derive(Debug, Clone, Copy)]
pub struct StateDict {
    /// What people call it, such as `DiT`; for messages.
    pub known_as: &'static str,
    /// Names that every such state dict has, all of them, and no other architecture's has.
    pub anchors: &'static [&'static str],
    /// The configuration that [`super::build`] takes, with its `_class_name`.
    pub config: fn(&Shapes, &Told) -> Result<Value>,
    /// What was assumed where names and shapes leave more than one network open, and how to say otherwise.
    pub note: fn(&Told) -> Option<String>,
    /// How such networks are used, where their trainer leaves less open than schedule and prediction type.
    pub usage: Option<Usage>,
}

/// How the networks of a trainer are used.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Buffers beside the parameters that say something about it.
    pub buffers: &'static [&'static str],
    /// Reads it; `None` where nothing says more than schedule and prediction type do.
    pub read: fn(&Evidence) -> Result<Option<Use>>,
}

/// What says how a network is used.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Names and shapes of its parameters.
    pub shapes: &'a Shapes,
    /// What the user says of it.
    pub told: &'a Told,
    /// The numbers of [`Usage::buffers`], none where one of them is missing.
    pub buffers: &'a [Vec<f64>],
    /// Whether `--prediction` was given: then it need not be asked for.
    pub prediction_said: bool,
}

/// How a network is used.
#[derive(Debug, Clone)]
pub struct Use {
    /// Its forward process.
    pub schedule: ProcessSpec,
    /// What it outputs; `None` where `--prediction` says it.
    pub prediction: Option<Prediction>,
    /// The number that it gets for t.
    pub conditioning: Conditioning,
}

/// Shapes of parameters by name, below the prefix that a file puts before them.
#[derive(Debug, Clone, Default)]
pub struct Shapes {
    shapes: BTreeMap<String, Vec<i64>>,
}

impl FromIterator<(String, Vec<i64>)> for Shapes {
    fn from_iter<I: IntoIterator<Item = (String, Vec<i64>)>>(entries: I) -> Self {
        Shapes { shapes: entries.into_iter().collect() }
    }
}

impl Shapes {
    /// Whether there is a parameter of this name.
    pub fn has(&self, name: &str) -> bool {
        self.shapes.contains_key(name)
    }

    /// Whether the name of some parameter begins so.
    pub fn has_below(&self, prefix: &str) -> bool {
        let first = self.shapes.range(prefix.to_string()..).next();
        first.is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// The shape of a parameter that must be there.
    pub fn get(&self, name: &str) -> Result<&[i64]> {
        self.shapes.get(name).map(Vec::as_slice).ok_or_else(|| {
            Error::mismatch(
                format!("the parameter `{name}` is missing"),
                "The weights look like a part of a model, or like a variant that is not known; export it to TorchScript.",
            )
        })
    }

    /// Refuses a first layer `name` that is no convolution over images, [out, in, k, k].
    pub fn check_images(&self, name: &str) -> Result<()> {
        let first = self.get(name)?;
        if first.len() == 4 {
            return Ok(());
        }
        let over = if first.len() == 3 { "sequences" } else { "something else" };
        let problem =
            format!("its first kernel `{name}` has shape {first:?}: it works over {over}, and not over images");
        Err(Error::mismatch(problem, "Export it to TorchScript."))
    }

    /// One size of a parameter that must be there.
    pub fn size(&self, name: &str, axis: usize) -> Result<i64> {
        let shape = self.get(name)?;
        let problem = || format!("the parameter `{name}` has shape {shape:?}, with no axis {axis}");
        shape.get(axis).copied().ok_or_else(|| unknown_variant(problem()))
    }

    /// How many of `{before}0.`, `{before}1.`, … begin the names of parameters: the length of a list of layers.
    pub fn count(&self, before: &str) -> usize {
        (0..).take_while(|i| self.has_below(&format!("{before}{i}."))).count()
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shapes.keys().map(String::as_str)
    }
}

/// What the user says of a network, by `--config`.
#[derive(Debug, Clone, Default)]
pub struct Told {
    values: Map<String, Value>,
    /// What was asked for so far.
    used: RefCell<BTreeSet<String>>,
}

impl Told {
    /// From a JSON object.
    pub fn new(values: Map<String, Value>) -> Self {
        Told { values, used: RefCell::default() }
    }

    #[cfg(test)]
    pub(super) fn of(values: Value) -> Self {
        Told::new(values.as_object().unwrap().clone())
    }

    /// What was said under this name.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.used.borrow_mut().insert(key.to_string());
        self.values.get(key).filter(|value| !value.is_null())
    }

    /// Takes note that this is a trainer's whole configuration, most of which concerns no network.
    pub fn accept_all(&self) {
        self.used.borrow_mut().extend(self.values.keys().cloned());
    }

    /// Refuses what nobody asked for: it would have no effect.
    pub fn refuse_unused(&self) -> Result<()> {
        let used = self.used.borrow();
        let Some(key) = self.values.keys().find(|key| !used.contains(*key)) else { return Ok(()) };
        let known: Vec<&str> = used.iter().map(String::as_str).collect();
        let known =
            if known.is_empty() { "nothing: this checkpoint is fully described".into() } else { known.join(", ") };
        let allowed = format!("this checkpoint asks for {known}");
        Err(Error::argument("--config", key, allowed, "Leave it out, or correct its name."))
    }

    /// A whole number above 0 that was said, or `None`.
    pub fn integer(&self, key: &str) -> Result<Option<i64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.as_i64().filter(|n| *n > 0);
        number.map(Some).ok_or_else(|| wrong(key, value, "it is a whole number above 0"))
    }

    /// Yes or no, as it was said; `None` if it was not.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| wrong(key, value, "it is true or false"))
    }

    /// A whole number that no shape tells. Asks for it, with the likely values, where it was not said.
    pub fn required(&self, key: &str, what: &str, likely: &[i64]) -> Result<i64> {
        let Some(number) = self.integer(key)? else { return Err(unsaid(key, what, likely)) };
        Ok(number)
    }
}

/// The error for weights of a known architecture that are in no way that is known here.
pub(super) fn unknown_variant(problem: String) -> Error {
    Error::mismatch(problem, "The weights look like those of a variant that is not known; export it to TorchScript.")
}

fn wrong(key: &str, value: &Value, allowed: &str) -> Error {
    Error::argument("--config", format!("{key}={value}"), allowed, "Correct it.")
}

fn unsaid(key: &str, what: &str, likely: &[i64]) -> Error {
    let values: Vec<String> = likely.iter().map(i64::to_string).collect();
    let example = values.first().map_or("1", String::as_str);
    Error::mismatch(
        format!("{what} cannot be inferred from the weight shapes"),
        format!(
            "Say it with --config {key}={example} (likely: {}), or --config FILE with a JSON object.",
            values.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_of_layers_are_counted() {
        let names = ["blocks.0.a", "blocks.1.a", "blocks.10.a", "blocks.3.a", "blocksx.2.a"];
        let shapes: Shapes = names.iter().map(|name| (name.to_string(), vec![2, 3])).collect();
        assert_eq!((shapes.count("blocks."), shapes.count("ups.")), (2, 0));
        assert!(shapes.has_below("blocks.3.") && !shapes.has_below("blocks.2."));
        assert_eq!(shapes.size("blocks.0.a", 1).unwrap(), 3);
        assert!(shapes.size("blocks.0.a", 2).is_err() && shapes.get("blocks.0.b").is_err());
    }

    #[test]
    fn what_nobody_asks_for_is_refused() {
        let told = Told::of(json!({"num_heads": 4, "heads": 4}));
        assert_eq!(told.integer("num_heads").unwrap(), Some(4));
        assert!(told.refuse_unused().unwrap_err().to_string().contains("--config is `heads`"));
        assert_eq!(told.integer("heads").unwrap(), Some(4));
        assert!(told.refuse_unused().is_ok());
    }

    #[test]
    fn what_is_not_said_is_asked_for_by_name() {
        let message =
            Told::of(json!({})).required("num_heads", "the number of heads", &[4, 1]).unwrap_err().to_string();
        assert!(message.contains("--config num_heads=4 (likely: 4, 1)"), "{message}");
        assert_eq!(Told::of(json!({"num_heads": 2})).required("num_heads", "", &[]).unwrap(), 2);
        for value in [json!(0), json!("four"), json!(1.5)] {
            assert!(Told::of(json!({ "num_heads": value })).integer("num_heads").is_err());
        }
        assert_eq!(Told::of(json!({"learn_sigma": true})).flag("learn_sigma").unwrap(), Some(true));
        assert!(Told::of(json!({"learn_sigma": 1})).flag("learn_sigma").is_err());
    }
}
