//! `--lora FILE[:SCALE]`.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A low-rank adaptation, `FILE[:SCALE]`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraSpec {
    /// The file.
    pub path: PathBuf,
    /// What it is multiplied by.
    pub scale: f64,
}

impl FromStr for LoraSpec {
    type Err = Error;

    /// What is behind the last colon is a scale, unless there is a file of the whole name.
    fn from_str(text: &str) -> Result<Self> {
        let whole = || LoraSpec { path: text.into(), scale: 1.0 };
        let Some((path, scale)) = text.rsplit_once(':').filter(|_| !Path::new(text).is_file()) else {
            return Ok(whole());
        };
        match scale.parse::<f64>() {
            Ok(scale) if scale.is_finite() && !path.is_empty() => Ok(LoraSpec { path: path.into(), scale }),
            _ => Err(Error::argument(
                "--lora",
                text,
                "it is a file, or a file and a finite number with a colon between",
                "Such as --lora style.safetensors:0.8.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_stands_behind_the_last_colon() {
        let spec = |path: &str, scale| Some(LoraSpec { path: path.into(), scale });
        assert_eq!("a.safetensors".parse::<LoraSpec>().ok(), spec("a.safetensors", 1.0));
        assert_eq!("a:b.pt:-0.5".parse::<LoraSpec>().ok(), spec("a:b.pt", -0.5));
        assert!(["a.pt:", "a.pt:much", ":1", "a.pt:inf"].iter().all(|text| text.parse::<LoraSpec>().is_err()));
    }
}
