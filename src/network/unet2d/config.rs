//! What diffusers' U-Nets are built to, as checked values; `unconditional.rs` and `conditional.rs` make them from a
//! config.json.

use super::text_time::{TextTime, TextTimeConfig};
use crate::error::Result;
use crate::network::condition::Labels;
use crate::nn::{Activation, AttentionConfig, Init, ResnetConfig, TimeProjection, TimestepEmbedding, Weights};
use serde_json::Value;

/// A checked configuration, which only [`UNet2dConfig::from_json`] makes. Field names are diffusers' where the meaning is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UNet2dConfig {
    /// The class that it configures.
    pub class_name: &'static str,
    /// The config.json that all of this was read from.
    pub json: Value,
    /// Height and width of the training images, where the file says.
    pub sample_size: Option<[i64; 2]>,
    /// Features of the timestep.
    pub time_embedding_type: TimeEmbeddingType,
    /// Activation between the dense layers of the time embedding.
    pub time_activation: Activation,
    /// What is subtracted from half the number of sinusoids in the exponent of their frequencies.
    pub freq_shift: f64,
    /// Whether cosines come before sines.
    pub flip_sin_to_cos: bool,
    /// What a class label is turned into.
    pub class_embedding: ClassEmbedding,
    /// Width D of the context; `None` for a network that attends to none.
    pub cross_attention_dim: Option<i64>,
    /// Pooled embeddings and numbers that are added to the time embedding.
    pub text_time: Option<TextTimeConfig>,
    /// Whether the network first maps x to 2x − 1.
    pub center_input_sample: bool,
    /// What lies between the time embedding and the output.
    pub body: BodyPlan,
}

/// Features of the timestep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeEmbeddingType {
    /// Sines and cosines of t.
    Positional,
    /// Sines and cosines of log t at random frequencies; the output is divided by t.
    Fourier,
    /// A table with this many rows, one for each integer t.
    Learned(i64),
}

/// What a class label is turned into before it is added to the time embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassEmbedding {
    /// There are no labels.
    None,
    /// A row of a table with this many rows.
    Table(i64),
    /// The label goes through features and dense layers like a timestep.
    Timestep,
    /// The label is a vector of this width, which goes through dense layers.
    Projection(i64),
    /// The label is an embedding already, [B, time_embed_dim].
    Identity,
}

impl UNet2dConfig {
    /// Height and width must be multiples of this: each block but the last halves them.
    pub fn size_factor(&self) -> i64 {
        1 << (self.body.channels.len() - 1)
    }

    /// Takes `time_proj`, where the features have parameters.
    pub(super) fn time_projection(&self, weights: &Weights) -> Result<TimeProjection> {
        let (width, weights) = (self.body.channels[0], weights.at("time_proj"));
        match self.time_embedding_type {
            TimeEmbeddingType::Positional => {
                TimeProjection::sinusoid(width, self.flip_sin_to_cos, self.freq_shift, weights.device())
            }
            TimeEmbeddingType::Fourier => TimeProjection::gaussian_fourier(&weights, width),
            TimeEmbeddingType::Learned(timesteps) => TimeProjection::learned(&weights, timesteps, width),
        }
    }

    /// Takes two dense layers for the features of t, or of a label.
    pub(super) fn time_embedding(&self, weights: &Weights) -> Result<TimestepEmbedding> {
        let features = match self.time_embedding_type {
            TimeEmbeddingType::Fourier => 2 * self.body.channels[0],
            TimeEmbeddingType::Positional | TimeEmbeddingType::Learned(_) => self.body.channels[0],
        };
        let dense = TimestepEmbedding::new(weights, features, self.body.resnet.embedding)?;
        Ok(dense.activated(self.time_activation))
    }

    /// Takes `add_embedding`, where there are pooled embeddings.
    pub(super) fn text_time(&self, weights: &Weights) -> Result<Option<TextTime>> {
        let sinusoid = |width| TimeProjection::sinusoid(width, self.flip_sin_to_cos, self.freq_shift, weights.device());
        let new = |config: &TextTimeConfig| {
            TextTime::new(&weights.at("add_embedding"), config, sinusoid(config.features)?, self.body.resnet.embedding)
        };
        self.text_time.as_ref().map(new).transpose()
    }

    /// Takes `class_embedding`, where there are labels.
    pub(super) fn labels(&self, weights: &Weights) -> Result<Labels> {
        let (emb, dense) = (self.body.resnet.embedding, weights.at("class_embedding"));
        Ok(match self.class_embedding {
            ClassEmbedding::None => Labels::None,
            ClassEmbedding::Table(classes) => Labels::table(&dense, classes, emb, Init::Normal(1.0))?,
            ClassEmbedding::Timestep => Labels::Timestep(self.time_projection(weights)?, self.time_embedding(&dense)?),
            // This one has a SiLU whatever the network's activation.
            ClassEmbedding::Projection(width) => Labels::Projection(TimestepEmbedding::new(&dense, width, emb)?, width),
            ClassEmbedding::Identity => Labels::Identity(emb),
        })
    }
}

/// The network between the time embedding and the output.
#[derive(Debug, Clone)]
pub struct BodyPlan {
    /// Channels of x.
    pub in_channels: i64,
    /// Channels of the output.
    pub out_channels: i64,
    /// Channels of each block on the way down.
    pub channels: Vec<i64>,
    /// Every residual block.
    pub resnet: ResnetConfig,
    /// Blocks on the way down.
    pub down: Vec<BlockPlan>,
    /// The block in the middle.
    pub mid: Option<MidPlan>,
    /// Blocks on the way up.
    pub up: Vec<BlockPlan>,
    /// 1, or 0 for zeros below and to the right only.
    pub downsample_padding: i64,
    /// The last activation.
    pub last_activation: Activation,
}

/// One resolution, on the way down or up.
#[derive(Debug, Clone, Copy)]
pub struct BlockPlan {
    /// Residual blocks.
    pub layers: i64,
    /// What follows each of them.
    pub attention: Option<AttentionPlan>,
    /// Whether the size is changed by a residual block, not by a single convolution.
    pub resnet_resampling: bool,
}

/// The block in the middle.
#[derive(Debug, Clone, Copy)]
pub struct MidPlan {
    /// What stands between its two residual blocks.
    pub attention: Option<AttentionPlan>,
    /// What its layers divide their outputs by.
    pub scale_factor: f64,
}

/// What a stack of transformer blocks over pixels is built to.
#[derive(Debug, Clone, Copy)]
pub struct TransformerConfig {
    /// Channels of the pixels.
    pub channels: i64,
    /// Attention heads.
    pub heads: i64,
    /// Transformer blocks.
    pub layers: i64,
    /// Width of the context that is attended to.
    pub context_width: i64,
    /// Groups of the normalisation in front.
    pub norm_groups: i64,
    /// Whether pixels become tokens by a linear layer, not by a 1×1 convolution.
    pub linear_projection: bool,
    /// Whether the first attention of a block, too, is over the context.
    pub only_cross_attention: bool,
}

/// What follows a residual block.
#[derive(Debug, Clone, Copy)]
pub enum AttentionPlan {
    /// Self-attention over pixels.
    Pixels(AttentionConfig),
    /// Transformer blocks, which also attend to a context.
    Transformer(TransformerConfig),
}
