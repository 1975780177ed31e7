//! What a diffusion transformer is built to, as checked values.

use crate::nn::{Activation, Nonlinearity};
use serde_json::Value;

/// Under which names the parameters stand, and what goes with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// The code release of the paper: one time embedding, q, k and v in one layer, stored positions.
    Paper,
    /// diffusers' `DiTTransformer2DModel`: a time embedding in every block, layers of their own to q, k and v, computed
    /// positions.
    Diffusers,
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub(super) struct DitConfig {
    /// The class that it configures.
    pub class_name: &'static str,
    /// The configuration that all of this was read from.
    pub json: Value,
    pub release: Release,
    /// Height and width of x.
    pub input_size: i64,
    /// Height and width of one patch, which divide `input_size`.
    pub patch_size: i64,
    pub in_channels: i64,
    /// Channels of the output: twice those of x where a variance is learned.
    pub out_channels: i64,
    /// Channels of a token.
    pub hidden_size: i64,
    /// Number of blocks.
    pub depth: i64,
    /// Attention heads, which divide `hidden_size`.
    pub heads: i64,
    /// Whether the layers to q, k and v have biases.
    pub attention_bias: bool,
    /// Width of the hidden layer of a block.
    pub mlp_hidden: i64,
    pub nonlinearity: Nonlinearity,
    /// Classes that a label may name.
    pub classes: i64,
    /// Whether the table of classes has one row more, for no class.
    pub null_class: bool,
    /// What is subtracted from half the number of sinusoids of t in the exponent of their frequencies: 0 in the paper's
    /// release and 1 in diffusers, whichever the weights were trained with.
    pub freq_shift: f64,
    /// ε of the normalisations before attention and before the dense layers.
    pub norm_eps: [f64; 2],
}

impl DitConfig {
    /// Patches along each side.
    pub fn grid(&self) -> i64 {
        self.input_size / self.patch_size
    }

    /// Rows of the table of classes.
    pub fn class_rows(&self) -> i64 {
        self.classes + i64::from(self.null_class)
    }
}

/// The nonlinearity of the paper's dense layers.
pub(super) const PAPER_NONLINEARITY: Nonlinearity = Nonlinearity::Pointwise(Activation::GeluTanh);
