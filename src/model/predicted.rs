//! What a network outputs, in terms of its forward process.

use super::resolve::origin;
use crate::checkpoint::Declared;
use crate::error::{Error, Result};
use crate::jumps::Output;
use crate::of::Of;
use crate::prediction::Prediction;
use crate::process::ProcessSpec;
use crate::report::Origin;
use lipscope_core::cli::args::ModuleOutput;
use lipscope_core::options::Overrides;
use std::fmt;

/// What a network outputs, in terms of its forward process.
#[derive(Clone, Copy)]
pub(super) enum Predicted {
    /// Under Gaussian noise.
    Noise(Prediction),
    /// Under a jump process.
    Jumps(Output),
    /// What is measured as it is.
    Itself,
}

impl Predicted {
    /// Whether the network sees another x at another t.
    pub fn scales_input(self) -> bool {
        matches!(self, Predicted::Noise(prediction) if prediction.scales_input())
    }
}

impl fmt::Display for Predicted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Predicted::Noise(prediction) => prediction.fmt(f),
            Predicted::Jumps(output) => f.write_str(output.name()),
            Predicted::Itself => Of::Output.fmt(f),
        }
    }
}

/// Variables can be named where there are several.
pub(super) fn refuse_variables(spec: &ProcessSpec, output: Option<&ModuleOutput>) -> Result<()> {
    match output {
        Some(output) if !output.variables.is_empty() && !matches!(spec, ProcessSpec::LinearGaussian(_)) => {
            let allowed = format!("under {spec} the prediction has no variables to choose from");
            Err(Error::argument(
                "--output",
                output,
                allowed,
                "Give a place or a key; or name the process, --schedule cld.",
            ))
        }
        _ => Ok(()),
    }
}

/// What a network predicts, and who says so.
pub(super) fn predicted(
    spec: &ProcessSpec,
    overrides: &Overrides,
    declared: &Declared,
    assumed: &mut dyn FnMut(&str, &str),
) -> Result<(Predicted, Origin)> {
    let origin = origin(overrides.prediction.is_some(), "--prediction", &declared.said_in.prediction);
    let asked = overrides.prediction.or(declared.prediction);
    match (spec, overrides.prediction) {
        (ProcessSpec::Unnoised(_), Some(prediction)) => {
            let allowed = format!("under {spec} the network's output is measured as it is");
            Err(Error::argument("--prediction", prediction, allowed, "Leave out --prediction."))
        }
        (ProcessSpec::Unnoised(_), None) => Ok((Predicted::Itself, Origin::Flag("--schedule".into()))),
        (ProcessSpec::Jump(jump), _) => Ok((Predicted::Jumps(Output::new(asked, jump)?), origin)),
        (ProcessSpec::LinearGaussian(_), _) => {
            if let Some(other) = asked.filter(|named| !matches!(named, Prediction::Epsilon | Prediction::Mixed)) {
                let allowed = format!("under {spec} it is epsilon or mixed");
                return Err(Error::argument("--prediction", other, allowed, "Give --prediction epsilon or mixed."));
            }
            if asked.is_none() {
                assumed("epsilon prediction", "--prediction");
            }
            Ok((Predicted::Noise(asked.unwrap_or_default()), origin))
        }
        (ProcessSpec::Gaussian(_), _) => {
            let prediction = asked.unwrap_or_else(|| {
                assumed("epsilon prediction", "--prediction");
                Prediction::Epsilon
            });
            Ok((Predicted::Noise(prediction), origin))
        }
    }
}
