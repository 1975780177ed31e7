//! What was typed, checked as far as that needs no model.

use crate::error::{Error, Result};
use crate::model::Model;
use crate::quality::features::{Input, Preprocessing};
use crate::quality::{self, MEMBERS, Member};
use crate::run::sampling;
use crate::sampler;
use lipscope_core::cli::args::{Clip, EvaluateArgs, FeaturesInput};

/// What is sampled and measured.
pub(super) struct Wanted {
    /// As `--sampler` takes them.
    pub samplers: Vec<String>,
    /// As `--spacing` takes them.
    pub spacings: Vec<String>,
    /// Network evaluations per sample.
    pub nfe: Vec<usize>,
    /// `--clip`.
    pub clip: Clip,
    /// Samples per cell.
    pub samples: u64,
    /// Repetitions.
    pub seeds: u64,
    /// The metrics.
    pub metrics: Vec<&'static Member>,
    /// Whether metrics that the data does not allow are left out rather than refused.
    pub all_metrics: bool,
    /// How a feature network is called.
    pub preprocessing: Preprocessing,
}

impl Wanted {
    /// Parses everything, so that a typing error shows before anything is loaded.
    pub fn parse(args: &EvaluateArgs) -> Result<Self> {
        at_least_one("--samples", args.samples)?;
        at_least_one("--seeds", args.seeds)?;
        for nfe in &args.nfe {
            at_least_one("--nfe", *nfe as u64)?;
        }
        let all_metrics = args.metrics.iter().any(|name| name == "all");
        let metrics: Vec<&Member> = if all_metrics {
            MEMBERS.iter().collect()
        } else {
            distinct(args.metrics.clone()).iter().map(|name| quality::find(name)).collect::<Result<_>>()?
        };
        let wanted = Wanted {
            samplers: distinct(args.sampler.0.clone()),
            spacings: distinct(args.spacing.clone()),
            nfe: distinct(args.nfe.clone()),
            clip: args.clip,
            samples: args.samples,
            seeds: args.seeds,
            metrics,
            all_metrics,
            preprocessing: preprocessing(args)?,
        };
        for name in &wanted.samplers {
            sampler::parse(name)?;
        }
        wanted.spacings.iter().try_for_each(|name| sampler::spacing::parse(name).map(|_| ()))?;
        Ok(wanted)
    }

    /// Refuses a budget that a model's schedule does not allow, before anything is measured.
    pub fn fits(&self, model: &Model) -> Result<()> {
        for sampler in &self.samplers {
            for spacing in &self.spacings {
                for nfe in &self.nfe {
                    sampling::sampling((sampler, spacing, *nfe, self.clip), model)?;
                }
            }
        }
        Ok(())
    }
}

fn preprocessing(args: &EvaluateArgs) -> Result<Preprocessing> {
    let input = match args.features_input {
        FeaturesInput::Auto => None,
        FeaturesInput::Uint8 => Some(Input::Bytes),
        FeaturesInput::Float => Some(Input::Floats),
    };
    if let Some(size) = args.features_resize.filter(|size| !(1..=4096).contains(size)) {
        return Err(Error::argument("--features-resize", size, "it is from 1 to 4096", "Such as 299."));
    }
    Ok(Preprocessing { input, resize: args.features_resize })
}

fn at_least_one(name: &str, value: u64) -> Result<()> {
    match value {
        0 => Err(Error::argument(name, value, "it is a whole number above 0", "Give a larger one.")),
        _ => Ok(()),
    }
}

/// Each once, in their order.
fn distinct<T: PartialEq>(values: Vec<T>) -> Vec<T> {
    let mut kept = Vec::with_capacity(values.len());
    for value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_once() {
        assert_eq!(distinct(vec![10, 20, 10]), [10, 20]);
    }
}
