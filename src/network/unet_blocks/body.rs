//! The network between the time embedding and the output: x [B, in, H, W] → [B, out, H, W].
//!
//! h = conv_in(x); down, keeping every output; middle; up, taking them back; y = conv_out(a(norm(h))).

use super::blocks::{DownBlock, MidBlock, Side, UpBlock};
use super::config::BodyPlan;
use crate::dual::Dual;
use crate::error::Result;
use crate::nn::{Activation, Conv2d, GroupNorm, Weights};

/// The layers in the order of the forward pass.
#[derive(Debug)]
pub struct Body {
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock>,
    mid_block: Option<MidBlock>,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    last_activation: Activation,
    conv_out: Conv2d,
}

impl Body {
    /// Takes everything but the embeddings of time and labels, under diffusers' names.
    pub fn new(weights: &Weights, plan: &BodyPlan) -> Result<Self> {
        let (first, last) = (plan.channels[0], plan.channels[plan.channels.len() - 1]);
        let indices = 0..plan.channels.len();
        let (groups, eps) = (plan.resnet.norm_groups, plan.resnet.norm_eps);
        let mid = plan.mid.as_ref().map(|mid| MidBlock::new(weights, mid, &plan.resnet, last));
        Ok(Body {
            conv_in: Conv2d::new(&weights.at("conv_in"), plan.in_channels, first, 3)?,
            down_blocks: indices.clone().map(|i| DownBlock::new(weights, plan, i)).collect::<Result<_>>()?,
            mid_block: mid.transpose()?,
            up_blocks: indices.map(|i| UpBlock::new(weights, plan, i)).collect::<Result<_>>()?,
            conv_norm_out: GroupNorm::new(&weights.at("conv_norm_out"), first, groups, eps)?,
            last_activation: plan.last_activation,
            conv_out: Conv2d::new(&weights.at("conv_out"), first, plan.out_channels, 3)?,
        })
    }

    /// x [B, in, H, W], for H and W that every block but the last can halve → [B, out, H, W].
    pub fn forward(&self, x: &Dual, side: Side) -> Result<Dual> {
        let mut h = self.conv_in.forward(x)?;
        let mut skips = vec![h.shallow_clone()];
        for block in &self.down_blocks {
            h = block.forward(h, side, &mut skips)?;
        }
        if let Some(block) = &self.mid_block {
            h = block.forward(&h, side)?;
        }
        for block in &self.up_blocks {
            h = block.forward(h, side, &mut skips)?;
        }
        self.conv_out.forward(&self.last_activation.forward(&self.conv_norm_out.forward(&h)?)?)
    }
}
