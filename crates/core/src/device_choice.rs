//! Which device is meant, as `--device` takes it; whether it is there is for libtorch to say.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// What `--device` was given, before anyone looked at the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first CUDA device if there is one that works, else the CPU. Never MPS, which has no float64: the closed
    /// forms are measured in float64.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this index.
    Cuda(usize),
    /// The GPU of an Apple machine.
    Mps,
}

const ALLOWED: &str = "it must be auto, cpu, cuda, cuda:N or mps";

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let next = "Use --device auto to have the best device chosen.";
        match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            "mps" => Ok(DeviceChoice::Mps),
            "cuda" => Ok(DeviceChoice::Cuda(0)),
            other => match other.strip_prefix("cuda:").and_then(device_index) {
                Some(index) => Ok(DeviceChoice::Cuda(index)),
                None => Err(Error::argument("--device", text, ALLOWED, next)),
            },
        }
    }
}

/// Digits only: `usize::from_str` would take `+1` as well. libtorch keeps device indices in eight bits.
fn device_index(digits: &str) -> Option<usize> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok().filter(|&index: &usize| index < 128) } else { None }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => write!(f, "auto"),
            DeviceChoice::Cpu => write!(f, "cpu"),
            DeviceChoice::Cuda(index) => write!(f, "cuda:{index}"),
            DeviceChoice::Mps => write!(f, "mps"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_read_as_typed() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("CPU", DeviceChoice::Cpu),
            ("cuda", DeviceChoice::Cuda(0)),
            ("cuda:0", DeviceChoice::Cuda(0)),
            ("cuda:11", DeviceChoice::Cuda(11)),
            ("mps", DeviceChoice::Mps),
        ] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap(), choice, "{text}");
            assert_eq!(choice.to_string().parse::<DeviceChoice>().unwrap(), choice, "{text}");
        }
    }

    #[test]
    fn other_words_are_refused_with_what_is_allowed() {
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:+1", "cuda:1.5", "cuda: 1", "cuda:128", "cpu:0", "cuda0"] {
            let error = text.parse::<DeviceChoice>().expect_err(text).to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("cuda:N"), "{error}");
        }
    }
}
