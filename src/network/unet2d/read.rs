//! From config.json to a checked [`UNet2dConfig`], with diffusers' defaults for absent keys.
//!
//! Every value is bounded here, so that building the network afterwards can neither overflow nor divide by zero.

use super::config::{BlockType, ClassEmbedding, TimeEmbeddingType, UNet2dConfig};
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST, sample_size, unsupported};
use crate::network::unet_blocks::TimeScaleShift;
use crate::network::unet_blocks::read::{
    act_fn, channels, check_shift, downsample_padding, groups, norm_eps, scale_factor, time_embed_dim, time_scale_shift,
};
use serde_json::Value;
use std::path::Path;

impl UNet2dConfig {
    /// Reads and checks the JSON object of a config.json; `path` is for messages.
    ///
    /// # Errors
    /// A file error for a value of a wrong type, out of range or against another one; an unsupported error for values
    /// that diffusers knows and this version does not, and for unknown keys that do not start with `_`.
    pub fn from_json(json: &Value, path: &Path) -> Result<Self> {
        let mut keys = Keys::new("UNet2DModel", json, path)?;
        let block_out_channels = channels(&mut keys, &[224, 448, 672, 896])?;
        let (down_blocks, up_blocks) = blocks(&mut keys, block_out_channels.len())?;
        let resnet_time_scale_shift = time_scale_shift(&mut keys)?;
        let norm_num_groups = groups(&mut keys)?;
        let config = UNet2dConfig {
            json: json.clone(),
            sample_size: sample_size(&mut keys)?,
            in_channels: keys.integer("in_channels", 3, 1..=LARGEST)?,
            out_channels: keys.integer("out_channels", 3, 1..=LARGEST)?,
            center_input_sample: keys.value("center_input_sample", false)?,
            time_embed_dim: time_embed_dim(&mut keys, block_out_channels[0])?,
            freq_shift: keys.finite("freq_shift", 0.0)?,
            flip_sin_to_cos: keys.value("flip_sin_to_cos", true)?,
            down_blocks,
            mid_block: mid_block(&mut keys)?,
            up_blocks,
            layers_per_block: keys.integer("layers_per_block", 2, 1..=1000)?,
            mid_block_scale_factor: scale_factor(&mut keys)?,
            downsample_padding: downsample_padding(&mut keys)?,
            act_fn: act_fn(&mut keys)?,
            attention_head_dim: head_dim(&mut keys)?,
            norm_num_groups,
            mid_attention_groups: mid_attention_groups(&mut keys, resnet_time_scale_shift, norm_num_groups)?,
            norm_eps: norm_eps(&mut keys)?,
            resnet_time_scale_shift,
            add_attention: keys.value("add_attention", true)?,
            class_embedding: class_embedding(&mut keys)?,
            time_embedding_type: time_embedding_type(&mut keys)?,
            block_out_channels,
        };
        // Dropout does nothing at inference.
        keys.finite("dropout", 0.0)?;
        config.check(&keys)?;
        keys.finish()?;
        Ok(config)
    }

    /// Checks that no single value shows.
    fn check(&self, keys: &Keys) -> Result<()> {
        match self.time_embedding_type {
            TimeEmbeddingType::Positional => check_shift(keys, self.freq_shift, self.block_out_channels[0]),
            TimeEmbeddingType::Fourier | TimeEmbeddingType::Learned(_) => Ok(()),
        }
    }
}

fn blocks(keys: &mut Keys, count: usize) -> Result<(Vec<BlockType>, Vec<BlockType>)> {
    let names = |names: [&str; 4]| names.map(str::to_string).to_vec();
    let attn_down = "AttnDownBlock2D";
    let down: Vec<String> = keys.value("down_block_types", names(["DownBlock2D", attn_down, attn_down, attn_down]))?;
    let attn_up = "AttnUpBlock2D";
    let up: Vec<String> = keys.value("up_block_types", names([attn_up, attn_up, attn_up, "UpBlock2D"]))?;
    let down_by_resnet = resamples_by_resnet(keys, "downsample_type")?;
    let up_by_resnet = resamples_by_resnet(keys, "upsample_type")?;
    for (key, list) in [("down_block_types", &down), ("up_block_types", &up)] {
        if list.len() != count {
            let allowed = format!("block_out_channels has {count}, and all three must agree");
            return Err(keys.wrong(key, &format!("a list of {}", list.len()), &allowed));
        }
    }
    let down = down.iter().map(|name| block_type("down_block_types", name, ["Down", "Downsample"], down_by_resnet));
    let up = up.iter().map(|name| block_type("up_block_types", name, ["Up", "Upsample"], up_by_resnet));
    Ok((down.collect::<Result<_>>()?, up.collect::<Result<_>>()?))
}

/// The block called `name`. Of all kinds, diffusers lets only those with attention follow `downsample_type`.
fn block_type(key: &str, name: &str, [way, resampling]: [&str; 2], attention_by_resnet: bool) -> Result<BlockType> {
    let plain = format!("{way}Block2D");
    let attention = format!("Attn{way}Block2D");
    let resnet = format!("Resnet{resampling}Block2D");
    // The oldest files have this prefix.
    let bare = name.strip_prefix("UNetRes").unwrap_or(name);
    if bare == plain {
        Ok(BlockType { attention: false, resnet_resampling: false })
    } else if bare == attention {
        Ok(BlockType { attention: true, resnet_resampling: attention_by_resnet })
    } else if bare == resnet {
        Ok(BlockType { attention: false, resnet_resampling: true })
    } else {
        Err(unsupported(key, name, &format!("the blocks are {plain}, {attention} and {resnet}")))
    }
}

fn resamples_by_resnet(keys: &mut Keys, key: &'static str) -> Result<bool> {
    match keys.value(key, Some("conv".to_string()))?.as_deref() {
        None | Some("conv") => Ok(false),
        Some("resnet") => Ok(true),
        Some(other) => Err(unsupported(key, other, "it is `conv` or `resnet`")),
    }
}

fn mid_block(keys: &mut Keys) -> Result<bool> {
    let key = "mid_block_type";
    match keys.value(key, Some("UNetMidBlock2D".to_string()))?.as_deref() {
        None => Ok(false),
        Some("UNetMidBlock2D") => Ok(true),
        Some(other) => Err(unsupported(key, other, "it is `UNetMidBlock2D` or null")),
    }
}

/// Without a number of its own, attention in the middle is normalised like everything else in a network of the default
/// kind, and not at all with scale_shift: so it is in diffusers.
fn mid_attention_groups(keys: &mut Keys, shift: TimeScaleShift, norm_num_groups: i64) -> Result<Option<i64>> {
    match keys.optional_integer("attn_norm_num_groups", 1..=LARGEST)? {
        None => Ok((shift == TimeScaleShift::Default).then_some(norm_num_groups)),
        own => Ok(own),
    }
}

fn head_dim(keys: &mut Keys) -> Result<Option<i64>> {
    keys.integer_or_null("attention_head_dim", Some(8), 1..=LARGEST)
}

fn time_embedding_type(keys: &mut Keys) -> Result<TimeEmbeddingType> {
    let key = "time_embedding_type";
    let rows = keys.optional_integer("num_train_timesteps", 1..=LARGEST)?;
    match (keys.value(key, "positional".to_string())?.as_str(), rows) {
        ("positional", _) => Ok(TimeEmbeddingType::Positional),
        ("fourier", _) => Ok(TimeEmbeddingType::Fourier),
        ("learned", Some(rows)) => Ok(TimeEmbeddingType::Learned(rows)),
        ("learned", None) => Err(keys.wrong("num_train_timesteps", "absent", "a learned time embedding needs it")),
        (other, _) => Err(unsupported(key, other, "it is `positional`, `fourier` or `learned`")),
    }
}

fn class_embedding(keys: &mut Keys) -> Result<ClassEmbedding> {
    let key = "class_embed_type";
    let rows = keys.optional_integer("num_class_embeds", 1..=LARGEST)?;
    match (keys.value(key, None::<String>)?.as_deref(), rows) {
        (None, None) => Ok(ClassEmbedding::None),
        (None, Some(rows)) => Ok(ClassEmbedding::Table(rows)),
        (Some("timestep"), _) => Ok(ClassEmbedding::Timestep),
        (Some("identity"), _) => Ok(ClassEmbedding::Identity),
        (Some(other), _) => Err(unsupported(key, other, "it is null, `timestep` or `identity`")),
    }
}
