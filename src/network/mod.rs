//! Networks: what a checkpoint computes, before schedule, timestep map and prediction type give it a meaning.
//!
//! A new network is one file here that implements [`Network`], and one line in the reader that recognises it.

pub mod torchscript;
pub mod unet2d;

use crate::dual::Dual;
use crate::error::Result;
use tch::{Device, Kind, Tensor};

/// What a network takes besides x and t.
#[derive(Debug, Default)]
pub struct Condition {
    /// Class labels, int64, shape `[B]`; `None` for an unconditional network.
    pub labels: Option<Tensor>,
}

/// What is known about the x of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputShape {
    /// Shape of one sample without the batch axis, such as [C, H, W]; `None` where the file does not say.
    pub sample: Option<Vec<i64>>,
    /// Number of channels, where at least that is known.
    pub channels: Option<i64>,
    /// Whether other heights and widths than `sample`'s are fine (a fully convolutional network).
    pub resizable: bool,
}

/// A network f(x, t) or f(x, t, condition), in one dtype on one device.
pub trait Network {
    /// One forward pass. `x`: [B, …] in the network's dtype; `t`: `[B]`, float32 or float64 (never half: a time
    /// embedding in half precision ruins ∂/∂t). Returns [B, …] with a tangent where `x` or `t` has one.
    fn forward(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<Dual>;

    /// Whether tangents are carried through; where not, `forward` refuses them.
    fn carries_tangents(&self) -> bool;

    /// What x must look like.
    fn input_shape(&self) -> InputShape;

    /// Number of classes that a label may name; `None` for an unconditional network.
    fn classes(&self) -> Option<i64> {
        None
    }

    /// Name of the architecture, such as `UNet2DModel`.
    fn architecture(&self) -> String;

    /// Parameters and buffers by name, in the file's names.
    fn parameters(&self) -> Vec<(String, Tensor)>;

    /// Called once, on its device and in its dtype, before the first forward pass: finds out what only a call can
    /// tell. `times` are two conditions that a trained network tells apart.
    fn prepare(&mut self, _sample_shape: &[i64], _times: [f64; 2], _device: Device, _kind: Kind) -> Result<()> {
        Ok(())
    }

    /// Moves the network to a device and dtype.
    fn to(&mut self, device: Device, kind: Kind) -> Result<()>;
}
