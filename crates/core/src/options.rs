//! What users choose: the same types serve the command line, where their docs are the help, and programs.

use crate::cli::args::{BatchSize, Class, DataLimits, LoraSpec, Precision, PredictionParser, Scales, Share};
use crate::data::{DataSpec, ScaleOverride};
use crate::of::Of;
use crate::prediction::Prediction;
use crate::quantity::{Norm, Quantities};
use crate::schedule::NamedSchedule;
use crate::time::{Axis, Conditioning};
use crate::timesteps::TimestepSpec;
use clap::Args;
use std::path::PathBuf;

/// Clean samples.
#[derive(Debug, Clone, Default, Args)]
pub struct DataOptions {
    /// Clean samples: digits, moons, swiss-roll, checkerboard, eight-gaussians, mnist:DIR, cifar10:DIR, images:DIR, a file (.npy .npz .safetensors .pt), gaussian:…,
    /// mixture:FILE, or model (samples of the checkpoint itself)
    #[arg(long = "data", value_name = "SRC", help_heading = "Data")]
    pub source: Option<DataSpec>,
    /// Stored range that becomes [-1, 1], such as 0..255, or none
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, help_heading = "Data")]
    pub scale: Option<ScaleOverride>,
    /// TorchScript module that turns images into the latents that the model sees
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub encoder: Option<PathBuf>,
    /// The data are latents, of the encoder or as stored, and are multiplied by this
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, help_heading = "Data")]
    pub latent_scale: Option<f64>,
    /// Use so many samples of the data at most, evenly spaced [default: all; 4096 of images:DIR]; theory takes several, such
    /// as 50,200,all, and draws a curve for each
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub data_limit: Option<DataLimits>,
    /// Shape of one sample where the checkpoint does not say, such as 3,32,32
    #[arg(long, value_name = "C,H,W", value_delimiter = ',', help_heading = "Data")]
    pub shape: Option<Vec<i64>>,
}

/// What is measured, and on what. [`MeasureOptions::default`] is what the command line takes where nothing is said.
#[derive(Debug, Clone, Args)]
pub struct MeasureOptions {
    /// The clean samples.
    #[command(flatten)]
    pub data: DataOptions,
    /// auto, all, 0..100, 0..1000/10, log:60 or 0,1,2,5
    #[arg(long, value_name = "SPEC", default_value = "auto", help_heading = "Measurement")]
    pub timesteps: TimestepSpec,
    /// auto: add timesteps until straight lines between them are this close to the curve, relatively
    #[arg(long, allow_negative_numbers = true, value_name = "E", default_value_t = 0.05, help_heading = "Measurement")]
    pub tolerance: f64,
    /// What is measured
    #[arg(long, value_name = "QUANTITY", value_enum, default_value_t, help_heading = "Measurement")]
    pub quantity: Quantities,
    /// Of what it is measured
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = "Measurement")]
    pub of: Of,
    /// Distance t′ − t of the secant, in steps
    #[arg(long, value_name = "STEPS", default_value_t = 1.0, help_heading = "Measurement")]
    pub dt: f64,
    /// (x₀, ε) pairs per timestep [default: 64]
    #[arg(long, value_name = "N", conflicts_with = "rel_error", help_heading = "Measurement")]
    pub samples: Option<u64>,
    /// Add samples until the relative standard error is below this at every timestep
    #[arg(long, value_name = "E", help_heading = "Measurement")]
    pub rel_error: Option<f64>,
    /// With --rel-error: the most samples per timestep
    #[arg(long, value_name = "N", default_value_t = 4096, help_heading = "Measurement")]
    pub max_samples: u64,
    /// Samples per network call, or auto
    #[arg(long, value_name = "N", default_value = "auto", help_heading = "Measurement")]
    pub batch: BatchSize,
    /// Time axis of the denominator [default: step; log-snr for the schedules ve and edm]
    #[arg(long, value_name = "AXIS", value_enum, help_heading = "Measurement")]
    pub axis: Option<Axis>,
    /// Norm of the numerator
    #[arg(long, value_name = "NORM", value_enum, default_value_t, help_heading = "Measurement")]
    pub norm: Norm,
}

/// What overrides or completes what a checkpoint says about itself.
#[derive(Debug, Clone, Default, Args)]
pub struct Overrides {
    /// Noise schedule: NAME[:key=value,…]
    #[arg(long, value_name = "SCHEDULE", help_heading = "Model (overrides what the checkpoint says)")]
    pub schedule: Option<NamedSchedule>,
    /// What the network predicts
    #[arg(
        long,
        value_name = "TYPE",
        value_parser = PredictionParser,
        help_heading = "Model (overrides what the checkpoint says)"
    )]
    pub prediction: Option<Prediction>,
    /// Lay a timestep map over the model: n=5,until=100 or boundaries=0-20-50-100
    #[arg(long, value_name = "SHARING", help_heading = "Model (overrides what the checkpoint says)")]
    pub share: Option<Share>,
    /// The number that the network gets for t: step, unit, sigma, log-snr or c-noise, or one times a factor (sigma*1000),
    /// or a number minus it where time runs from noise to data (1-unit)
    #[arg(long, alias = "condition", value_name = "AXIS", help_heading = "Model (overrides what the checkpoint says)")]
    pub time_input: Option<Conditioning>,
    /// Class that a class-conditional network is asked for; @ takes the class of each sample from the data
    #[arg(
        long,
        value_name = "CLASS",
        allow_negative_numbers = true,
        help_heading = "Model (overrides what the checkpoint says)"
    )]
    pub class: Option<Class>,
    /// Embeddings that the network attends to, such as a prompt's: .npy or .safetensors with one array [L, D]
    #[arg(long, value_name = "FILE", help_heading = "Model (overrides what the checkpoint says)")]
    pub context: Option<PathBuf>,
    /// Pooled embeddings of the prompt, for networks that also take these: .npy or .safetensors with one vector
    #[arg(long, value_name = "FILE", help_heading = "Model (overrides what the checkpoint says)")]
    pub pooled: Option<PathBuf>,
    /// Stable Diffusion XL: original height and width, top and left of the crop, target height and width, in pixels
    /// [default: those of the sample, 8 pixels per latent, uncropped]
    #[arg(
        long,
        value_name = "H,W,TOP,LEFT,H,W",
        value_delimiter = ',',
        allow_negative_numbers = true,
        help_heading = "Model (overrides what the checkpoint says)"
    )]
    pub time_ids: Option<Vec<f64>>,
    /// The guidance scale that a distilled network such as FLUX.1-dev is told [default: 3.5]
    #[arg(
        long,
        value_name = "G",
        allow_negative_numbers = true,
        help_heading = "Model (overrides what the checkpoint says)"
    )]
    pub embedded_guidance: Option<f64>,
    /// Channels that the network gets beside x, such as a small picture or a mask: .npy or .safetensors with one array
    /// [C, H, W] for all samples, or [N, C, H, W] with one for each row of the data
    #[arg(long, value_name = "FILE", help_heading = "Model (overrides what the checkpoint says)")]
    pub concat: Option<PathBuf>,
    /// Measure the guided prediction (1 + w) ε(x, t, c) − w ε(x, t, ∅); measure takes several w, such as 0,1,3, and draws a
    /// curve for each
    #[arg(
        long,
        value_name = "W",
        allow_hyphen_values = true,
        help_heading = "Model (overrides what the checkpoint says)"
    )]
    pub guidance: Option<Scales>,
    /// With --guidance or --of guidance: the label that stands for no class [default: the checkpoint's]
    #[arg(long, value_name = "CLASS", help_heading = "Model (overrides what the checkpoint says)")]
    pub null_class: Option<i64>,
    /// With --guidance or --of guidance: the embeddings that stand for no condition
    #[arg(long, value_name = "FILE", help_heading = "Model (overrides what the checkpoint says)")]
    pub null_context: Option<PathBuf>,
    /// With --guidance or --of guidance: the pooled embeddings that stand for no condition
    #[arg(long, value_name = "FILE", help_heading = "Model (overrides what the checkpoint says)")]
    pub null_pooled: Option<PathBuf>,
    /// Inputs of a TorchScript module in their order: x, t, class, context, NAME=FILE or NAME=NUMBER [default: x,t]
    #[arg(long, value_name = "LIST", help_heading = "Model (overrides what the checkpoint says)")]
    pub inputs: Option<String>,
    /// Which of a TorchScript module's outputs is the prediction: its place from 0, or its key [default: the first tensor]
    #[arg(long, value_name = "PLACE|KEY", help_heading = "Model (overrides what the checkpoint says)")]
    pub output: Option<String>,
    /// Which of a checkpoint's sets of weights: ema, raw, or one that inspect lists [default: the checkpoint's]
    #[arg(long, value_name = "NAME", help_heading = "Model (overrides what the checkpoint says)")]
    pub weights: Option<String>,
    /// What the shapes of a state dict do not tell, such as num_heads=4: NAME=VALUE, or a file with a JSON object
    #[arg(long, value_name = "NAME=VALUE|FILE", help_heading = "Model (overrides what the checkpoint says)")]
    pub config: Vec<String>,
    /// Low-rank adaptation (LoRA) that is merged into the weights, with its scale; may be given several times
    #[arg(long, value_name = "FILE[:SCALE]", help_heading = "Model (overrides what the checkpoint says)")]
    pub lora: Vec<LoraSpec>,
    /// dtype of the network
    #[arg(long, value_name = "DTYPE", value_enum, default_value_t, help_heading = "Measurement")]
    pub dtype: Precision,
}

impl Default for MeasureOptions {
    fn default() -> Self {
        MeasureOptions {
            data: DataOptions::default(),
            timesteps: TimestepSpec::default(),
            tolerance: 0.05,
            quantity: Quantities::default(),
            of: Of::default(),
            dt: 1.0,
            samples: None,
            rel_error: None,
            max_samples: 4096,
            batch: BatchSize::default(),
            axis: None,
            norm: Norm::default(),
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
        options: MeasureOptions,
    }

    #[test]
    fn the_default_is_what_is_meant_where_nothing_is_typed() {
        let typed = Typed::try_parse_from(["lipscope"]).unwrap().options;
        assert_eq!(format!("{typed:?}"), format!("{:?}", MeasureOptions::default()));
    }
}
