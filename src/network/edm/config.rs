//! What an EDM U-Net is built to, as checked values; `read.rs` makes them from JSON.

use std::f64::consts::FRAC_1_SQRT_2;

/// How the encoder of a `SongUNet` sees the image again at lower resolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoder {
    /// Not at all.
    Standard,
    /// h + W·(the image, downsampled).
    Skip,
    /// (h + the residual path, downsampled with a convolution)/√2, which goes on as the residual path.
    Residual,
}

/// What the layers are called in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// By their place, as in EDM's files.
    Placed,
    /// By their number, as in score_sde's.
    Listed,
}

/// What differs between both classes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Family {
    Song {
        /// Whether the noise level's features are random Fourier features, and not sinusoids.
        fourier: bool,
        encoder: Encoder,
        /// Whether every resolution gives an output, and they are added.
        skip_decoder: bool,
        /// Taps of the resampling filter.
        filter: Vec<f64>,
        /// Whether sums with a residual are divided by √2.
        rescaled: bool,
    },
    Dhariwal {
        /// Channels of one attention head; the original has 64. Layers with fewer have no attention.
        channels_per_head: i64,
    },
}

/// A checked configuration. Field names are those of the original.
#[derive(Debug, Clone)]
pub(super) struct EdmUNetConfig {
    /// The JSON that all of this was read from.
    pub json: serde_json::Value,
    pub naming: Naming,
    pub family: Family,
    /// Height and width of the training images; `None` where nothing says.
    pub img_resolution: Option<i64>,
    pub in_channels: i64,
    pub out_channels: i64,
    /// Length of the table `sigmas`, where a file has one.
    pub num_scales: Option<i64>,
    /// Number of classes; 0 for an unconditional network.
    pub label_dim: i64,
    /// Whether it was trained without a label too.
    pub has_null_label: bool,
    /// Length of the augmentation labels; 0 for none.
    pub augment_dim: i64,
    pub model_channels: i64,
    /// Width of the features of the noise level.
    pub noise_channels: i64,
    /// Width of the embedding.
    pub embedding: i64,
    /// Channels at each resolution, the finest first.
    pub channels: Vec<i64>,
    /// Whether there is attention at each resolution.
    pub attention: Vec<bool>,
    /// Residual blocks per resolution in the encoder; one more in the decoder.
    pub num_blocks: usize,
}

/// [1, 1], the filter of DhariwalUNet.
const BOX: [f64; 2] = [1.0, 1.0];

impl EdmUNetConfig {
    /// Height and width at a level.
    pub fn resolution(&self, level: usize) -> i64 {
        self.img_resolution.unwrap_or(0) >> level
    }

    /// Number of the first dense layer behind the features of the noise level, where layers are counted.
    pub fn dense_layer(&self) -> usize {
        usize::from(matches!(self.family, Family::Song { fourier: true, .. }))
    }

    /// What sums with a residual are multiplied by.
    pub fn skip_scale(&self) -> f64 {
        if matches!(self.family, Family::Song { rescaled: true, .. }) { FRAC_1_SQRT_2 } else { 1.0 }
    }

    /// Channels of the first layer's output.
    pub fn first(&self) -> i64 {
        match self.family {
            Family::Song { .. } => self.model_channels,
            Family::Dhariwal { .. } => self.channels.first().copied().unwrap_or(self.model_channels),
        }
    }

    /// ε of all normalisations.
    pub fn epsilon(&self) -> f64 {
        match self.family {
            Family::Song { .. } => 1e-6,
            Family::Dhariwal { .. } => 1e-5,
        }
    }

    /// Whether this is DDPM++ or NCSN++.
    pub fn is_song(&self) -> bool {
        matches!(self.family, Family::Song { .. })
    }

    /// Attention heads over so many channels.
    pub fn heads(&self, channels: i64) -> i64 {
        match self.family {
            Family::Song { .. } => 1,
            Family::Dhariwal { channels_per_head } => channels / channels_per_head,
        }
    }

    /// Taps of the resampling filter.
    pub fn filter(&self) -> &[f64] {
        match &self.family {
            Family::Song { filter, .. } => filter,
            Family::Dhariwal { .. } => &BOX,
        }
    }
}
