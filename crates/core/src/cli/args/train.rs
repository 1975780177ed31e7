//! Arguments of `lipscope train`.

use super::{Autocast, DataOptions, Decays, Precision, PredictionParser, WRITERS};
use crate::learning_rate::RateSchedule;
use crate::prediction::Prediction;
use crate::schedule::NamedSchedule;
use crate::variants::CATALOGUE;
use crate::weighting::Weighting;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use std::path::PathBuf;

/// The variants, a line each.
fn variants() -> String {
    let lines = CATALOGUE.iter().map(|(name, about)| format!("  {name:<18} {about}"));
    std::iter::once("Variants:".to_string()).chain(lines).collect::<Vec<_>>().join("\n")
}

/// What follows the arguments in the help.
pub fn after_help() -> String {
    let several = "Several processes train one network, with the steps of one, under `torchrun --no-python --nproc-per-node N` and \
                   under `srun`; --batch is that of all together.";
    format!("{}\n\n{several}", variants())
}

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// How the network is trained
    #[arg(
        long,
        value_name = "VARIANT",
        value_parser = PossibleValuesParser::new(CATALOGUE.map(|(name, about)| PossibleValue::new(name).help(about))),
        hide_possible_values = true,
        help_heading = "Model"
    )]
    pub variant: String,
    /// e-tsdm: number of shared sub-intervals [default: 5]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub intervals: Option<usize>,
    /// End of what counts as near 0: of sharing, penalty, remap, and of the first band of losses [default: T/10]
    #[arg(long, value_name = "T", help_heading = "Model")]
    pub until: Option<usize>,
    /// e-tsdm: boundaries instead of equal sub-intervals, such as 0-5-20-50-100
    #[arg(long, value_name = "T-T-…", help_heading = "Model")]
    pub boundaries: Option<String>,
    /// penalty: its weight in the loss [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "W", help_heading = "Model")]
    pub penalty_weight: Option<f64>,
    /// auto, unet:channels=32-64-64,layers=1,attention=16, unet:config=FILE or mlp:width=256,blocks=3
    #[arg(long, value_name = "ARCH", default_value = "auto", help_heading = "Model")]
    pub arch: String,
    /// Start from the weights and architecture of a checkpoint
    #[arg(long, value_name = "CKPT", conflicts_with = "arch", help_heading = "Model")]
    pub from: Option<PathBuf>,
    /// Noise schedule: NAME[:key=value,…] [default: linear, or what --from says]
    #[arg(long, value_name = "SCHEDULE", help_heading = "Model")]
    pub schedule: Option<NamedSchedule>,
    /// What the network predicts [default: epsilon, or what --from says]
    #[arg(long, value_name = "TYPE", value_parser = PredictionParser, help_heading = "Model")]
    pub prediction: Option<Prediction>,
    #[command(flatten)]
    pub data: DataOptions,
    /// Mirror half of the samples left to right
    #[arg(long, help_heading = "Data")]
    pub flip: bool,
    /// Optimiser steps
    #[arg(long, value_name = "N", default_value_t = 10_000, help_heading = "Training")]
    pub steps: u64,
    /// Samples per step
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Training")]
    pub batch: u64,
    /// Cut a step's batch into so many parts, to save memory
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Training")]
    pub accumulate: u64,
    /// Highest learning rate
    #[arg(long, allow_negative_numbers = true, value_name = "RATE", default_value_t = 2e-4, help_heading = "Training")]
    pub lr: f64,
    /// The rate after the warm-up
    #[arg(long, value_name = "SCHEDULE", value_enum, default_value_t, help_heading = "Training")]
    pub lr_schedule: RateSchedule,
    /// Steps over which the rate rises
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "Training")]
    pub warmup: u64,
    /// Decoupled weight decay of AdamW
    #[arg(long, allow_negative_numbers = true, value_name = "W", default_value_t = 0.01, help_heading = "Training")]
    pub weight_decay: f64,
    /// Scale gradients down to this norm, or 0 for never
    #[arg(long, allow_negative_numbers = true, value_name = "NORM", default_value_t = 1.0, help_heading = "Training")]
    pub clip_norm: f64,
    /// Decays of averages of the weights, the first being the checkpoint's default, or none
    #[arg(long, value_name = "DECAY,…", default_value = "0.9999", help_heading = "Training")]
    pub ema: Decays,
    /// constant, min-snr or min-snr:gamma=5
    #[arg(long, value_name = "WEIGHTING", default_value = "constant", help_heading = "Training")]
    pub weighting: Weighting,
    /// Threads that read, decode and mirror samples and draw their noise ahead of the network; results do not depend on it
    /// [default: the cores, up to 8; half of them where the network is on the CPU too]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=256), help_heading = "Training")]
    pub workers: Option<u64>,
    /// Keep images channels last in memory
    #[arg(long, help_heading = "Training")]
    pub channels_last: bool,
    /// dtype of weights and arithmetic, f32 or f64
    #[arg(
        long,
        value_name = "DTYPE",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        help_heading = "Training"
    )]
    pub dtype: Precision,
    /// dtype of products and convolutions [default: that of the weights]
    #[arg(long, value_name = "DTYPE", value_enum, help_heading = "Training")]
    pub autocast: Option<Autocast>,
    /// Folder for checkpoint, state and train.csv [default: lipscope-out/train-<variant>-<data>]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Forms of the checkpoint
    #[arg(
        long,
        value_name = "FORMATS",
        value_parser = PossibleValuesParser::new(WRITERS),
        default_value = "pt",
        value_delimiter = ',',
        help_heading = "Output"
    )]
    pub format: Vec<String>,
    /// Steps between two checkpoints
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Output")]
    pub save_every: u64,
    /// Steps between two rows of train.csv
    #[arg(long, value_name = "N", default_value_t = 50, help_heading = "Output")]
    pub log_every: u64,
    /// Go on from the state in the same --out
    #[arg(long, help_heading = "Output")]
    pub resume: bool,
}

impl TrainArgs {
    /// What the command line takes where nothing but the variant is typed.
    pub fn of(variant: &str) -> Self {
        TrainArgs {
            variant: variant.into(),
            intervals: None,
            until: None,
            boundaries: None,
            penalty_weight: None,
            arch: "auto".into(),
            from: None,
            schedule: None,
            prediction: None,
            data: DataOptions::default(),
            flip: false,
            steps: 10_000,
            batch: 64,
            accumulate: 1,
            lr: 2e-4,
            lr_schedule: RateSchedule::default(),
            warmup: 100,
            weight_decay: 0.01,
            clip_norm: 1.0,
            ema: Decays(vec![0.9999]),
            weighting: Weighting::Constant,
            workers: None,
            channels_last: false,
            dtype: Precision::default(),
            autocast: None,
            out: None,
            format: vec!["pt".into()],
            save_every: 1000,
            log_every: 50,
            resume: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: TrainArgs,
    }

    #[test]
    fn the_variant_alone_means_what_it_means_when_it_is_typed() {
        let typed = Typed::try_parse_from(["lipscope", "--variant", "e-tsdm"]).unwrap().args;
        assert_eq!(format!("{typed:?}"), format!("{:?}", TrainArgs::of("e-tsdm")));
    }
}
