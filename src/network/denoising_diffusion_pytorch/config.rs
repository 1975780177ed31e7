//! What a `Unet` is built to, as checked values; `read.rs` makes them from JSON.

/// Features of the timestep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TimeFeatures {
    /// Sines and cosines of t at frequencies from 1 down to 1/theta.
    Sinusoids {
        /// The ratio of the frequencies.
        theta: f64,
    },
    /// t, and sines and cosines of it at so many random or learned frequencies.
    Fourier(i64),
}

/// Normalisation in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockNorm {
    /// Of each pixel over its channels.
    Rms,
    /// Of so many groups of channels.
    Group(i64),
}

/// Attention at one resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageAttention {
    /// Softmax attention; else attention that is linear in the number of pixels.
    pub full: bool,
    /// Heads.
    pub heads: i64,
    /// Channels of each.
    pub head_dim: i64,
}

/// A checked configuration, which only [`UnetConfig::from_json`] makes. Field names are the original's.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UnetConfig {
    /// The JSON that all of this was read from.
    pub json: serde_json::Value,
    /// Height and width of the training images, where the file says.
    pub image_size: Option<i64>,
    /// Channels of x.
    pub channels: i64,
    /// Whether the network takes an earlier prediction beside x.
    pub self_condition: bool,
    /// Channels of the output.
    pub out_dim: i64,
    /// Width of the sinusoids; a quarter of the time embedding's.
    pub dim: i64,
    /// Features of the timestep.
    pub time: TimeFeatures,
    /// Channels behind the first convolution.
    pub init_dim: i64,
    /// Channels behind each resolution, the finest first: `dim_mults` times `dim`.
    pub dims: Vec<i64>,
    /// Attention at each resolution.
    pub attention: Vec<StageAttention>,
    /// Keys and values of attention that are parameters.
    pub num_mem_kv: i64,
    /// Normalisation in every block.
    pub norm: BlockNorm,
}

impl UnetConfig {
    /// Width of the time embedding.
    pub fn time_dim(&self) -> i64 {
        4 * self.dim
    }

    /// Height and width must be multiples of this: each resolution but the last is halved.
    pub fn size_factor(&self) -> i64 {
        1 << (self.dims.len() - 1)
    }

    /// Channels into and out of each resolution on the way down.
    pub(super) fn in_out(&self) -> Vec<[i64; 2]> {
        let before = std::iter::once(&self.init_dim).chain(&self.dims);
        before.zip(&self.dims).map(|(&inputs, &outputs)| [inputs, outputs]).collect()
    }

    /// Attention in the middle: full, with the heads of the coarsest resolution.
    pub(super) fn middle_attention(&self) -> StageAttention {
        StageAttention { full: true, ..self.attention[self.attention.len() - 1] }
    }
}
