//! Layers over [`Dual`](crate::dual::Dual): one forward pass serves inference, training and exact derivatives.
//!
//! Each layer takes its parameters from [`Weights`] under the names of the architecture it belongs to.

mod activation;
mod attend;
mod attention;
mod conv1d;
mod conv2d;
mod feed_forward;
mod fir;
mod group_norm;
mod layer_norm;
mod linear;
mod linear_attend;
mod magnitude;
mod modulate;
mod resample;
mod resnet_block;
mod rms_norm;
mod time_projection;
mod time_signal;
mod timestep_embedding;
mod token_attention;
mod token_rms_norm;
mod weights;

pub use activation::Activation;
pub(crate) use attend::attend;
pub use attention::{Attention, AttentionConfig};
pub use conv1d::Conv1d;
pub use conv2d::Conv2d;
pub use feed_forward::{FeedForward, Nonlinearity};
pub use fir::Fir;
pub use group_norm::GroupNorm;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub(crate) use linear_attend::linear_attend;
pub use magnitude::{MpConv, clipped, mp_cat, mp_silu, mp_sum, normalised};
pub(crate) use modulate::chunks;
pub use modulate::modulate;
pub use resample::{Downsample, upsample_nearest};
pub use resnet_block::{Resample, ResnetBlock, ResnetConfig, ResnetNames};
pub use rms_norm::RmsNorm;
pub use time_projection::{TimeProjection, Wave};
pub use time_signal::{Sites, TimeSignal};
pub use timestep_embedding::TimestepEmbedding;
pub(crate) use token_attention::to_tokens;
pub use token_attention::{QkvOrder, TokenAttention, TokenAttentionConfig};
pub use token_rms_norm::TokenRmsNorm;
pub use weights::{Init, Weights};
