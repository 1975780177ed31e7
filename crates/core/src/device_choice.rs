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

/// What `--device` was given: one device, or several GPUs between which work is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices(Vec<DeviceChoice>);

impl Devices {
    /// The first of them.
    pub fn first(&self) -> DeviceChoice {
        self.0.first().copied().unwrap_or_default()
    }

    /// All of them, at least one, no two the same.
    pub fn all(&self) -> &[DeviceChoice] {
        &self.0
    }
}

impl FromStr for Devices {
    type Err = Error;

    /// `cuda:0,1` is `cuda:0,cuda:1`.
    fn from_str(text: &str) -> Result<Self> {
        let words = text.split(',').map(|word| match text.contains(',') && device_index(word.trim()).is_some() {
            true => format!("cuda:{}", word.trim()),
            false => word.to_string(),
        });
        let devices = words.map(|word| word.parse()).collect::<Result<Vec<DeviceChoice>>>()?;
        let are_gpus = devices.iter().all(|device| matches!(device, DeviceChoice::Cuda(_)));
        let repeats = devices.iter().enumerate().any(|(i, device)| devices[..i].contains(device));
        if devices.len() > 1 && (!are_gpus || repeats) {
            let allowed = "a list holds CUDA devices, each once";
            return Err(Error::argument("--device", text, allowed, "Such as --device cuda:0,1."));
        }
        Ok(Devices(devices))
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(DeviceChoice::to_string).collect::<Vec<_>>().join(","))
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
    fn several_gpus_are_a_list() {
        let cuda = |all: &[usize]| Devices(all.iter().map(|index| DeviceChoice::Cuda(*index)).collect());
        assert_eq!("cuda:0,1".parse::<Devices>().unwrap(), cuda(&[0, 1]));
        assert_eq!("cuda:3, cuda:1".parse::<Devices>().unwrap(), cuda(&[3, 1]));
        assert_eq!("cuda,2".parse::<Devices>().unwrap().to_string(), "cuda:0,cuda:2");
        assert_eq!("auto".parse::<Devices>().unwrap().all(), [DeviceChoice::Auto]);
        for text in ["cuda:0,cpu", "cuda:0,0", "auto,auto", "cuda:0,", "0", "cuda:0,gpu"] {
            assert!(text.parse::<Devices>().is_err(), "{text}");
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
