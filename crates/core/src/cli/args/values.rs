//! Values of arguments that are more than a name or a number: parsed where they are typed, so that whatever can be wrong
//! with them is said before any file is opened.

use crate::error::{Error, Result};
use crate::prediction::Prediction;
use crate::timestep_map::{self, TimestepMap};
use clap::ValueEnum;
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A number, or left to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BatchSize {
    /// As the shape of a sample and the device suggest.
    #[default]
    Auto,
    /// So many samples.
    Fixed(u64),
}

impl FromStr for BatchSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse() {
            Ok(batch) if batch > 0 => Ok(BatchSize::Fixed(batch)),
            _ if text == "auto" => Ok(BatchSize::Auto),
            _ => {
                let next = "Give a whole number such as --batch 64.";
                Err(Error::argument("--batch", text, "it is auto or a whole number above 0", next))
            }
        }
    }
}

/// Parses `--prediction`, and lists its names in help and completions; their parameters are typed after them.
#[derive(Debug, Clone, Copy)]
pub struct PredictionParser;

impl TypedValueParser for PredictionParser {
    type Value = Prediction;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> std::result::Result<Prediction, clap::Error> {
        StringValueParser::new().try_map(|text| text.parse()).parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let known = Prediction::ALL.into_iter();
        Some(Box::new(known.map(|(prediction, about)| PossibleValue::new(prediction.name()).help(about))))
    }
}

/// The class that a conditional network is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The same for all samples.
    Same(i64),
    /// `@`: of each clean sample its own.
    WithData,
}

impl FromStr for Class {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse() {
            Ok(class) => Ok(Class::Same(class)),
            Err(_) if text == "@" => Ok(Class::WithData),
            Err(_) => {
                let next = "Such as --class 3; --class @ takes the class of each sample from the data.";
                Err(Error::argument("--class", text, "it is a whole number or @", next))
            }
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Class::Same(class) => class.fmt(f),
            Class::WithData => f.write_str("@"),
        }
    }
}

/// A timestep map as it is typed; only the number of timesteps is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share(String);

impl Share {
    /// The map on a grid of `timesteps`.
    ///
    /// # Errors
    /// Sharing ends beyond the grid.
    pub fn map(&self, timesteps: usize) -> Result<Arc<dyn TimestepMap>> {
        timestep_map::parse(&self.0, timesteps)
    }
}

impl FromStr for Share {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        timestep_map::parse(text, usize::MAX).map(|_| Share(text.into()))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// dtype of a network's arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32
    #[default]
    F32,
    /// float64
    F64,
    /// bfloat16
    Bf16,
    /// float16
    F16,
}

impl Precision {
    /// Whether it is float32.
    pub fn is_default(&self) -> bool {
        *self == Precision::default()
    }
}

/// dtype of products and convolutions in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Autocast {
    /// float16, which needs a loss scale
    F16,
    /// bfloat16
    Bf16,
}

/// Bound of x̂₀ when samples are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clip {
    /// The model's own, with samplers that are made for it.
    Auto,
    /// No bound.
    None,
    /// ± this.
    At(f64),
}

impl FromStr for Clip {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Clip::Auto),
            "none" => Ok(Clip::None),
            number => {
                let clip = number.parse().ok().filter(|clip: &f64| clip.is_finite() && *clip > 0.0);
                let allowed = "it is auto, none or a number above 0";
                clip.map(Clip::At).ok_or_else(|| Error::argument("--clip", number, allowed, "Such as --clip 1."))
            }
        }
    }
}

impl fmt::Display for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Clip::Auto => f.write_str("auto"),
            Clip::None => f.write_str("none"),
            Clip::At(clip) => clip.fmt(f),
        }
    }
}

/// What a feature network takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum FeaturesInput {
    /// Found out by trying
    #[default]
    Auto,
    /// Integers 0…255
    Uint8,
    /// float32 in [-1, 1]
    Float,
}

/// Ascending, distinct numbers above 0; none of them for `none`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizes(pub Vec<f64>);

impl FromStr for Sizes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Sizes(Vec::new()));
        }
        let numbers: Option<Vec<f64>> = text.split(',').map(|word| word.trim().parse().ok()).collect();
        let mut numbers = numbers.filter(|all| all.iter().all(|n| *n > 0.0 && n.is_finite())).ok_or_else(|| {
            Error::argument("this list", text, "it is a list of numbers above 0, or none", "For example 0.01,0.1.")
        })?;
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        Ok(Sizes(numbers))
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(f64::to_string).collect();
        f.write_str(if words.is_empty() { "none" } else { "" })?;
        f.write_str(&words.join(","))
    }
}

/// Decays of averages of the weights; none of them for `none`.
#[derive(Debug, Clone, PartialEq)]
pub struct Decays(pub Vec<f64>);

impl FromStr for Decays {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Decays(Vec::new()));
        }
        let decay = |part: &str| part.trim().parse().ok().filter(|decay| (0.0..1.0).contains(decay));
        let decays: Option<Vec<f64>> = text.split(',').map(decay).collect();
        let distinct = |decays: &Vec<f64>| decays.iter().enumerate().all(|(i, decay)| !decays[..i].contains(decay));
        decays.filter(distinct).map(Decays).ok_or_else(|| {
            let allowed = "it is none, or different numbers from 0 to below 1 with commas between";
            Error::argument("--ema", text, allowed, "Such as --ema 0.9999,0.999.")
        })
    }
}

/// A member of a family that is implemented elsewhere: its name, and what may follow it behind a colon.
pub type Names = [(&'static str, &'static str)];

/// The samplers and their parameters.
pub const SAMPLERS: &Names = &[
    ("ddpm", "variance=large"),
    ("ddim", "eta=1,epsilon=own"),
    ("dpm-solver-1", ""),
    ("dpm-solver-2", ""),
    ("dpm-solver-3", ""),
    ("dpm-solver++-2m", ""),
    ("heun", ""),
];

/// Where the steps of a sampler lie.
pub const SPACINGS: &Names = &[
    ("uniform", ""),
    ("quadratic", ""),
    ("log-snr", ""),
    ("karras", ""),
    ("lipschitz", "REPORT[#LABEL]"),
    ("times", "T-T-…"),
];

/// Ends the name of a spacing whose timesteps are not rounded.
pub const REAL: &str = "-real";

/// The metrics of sample quality.
pub const METRICS: [&str; 9] =
    ["frechet", "kernel", "sliced-wasserstein", "precision", "recall", "density", "coverage", "mixture-mmd", "all"];

/// The forms of a checkpoint.
pub const WRITERS: [&str; 3] = ["pt", "safetensors", "diffusers"];

/// The names of samplers with the parameters that may follow them, for help and messages.
pub fn listed(names: &Names) -> String {
    let typed = |(name, rest): &(&str, &str)| match *rest {
        "" => name.to_string(),
        rest if rest.contains('=') => format!("{name}[:{rest}]"),
        rest => format!("{name}:{rest}"),
    };
    names.iter().map(typed).collect::<Vec<_>>().join(", ")
}

/// A sampler whose name is known; its parameters are checked where it is built.
pub fn sampler(text: &str) -> Result<String> {
    known("--sampler", text, text, SAMPLERS)
}

/// A spacing whose name is known.
pub fn spacing(text: &str) -> Result<String> {
    let name = text.split(':').next().unwrap_or(text);
    known("--spacing", text, name.strip_suffix(REAL).unwrap_or(name), SPACINGS)
}

/// Several samplers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samplers(pub Vec<String>);

/// Samplers with commas between; a `key=value` without a name before it belongs to the sampler that it follows.
pub fn samplers(text: &str) -> Result<Samplers> {
    let mut names: Vec<String> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let belongs = part.contains('=') && !part.contains(':');
        match names.last_mut().filter(|name| belongs && name.contains(':')) {
            Some(name) => *name = format!("{name},{part}"),
            None => names.push(part.into()),
        }
    }
    names.iter().map(|name| sampler(name)).collect::<Result<_>>().map(Samplers)
}

fn known(flag: &str, text: &str, name: &str, names: &Names) -> Result<String> {
    let name = name.split(':').next().unwrap_or(name);
    if names.iter().any(|(known, _)| *known == name) {
        return Ok(text.into());
    }
    let next = "Choose one of them, with what belongs to it behind a colon.";
    Err(Error::argument(flag, text, format!("it is one of {}", listed(names)), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stay_with_their_sampler() {
        assert_eq!(samplers("ddim, dpm-solver-3").unwrap().0, ["ddim", "dpm-solver-3"]);
        assert_eq!(samplers("ddim:eta=0.5,heun").unwrap().0, ["ddim:eta=0.5", "heun"]);
        assert_eq!(samplers("ddpm:x=1,y=2,ddim:z=3").unwrap().0, ["ddpm:x=1,y=2", "ddim:z=3"]);
        assert!(samplers("ddim,euler").unwrap_err().to_string().contains("dpm-solver-3"));
    }

    #[test]
    fn spacings_are_known_by_their_names() {
        for text in ["uniform", "log-snr-real", "times:5-1", "lipschitz:a/b.json#x"] {
            assert_eq!(spacing(text).unwrap(), text);
        }
        assert!(spacing("times-real-real").is_err() && spacing("cosine").is_err());
    }

    #[test]
    fn values_are_checked_as_they_are_typed() {
        assert_eq!("64".parse::<BatchSize>().unwrap(), BatchSize::Fixed(64));
        assert_eq!("auto".parse::<BatchSize>().unwrap(), BatchSize::Auto);
        assert!(["0", "-1", "many", ""].iter().all(|text| text.parse::<BatchSize>().is_err()));
        assert_eq!("n=5,until=100".parse::<Share>().unwrap().map(1000).unwrap().boundaries().len(), 6);
        assert!("n=5,until=100".parse::<Share>().unwrap().map(50).is_err() && "m=3".parse::<Share>().is_err());
        assert_eq!("0.5".parse::<Clip>().unwrap(), Clip::At(0.5));
        assert!(["0", "-1", "NaN", "x"].iter().all(|text| text.parse::<Clip>().is_err()));
        assert_eq!("0.1,0.01,0.1".parse::<Sizes>().unwrap(), Sizes(vec![0.01, 0.1]));
        assert!(["", "0", "a", "1,-1"].iter().all(|text| text.parse::<Sizes>().is_err()));
        assert_eq!("none".parse::<Decays>().unwrap(), Decays(Vec::new()));
        assert!(["0.9,0.9", "1", "x"].iter().all(|text| text.parse::<Decays>().is_err()));
    }
}
