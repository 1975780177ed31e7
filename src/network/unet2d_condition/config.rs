//! What a `UNet2DConditionModel` is built to, as checked values; `read.rs` makes them from a config.json.

use crate::network::unet_blocks::BodyPlan;
use serde_json::Value;

/// What a class label is turned into before it is added to the time embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClassEmbedding {
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

/// A checked configuration.
#[derive(Debug, Clone)]
pub(super) struct ConditionConfig {
    /// The config.json that all of this was read from.
    pub json: Value,
    /// Height and width of the training images, where the file says.
    pub sample_size: Option<[i64; 2]>,
    /// Whether the network first maps x to 2x − 1.
    pub center_input_sample: bool,
    /// What is subtracted from half the number of sinusoids in the exponent of their frequencies.
    pub freq_shift: f64,
    /// Whether cosines come before sines.
    pub flip_sin_to_cos: bool,
    pub class_embedding: ClassEmbedding,
    /// Width D of the context.
    pub cross_attention_dim: i64,
    /// What lies between the time embedding and the output.
    pub body: BodyPlan,
}

impl ConditionConfig {
    /// Sinusoids of t.
    pub fn time_features(&self) -> i64 {
        self.body.channels[0]
    }

    /// Height and width must be multiples of this: each block but the last halves them.
    pub fn size_factor(&self) -> i64 {
        1 << (self.body.channels.len() - 1)
    }
}
