//! Which of a module's outputs is the prediction, and of which variables: `--output 0`, `eps`, `v=0`, `x=0:3,v=3:6`.

use crate::error::{Error, Result};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// `--output`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleOutput {
    /// As it was typed.
    text: String,
    /// Which tensor; `None` for the first.
    pub tensor: Option<OutputTensor>,
    /// The variables that it predicts, of a process with several; empty where none is named.
    pub variables: Vec<OutputVariable>,
}

/// One tensor among a module's outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputTensor {
    /// Its place in a tuple or list, from 0.
    Place(usize),
    /// Its key in a dictionary.
    Key(String),
}

/// A variable that is predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputVariable {
    /// Its name, such as v.
    pub name: String,
    /// Its channels; `None` for all of the tensor.
    pub channels: Option<Range<i64>>,
}

impl FromStr for ModuleOutput {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let output = |tensor, variables| Ok(ModuleOutput { text: text.into(), tensor, variables });
        let pairs: Vec<Option<(&str, &str)>> = text.split(',').map(|part| part.split_once('=')).collect();
        match &pairs[..] {
            _ if !text.contains('=') && !text.is_empty() => output(Some(tensor(text)), Vec::new()),
            [Some((name, value))] if !name.is_empty() && !value.is_empty() && !value.contains(':') => {
                output(Some(tensor(value)), vec![OutputVariable { name: name.trim().into(), channels: None }])
            }
            pairs => {
                let variables = pairs.iter().map(|pair| pair.and_then(|(name, value)| variable(name, value)));
                let variables: Option<Vec<OutputVariable>> = variables.collect();
                output(None, variables.ok_or_else(|| refused(text))?)
            }
        }
    }
}

fn tensor(text: &str) -> OutputTensor {
    text.parse().map_or_else(|_| OutputTensor::Key(text.into()), OutputTensor::Place)
}

/// NAME=FROM:TO.
fn variable(name: &str, value: &str) -> Option<OutputVariable> {
    let (from, to) = value.split_once(':')?;
    let channels = from.trim().parse::<i64>().ok()?..to.trim().parse::<i64>().ok()?;
    let valid = !name.trim().is_empty() && channels.start >= 0 && channels.start < channels.end;
    valid.then(|| OutputVariable { name: name.trim().into(), channels: Some(channels) })
}

fn refused(text: &str) -> Error {
    let allowed = "it is a place, a key, VARIABLE=PLACE, or VARIABLE=FROM:TO,… with the channels of each";
    Error::argument("--output", text, allowed, "Such as --output 0, --output v=0, or --output x=0:3,v=3:6.")
}

impl fmt::Display for ModuleOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_keys_and_channels_are_told_apart() {
        let parsed = |text: &str| text.parse::<ModuleOutput>().unwrap();
        let all = |name: &str| vec![OutputVariable { name: name.into(), channels: None }];
        assert_eq!((parsed("1").tensor, parsed("1").variables), (Some(OutputTensor::Place(1)), Vec::new()));
        assert_eq!(parsed("eps").tensor, Some(OutputTensor::Key("eps".into())));
        assert_eq!((parsed("v=0").tensor, parsed("v=0").variables), (Some(OutputTensor::Place(0)), all("v")));
        assert_eq!(parsed("v=eps").tensor, Some(OutputTensor::Key("eps".into())));
        let two = parsed("x=0:3,v=3:6");
        let channels: Vec<_> = two.variables.iter().map(|one| (one.name.as_str(), one.channels.clone())).collect();
        assert_eq!((two.tensor.clone(), channels), (None, vec![("x", Some(0..3)), ("v", Some(3..6))]));
        assert_eq!(two.to_string(), "x=0:3,v=3:6");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "v=", "=0", "v=3:3", "v=3:1", "v=-1:3", "x=0,v=1", "x=0:3,v", "v=a:b"] {
            let error = text.parse::<ModuleOutput>().unwrap_err().to_string();
            assert!(error.contains("--output v=0"), "{text}: {error}");
        }
    }
}
