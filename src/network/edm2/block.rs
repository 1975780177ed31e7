//! `Block`: x [B, in, H, W], emb [B, E] → [B, out, H, W], or half or twice that size.
//!
//! x = resample(x); in the encoder x = normalised(W_skip x)
//! y = conv1(a(conv0(a(x)) (1 + g W_emb emb)))
//! x = sum(x, y); in the decoder x = sum(W_skip x, y); with attention x = sum(x, W attention(normalised q, k, v)); clipped

use super::config::Edm2Config;
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::nn::{Fir, Init, MpConv, TimeSignal, Weights, attend, clipped, mp_silu, mp_sum, normalised};
use std::cell::RefCell;
use tch::Tensor;

/// Change of size at the beginning of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resize {
    Keep,
    Halve,
    Double,
}

/// What blocks are built of; it notes all tensors that are computed from the parameters.
pub(super) struct Builder<'a> {
    pub config: &'a Edm2Config,
    pub filter: Fir,
    pub computed: RefCell<Vec<(String, Tensor)>>,
}

impl Builder<'_> {
    /// A convolution, or a linear layer where there is no kernel.
    pub fn conv(&self, weights: &Weights, io: [i64; 2], kernel: Option<i64>, gain: Option<&Tensor>) -> Result<MpConv> {
        let conv = match kernel {
            Some(kernel) => MpConv::conv(weights, io, kernel, gain)?,
            None => MpConv::linear(weights, io[0], io[1], gain)?,
        };
        self.computed.borrow_mut().push((format!("{}.normalised", weights.name()), conv.weight()));
        Ok(conv)
    }
}

#[derive(Debug)]
pub(super) struct Block {
    site: String,
    encoder: bool,
    resize: Resize,
    filter: Fir,
    conv_res0: MpConv,
    emb_linear: MpConv,
    conv_res1: MpConv,
    conv_skip: Option<MpConv>,
    attention: Option<Attention>,
    res_balance: f64,
    clip: Option<f64>,
}

#[derive(Debug)]
struct Attention {
    qkv: MpConv,
    proj: MpConv,
    heads: i64,
    balance: f64,
}

impl Block {
    /// Takes `emb_gain`, `conv_res0`, `emb_linear`, `conv_res1`, and where there are such `conv_skip`, `attn_qkv`, `attn_proj`.
    pub fn new(
        builder: &Builder,
        weights: &Weights,
        [inputs, outputs]: [i64; 2],
        (encoder, resize, attention): (bool, Resize, bool),
    ) -> Result<Self> {
        let config = builder.config;
        let conv = |name: &str, io, kernel| builder.conv(&weights.at(name), io, Some(kernel), None);
        let gain = weights.tensor("emb_gain", &[], Init::Zeros)?;
        let heads = if attention { config.heads(outputs) } else { 0 };
        let attend = || {
            Ok(Attention {
                qkv: conv("attn_qkv", [outputs, 3 * outputs], 1)?,
                proj: conv("attn_proj", [outputs; 2], 1)?,
                heads,
                balance: config.attn_balance,
            })
        };
        let emb_linear = builder.conv(&weights.at("emb_linear"), [config.embedding, outputs], None, Some(&gain))?;
        Ok(Block {
            site: weights.name().into(),
            encoder,
            resize,
            filter: builder.filter.shallow_clone(),
            conv_res0: conv("conv_res0", [if encoder { outputs } else { inputs }, outputs], 3)?,
            emb_linear,
            conv_res1: conv("conv_res1", [outputs; 2], 3)?,
            conv_skip: if inputs == outputs { None } else { Some(conv("conv_skip", [inputs, outputs], 1)?) },
            attention: if heads > 0 { Some(attend()?) } else { None },
            res_balance: config.res_balance,
            clip: config.clip_act,
        })
    }

    /// x [B, in, H, W] and the embedding [B, E] → [B, out, H', W'].
    pub fn forward(&self, x: &Dual, emb: &TimeSignal) -> Result<Dual> {
        let mut x = match self.resize {
            Resize::Keep => x.shallow_clone(),
            Resize::Halve => self.filter.halve(x)?,
            Resize::Double => self.filter.double(x)?,
        };
        if self.encoder {
            x = normalised(&self.skip(&x)?, 1)?;
        }
        let y = self.conv_res0.forward(&mp_silu(&x)?)?;
        let scale = self.emb_linear.forward(emb.at(&self.site))?;
        let scale = Dual { value: scale.value.f_add_scalar(1.0).doing("scaling activations")?, tangent: scale.tangent };
        let scale = scale.linear(|scale| scale.f_unsqueeze(-1)?.f_unsqueeze(-1))?;
        let y = self.conv_res1.forward(&mp_silu(&y.mul(&scale)?)?)?;
        if !self.encoder {
            x = self.skip(&x)?;
        }
        x = mp_sum(&x, &y, self.res_balance)?;
        if let Some(attention) = &self.attention {
            x = mp_sum(&x, &attention.forward(&x)?, attention.balance)?;
        }
        match self.clip {
            Some(limit) => clipped(x, limit),
            None => Ok(x),
        }
    }

    fn skip(&self, x: &Dual) -> Result<Dual> {
        self.conv_skip.as_ref().map_or_else(|| Ok(x.shallow_clone()), |conv| conv.forward(x))
    }
}

impl Attention {
    /// x [B, C, H, W] → the same shape; q, k and v of every head have magnitude 1.
    fn forward(&self, x: &Dual) -> Result<Dual> {
        // [B, 3 C, H, W] → [B, h, d, 3, N]
        let qkv = self.qkv.forward(x)?.linear(|x| x.f_flatten(2, 3)?.f_unflatten(1, [self.heads, -1, 3]))?;
        let qkv = normalised(&qkv, 2)?;
        let part = |i| qkv.linear(|x| x.f_select(3, i)?.f_transpose(2, 3)?.f_contiguous());
        let out = attend(&part(0)?, &part(1)?, &part(2)?).doing("applying attention")?;
        // [B, h, N, d] → [B, C, H, W]
        self.proj.forward(&out.linear(|out| out.f_transpose(2, 3)?.f_reshape(x.value.size()))?)
    }
}
