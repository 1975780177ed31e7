//! What users choose: the same types serve the command line, where their docs are the help, and programs.

use crate::attribution::Attribute;
use crate::cli::args::{
    Average, BatchSize, Class, ConditionSource, DataLimits, Inputs, LoraSpec, ModuleInput, ModuleOutput, NullInput,
    Precision, PredictionParser, Scales, Share,
};
use crate::clock::Moves;
use crate::data::{ByteSize, DataSpec, ScaleOverride};
use crate::error::Result;
use crate::of::Of;
use crate::prediction::Prediction;
use crate::process::ProcessSpec;
use crate::quantity::{Norm, Quantities};
use crate::time::{Axis, Conditioning};
use crate::timesteps::TimestepSpec;
use clap::Args;
use std::path::PathBuf;

/// Clean samples.
#[derive(Debug, Clone, Default, Args)]
pub struct DataOptions {
    /// Clean samples: digits, mnist-1000, moons, swiss-roll, checkerboard, eight-gaussians, mnist:DIR, cifar10:DIR, images:DIR, tar:FILES,
    /// parquet:FILES, a file (.npy .npz .safetensors .pt), gaussian:…, mixture:FILE, or model (samples of the checkpoint itself)
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
    /// Hold the data in memory up to this size as float32 numbers; larger sets of pictures and .npy files are read from disk
    /// as they are needed [default: 4GiB]
    #[arg(long, value_name = "SIZE", help_heading = "Data")]
    pub data_memory: Option<ByteSize>,
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
    /// auto, all, 0..100, 0..1000/10, log:60 or 0,1,10..100/5
    #[arg(long, value_name = "SPEC", default_value = "auto", help_heading = "Measurement")]
    pub timesteps: TimestepSpec,
    /// auto: add timesteps until straight lines between them are this close to the curve, relatively
    #[arg(long, allow_negative_numbers = true, value_name = "E", default_value_t = 0.05, help_heading = "Measurement")]
    pub tolerance: f64,
    /// What is measured
    #[arg(long, value_name = "QUANTITY", value_enum, default_value_t, help_heading = "Measurement")]
    pub quantity: Quantities,
    /// Of what it is measured [default: epsilon, where noise is Gaussian]
    #[arg(long, value_name = "WHAT", value_enum, help_heading = "Measurement")]
    pub of: Option<Of>,
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
    /// Noises for each clean sample: samples then are means over the noises of one row of the data, so that quantiles are
    /// those of rows (and of their conditions), and the row with the largest is named
    #[arg(long, value_name = "M", default_value_t = 1, conflicts_with = "rel_error", help_heading = "Measurement")]
    pub noises: u64,
    /// Samples per network call, or auto
    #[arg(long, value_name = "N", default_value = "auto", help_heading = "Measurement")]
    pub batch: BatchSize,
    /// Time axis of the denominator [default: step; log-snr for the schedules ve and edm, sigma for flip, uniform and absorb,
    /// argument for none]
    #[arg(long, value_name = "AXIS", value_enum, help_heading = "Measurement")]
    pub axis: Option<Axis>,
    /// Norm of the numerator
    #[arg(long, value_name = "NORM", value_enum, default_value_t, help_heading = "Measurement")]
    pub norm: Norm,
    /// Also tell ∂ε/∂t apart by where it enters the network; needs --quantity derivative or both
    #[arg(long, value_name = "KIND", value_enum, help_heading = "Measurement")]
    pub attribute: Option<Attribute>,
}

/// What overrides or completes what a checkpoint says about itself.
#[derive(Debug, Clone, Default, Args)]
pub struct Overrides {
    /// Noise schedule, or another forward process: NAME[:key=value,…]
    #[arg(long, value_name = "SCHEDULE", help_heading = "Model (overrides what the checkpoint says)")]
    pub schedule: Option<ProcessSpec>,
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
    /// The number that the network gets for t: step, unit, sigma, log-snr or c-noise, argument with the schedule none, or one
    /// times a factor (sigma*1000), a number minus it where time runs from noise to data (1-unit), or ln-unit
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
    /// Embeddings that the network attends to, such as a prompt's: .npy or .safetensors with one array [L, D]; @FILE or
    /// @COLUMN (of the data's file) [N, L, D] for one for each row of the data
    #[arg(long, value_name = "FILE|@COLUMN", help_heading = "Model (overrides what the checkpoint says)")]
    pub context: Option<ConditionSource>,
    /// Pooled embeddings of the prompt, or a policy's observation, for networks that take these: .npy or .safetensors with
    /// one vector, or @FILE or @COLUMN with one for each row of the data
    #[arg(
        long,
        visible_alias = "observation",
        value_name = "FILE|@COLUMN",
        help_heading = "Model (overrides what the checkpoint says)"
    )]
    pub pooled: Option<ConditionSource>,
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
    /// [C, H, W] for all samples, or [N, C, H, W] with one for each row of the data; or @COLUMN of the data's file
    #[arg(long, value_name = "FILE|@COLUMN", help_heading = "Model (overrides what the checkpoint says)")]
    pub concat: Option<ConditionSource>,
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
    /// With --guidance or --of guidance: what stands for no condition in an input that --inputs names
    #[arg(long, value_name = "NAME=FILE", help_heading = "Model (overrides what the checkpoint says)")]
    pub null: Vec<NullInput>,
    /// Inputs of a TorchScript module in their order: x, t, class, context, and for others NAME=NUMBER, NAME=FILE,
    /// NAME=@COLUMN (of the data's file, drawn with x₀), NAME=normal[:DxD…] (random, held while t moves) or NAME=time*FACTOR+OFFSET
    /// (follows the number that t is told) [default: x,t]
    #[arg(long, value_name = "LIST", help_heading = "Model (overrides what the checkpoint says)")]
    pub inputs: Option<Inputs>,
    /// Which of the arguments of time move in a change or a rate: t, and names that --inputs has follow time; the others are
    /// held at their values for t [default: t]
    #[arg(long, value_name = "NAMES", help_heading = "Model (overrides what the checkpoint says)")]
    pub moves: Option<Moves>,
    /// The prediction is the mean over M draws of this random input, and not that of one draw
    #[arg(long, value_name = "NAME=M", help_heading = "Model (overrides what the checkpoint says)")]
    pub average: Option<Average>,
    /// Which of a TorchScript module's outputs is the prediction: its place from 0, or its key [default: the first tensor]; of
    /// cld and mdm also which variables it predicts, v=0 (all of output 0) or x=0:3,v=3:6 (channels of the first)
    #[arg(long, value_name = "PLACE|KEY|VARIABLES", help_heading = "Model (overrides what the checkpoint says)")]
    pub output: Option<ModuleOutput>,
    /// Which of a checkpoint's sets of weights: ema, raw, or one that inspect lists [default: the checkpoint's]
    #[arg(long, value_name = "NAME", help_heading = "Model (overrides what the checkpoint says)")]
    pub weights: Option<String>,
    /// What the shapes of a state dict do not tell, such as num_heads=4: NAME=VALUE, or a file with a JSON object or YAML
    #[arg(long, value_name = "NAME=VALUE|FILE", help_heading = "Model (overrides what the checkpoint says)")]
    pub config: Vec<String>,
    /// Low-rank adaptation (LoRA) that is merged into the weights, with its scale; may be given several times
    #[arg(long, value_name = "FILE[:SCALE]", help_heading = "Model (overrides what the checkpoint says)")]
    pub lora: Vec<LoraSpec>,
    /// dtype of the network
    #[arg(long, value_name = "DTYPE", value_enum, default_value_t, help_heading = "Measurement")]
    pub dtype: Precision,
}

impl DataOptions {
    /// How many samples are used at most; `None` for all.
    ///
    /// # Errors
    /// Several numbers are named, where one is meant.
    pub fn limit(&self) -> Result<Option<usize>> {
        self.data_limit.as_ref().map(DataLimits::single).transpose().map(Option::flatten)
    }
}

impl Overrides {
    /// The same where columns of the data are arrays of its file.
    ///
    /// # Errors
    /// A column is named, and the data is no file of arrays.
    pub fn with_columns_of(&self, data: &DataOptions) -> Result<Self> {
        let data = data.source.as_ref();
        let found = |flag: &str, source: &Option<ConditionSource>| {
            source.as_ref().map(|source| source.in_data(flag, data)).transpose()
        };
        let input = |input: &ModuleInput| match input {
            ModuleInput::Values(name, source) => {
                Ok(ModuleInput::Values(name.clone(), source.in_data("--inputs", data)?))
            }
            other => Ok(other.clone()),
        };
        let inputs = self.inputs.as_ref().map(|Inputs(all)| all.iter().map(input).collect::<Result<Vec<_>>>());
        Ok(Overrides {
            context: found("--context", &self.context)?,
            pooled: found("--pooled", &self.pooled)?,
            concat: found("--concat", &self.concat)?,
            inputs: inputs.transpose()?.map(Inputs),
            ..self.clone()
        })
    }
}

impl Default for MeasureOptions {
    fn default() -> Self {
        MeasureOptions {
            data: DataOptions::default(),
            timesteps: TimestepSpec::default(),
            tolerance: 0.05,
            quantity: Quantities::default(),
            of: None,
            dt: 1.0,
            samples: None,
            rel_error: None,
            max_samples: 4096,
            noises: 1,
            batch: BatchSize::default(),
            axis: None,
            norm: Norm::default(),
            attribute: None,
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
