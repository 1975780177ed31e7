//! What a `Unet` is built to, as checked values; `read.rs` makes them from JSON.

/// Features of the timestep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TimeFeatures {
    /// Sines and cosines of t at frequencies from 1 down to 1/theta.
    Sinusoids { theta: f64 },
    /// t, and sines and cosines of it at so many random or learned frequencies.
    Fourier(i64),
}

/// Normalisation in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockNorm {
    /// Of each pixel over its channels.
    Rms,
    /// Of so many groups of channels.
    Group(i64),
}

/// Attention at one resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StageAttention {
    /// Softmax attention; else attention that is linear in the number of pixels.
    pub full: bool,
    pub heads: i64,
    pub head_dim: i64,
}

/// A checked configuration. Field names are the original's.
#[derive(Debug, Clone)]
pub(super) struct UnetConfig {
    /// The JSON that all of this was read from.
    pub json: serde_json::Value,
    /// Height and width of the training images, where the file says.
    pub image_size: Option<i64>,
    pub channels: i64,
    /// Whether the network takes an earlier prediction beside x.
    pub self_condition: bool,
    pub out_dim: i64,
    /// Width of the sinusoids; a quarter of the time embedding's.
    pub dim: i64,
    pub time: TimeFeatures,
    /// Channels behind the first convolution.
    pub init_dim: i64,
    /// Channels behind each resolution, the finest first: `dim_mults` times `dim`.
    pub dims: Vec<i64>,
    /// One for each resolution.
    pub attention: Vec<StageAttention>,
    /// Keys and values of attention that are parameters.
    pub num_mem_kv: i64,
    pub norm: BlockNorm,
}

impl UnetConfig {
    /// Width of the time embedding.
    pub fn time_dim(&self) -> i64 {
        4 * self.dim
    }

    /// Channels into and out of each resolution on the way down.
    pub fn in_out(&self) -> Vec<[i64; 2]> {
        let before = std::iter::once(&self.init_dim).chain(&self.dims);
        before.zip(&self.dims).map(|(&inputs, &outputs)| [inputs, outputs]).collect()
    }

    /// Attention in the middle: full, with the heads of the coarsest resolution.
    pub fn middle_attention(&self) -> StageAttention {
        StageAttention { full: true, ..self.attention[self.attention.len() - 1] }
    }
}
