//! The network: from (u, c, label) to F.

use super::CLASS;
use super::block::{Block, Builder, Resize};
use super::config::Edm2Config;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::network::condition::in_range;
use crate::network::native::{Facts, Inputs, Layers};
use crate::network::{Additions, InputShape};
use crate::nn::{Fir, Init, MpConv, TimeProjection, Weights, mp_cat, mp_silu, mp_sum};
use serde_json::Value;
use std::cell::RefCell;
use std::path::Path;
use tch::{Kind, Tensor};

/// The layers in the order of the forward pass.
#[derive(Debug)]
pub(super) struct Edm2UNet {
    emb_noise: MpConv,
    label: Option<Label>,
    conv_in: MpConv,
    encoder: Vec<Block>,
    decoder: Vec<Up>,
    concat_balance: f64,
    conv_out: MpConv,
    computed: Vec<(String, Tensor)>,
}

/// What a class label adds to the embedding.
#[derive(Debug)]
struct Label {
    linear: MpConv,
    classes: i64,
    balance: f64,
}

/// A block of the decoder.
#[derive(Debug)]
struct Up {
    block: Block,
    /// Whether it takes an output of the encoder beside h.
    beside_skip: bool,
}

impl Layers for Edm2UNet {
    type Config = Edm2Config;

    fn read(json: &Value, path: &Path) -> Result<Edm2Config> {
        Edm2Config::from_json(json, path)
    }

    fn facts(config: &Edm2Config) -> Facts {
        Facts {
            architecture: CLASS,
            config: config.json.clone(),
            input: InputShape::images(config.img_channels, Some([config.img_resolution; 2])),
            size_factor: 1 << (config.channels.len() - 1),
            classes: (config.label_dim > 0).then_some(config.label_dim),
            null_label: None,
            context_width: None,
            additions: Additions::default(),
            first_weight: "emb_noise.weight",
            frequencies: Some("emb_fourier."),
        }
    }

    fn time_projection(config: &Edm2Config, weights: &Weights) -> Result<TimeProjection> {
        TimeProjection::phased(&weights.at("emb_fourier"), config.noise)
    }

    fn new(config: &Edm2Config, weights: &Weights) -> Result<Self> {
        let filter = Fir::of_taps(&config.resample_filter, weights.device())?;
        let builder = Builder { config, computed: RefCell::new(vec![("filter".into(), filter.filter())]), filter };
        let linear = |name: &str, inputs| builder.conv(&weights.at(name), [inputs, config.embedding], None, None);
        let label = match config.label_dim {
            0 => None,
            classes => Some(Label { linear: linear("emb_label", classes)?, classes, balance: config.label_balance }),
        };
        let emb_noise = linear("emb_noise", config.noise)?;
        let first = config.channels[0];
        let conv_in = weights.at("enc").at(format!("{0}x{0}_conv", config.img_resolution));
        let conv_in = builder.conv(&conv_in, [config.img_channels + 1, first], Some(3), None)?;
        let (encoder, kept) = encoder(&builder, weights)?;
        let decoder = decoder(&builder, weights, kept)?;
        let gain = weights.tensor("out_gain", &[], Init::Zeros)?;
        let conv_out = builder.conv(&weights.at("out_conv"), [first, config.img_channels], Some(3), Some(&gain))?;
        let computed = builder.computed.into_inner();
        let concat_balance = config.concat_balance;
        Ok(Edm2UNet { emb_noise, label, conv_in, encoder, decoder, concat_balance, conv_out, computed })
    }

    fn constants(&self) -> Vec<(String, Tensor)> {
        self.computed.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        let emb = inputs.signal(mp_silu(&self.embedding(inputs)?)?);
        let ones = inputs.x.value.f_narrow(1, 0, 1).and_then(|x| x.f_ones_like()).doing("adding a channel of ones")?;
        let mut h = self.conv_in.forward(&Dual::cat(&[inputs.x, &Dual::constant(ones)], 1)?)?;
        let mut skips = vec![h.shallow_clone()];
        for block in &self.encoder {
            h = block.forward(&h, &emb)?;
            skips.push(h.shallow_clone());
        }
        for Up { block, beside_skip } in &self.decoder {
            if let Some(skip) = skips.pop_if(|_| *beside_skip) {
                h = mp_cat(&h, &skip, self.concat_balance)?;
            }
            h = block.forward(&h, &emb)?;
        }
        self.conv_out.forward(&h)
    }
}

/// Blocks below `enc`, and the channels of all that is kept, the first convolution's output included.
fn encoder(builder: &Builder, weights: &Weights) -> Result<(Vec<Block>, Vec<i64>)> {
    let config = builder.config;
    let mut channels = config.channels[0];
    let (mut blocks, mut kept) = (Vec::new(), vec![channels]);
    for (level, &outputs) in config.channels.iter().enumerate() {
        let at = |name: &str| weights.at("enc").at(format!("{0}x{0}_{name}", config.img_resolution >> level));
        if level > 0 {
            blocks.push(Block::new(builder, &at("down"), [channels; 2], (true, Resize::Halve, false))?);
            kept.push(channels);
        }
        for i in 0..config.num_blocks {
            let kind = (true, Resize::Keep, config.attention[level]);
            blocks.push(Block::new(builder, &at(&format!("block{i}")), [channels, outputs], kind)?);
            channels = outputs;
            kept.push(channels);
        }
    }
    Ok((blocks, kept))
}

/// Blocks below `dec`.
fn decoder(builder: &Builder, weights: &Weights, mut kept: Vec<i64>) -> Result<Vec<Up>> {
    let config = builder.config;
    let deepest = config.channels.len() - 1;
    let mut channels = kept.last().copied().unwrap_or(0);
    let mut blocks = Vec::new();
    for (level, &outputs) in config.channels.iter().enumerate().rev() {
        let at = |name: &str| weights.at("dec").at(format!("{0}x{0}_{name}", config.img_resolution >> level));
        let same = |name: &str, resize, attention| {
            let block = Block::new(builder, &at(name), [channels; 2], (false, resize, attention))?;
            Ok(Up { block, beside_skip: false })
        };
        if level == deepest {
            blocks.extend([same("in0", Resize::Keep, true)?, same("in1", Resize::Keep, false)?]);
        } else {
            blocks.push(same("up", Resize::Double, false)?);
        }
        for i in 0..=config.num_blocks {
            let inputs = channels + kept.pop().unwrap_or(0);
            let kind = (false, Resize::Keep, config.attention[level]);
            let block = Block::new(builder, &at(&format!("block{i}")), [inputs, outputs], kind)?;
            blocks.push(Up { block, beside_skip: true });
            channels = outputs;
        }
    }
    Ok(blocks)
}

impl Edm2UNet {
    /// [B, E], before the last activation.
    fn embedding(&self, inputs: &Inputs) -> Result<Dual> {
        let noise = self.emb_noise.forward(inputs.features)?;
        match (&self.label, inputs.labels) {
            (None, None) => Ok(noise),
            (None, Some(_)) => Err(Error::mismatch("the network has no classes", "Leave the labels out.")),
            (Some(_), None) => Err(Error::mismatch("the network was trained with class labels", "Give a label.")),
            (Some(label), Some(labels)) => {
                let kind = noise.value.kind();
                mp_sum(&noise, &label.forward(labels, kind)?, label.balance)
            }
        }
    }
}

impl Label {
    /// Labels `[B]` → [B, E].
    fn forward(&self, labels: &Tensor, kind: Kind) -> Result<Dual> {
        let doing = "embedding the class labels";
        let labels = labels.f_to_kind(Kind::Int64).doing(doing)?;
        if !in_range(&labels, self.classes)? {
            let problem = format!("the network has the classes 0 to {}", self.classes - 1);
            return Err(Error::mismatch(problem, "Choose labels in that range."));
        }
        let one_hot = labels.f_one_hot(self.classes).and_then(|hot| hot.f_to_kind(kind));
        let one_hot = one_hot.and_then(|hot| hot.f_mul_scalar((self.classes as f64).sqrt())).doing(doing)?;
        self.linear.forward(&Dual::constant(one_hot))
    }
}
