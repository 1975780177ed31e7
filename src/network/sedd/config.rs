//! What a transformer over symbols is built to, as checked values, and from which JSON.

use crate::error::{Error, Result};
use crate::network::keys::{Keys, LARGEST};
use serde_json::Value;
use std::path::Path;

/// Class name of networks that give log-ratios.
pub(super) const SEDD: &str = "SEDD";
/// Class name of networks that give log p(x₀ | x).
pub(super) const MDLM: &str = "MDLM";

/// What the network outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// ln r_a, 0 at the own symbol; less ln(e^σ − 1) + ln(V − 1) first where it was trained so.
    LogRatio { scale_by_sigma: bool },
    /// log p(x₀ = a | x), of which nothing is on the mask.
    LogX0,
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub(super) struct SeddConfig {
    /// [`SEDD`] or [`MDLM`].
    pub class_name: &'static str,
    /// The configuration that all of this was read from.
    pub json: Value,
    /// Symbols V of states, with the mask where there is one.
    pub states: i64,
    /// Channels of a token.
    pub hidden_size: i64,
    /// Channels of the condition c.
    pub cond_dim: i64,
    /// Number of blocks.
    pub blocks: i64,
    /// Attention heads, which divide `hidden_size` into even parts.
    pub heads: i64,
    /// Length of the sequences of training, where it is known.
    pub length: Option<i64>,
    /// What it outputs.
    pub output: Output,
    /// Whether it is told σ; where not, it is told 0.
    pub time_conditioning: bool,
}

impl SeddConfig {
    /// Reads and checks a configuration; `path` is for messages.
    ///
    /// # Errors
    /// For a value of a wrong type, out of range or against another one, and for unknown keys.
    pub fn from_json(json: &Value, path: &Path) -> Result<Self> {
        let is_mdlm = json.get("_class_name").and_then(Value::as_str) == Some(MDLM);
        let class_name = if is_mdlm { MDLM } else { SEDD };
        let mut keys = Keys::new(class_name, json, path)?;
        let positive = 1..=LARGEST;
        let output = match is_mdlm {
            true => Output::LogX0,
            false => Output::LogRatio { scale_by_sigma: keys.value("scale_by_sigma", true)? },
        };
        let config = SeddConfig {
            class_name,
            json: json.clone(),
            states: keys.integer("vocab_size", 50_258, 2..=LARGEST)?,
            hidden_size: keys.integer("hidden_size", 768, positive.clone())?,
            cond_dim: keys.integer("cond_dim", 128, positive.clone())?,
            blocks: keys.integer("n_blocks", 12, 1..=10_000)?,
            heads: keys.integer("n_heads", 12, positive.clone())?,
            length: keys.optional_integer("length", positive)?,
            output,
            time_conditioning: keys.value("time_conditioning", true)?,
        };
        keys.finish()?;
        config.check(path)
    }

    fn check(self, path: &Path) -> Result<Self> {
        // Rotations take channels in pairs.
        if self.hidden_size % (2 * self.heads) != 0 {
            let problem = format!(
                "`n_heads` is {}: heads divide hidden_size = {} into parts of an even number of channels",
                self.heads, self.hidden_size
            );
            return Err(Error::file(path, problem, "Correct the configuration."));
        }
        if self.output == (Output::LogRatio { scale_by_sigma: true }) && !self.time_conditioning {
            let problem = "`time_conditioning` is false where `scale_by_sigma` is true, which divides by e^σ − 1";
            return Err(Error::file(path, problem, "Correct the configuration."));
        }
        Ok(self)
    }

    /// Channels of one head.
    pub fn head_dim(&self) -> i64 {
        self.hidden_size / self.heads
    }
}
