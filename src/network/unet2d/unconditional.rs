//! The keys that only a `UNet2DModel` has.

use super::config::{AttentionPlan, BlockPlan, BodyPlan, MidPlan, TimeEmbeddingType};
use super::shared::{Own, block_types, channels, downsample_padding, mid_block, resnet};
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST, unsupported};
use crate::nn::{Activation, AttentionConfig};

pub(super) fn read(keys: &mut Keys) -> Result<Own> {
    // Dropout does nothing at inference.
    keys.finite("dropout", 0.0)?;
    Ok(Own {
        body: body(keys)?,
        time_embedding_type: time_embedding_type(keys)?,
        time_activation: Activation::Silu,
        cross_attention_dim: None,
        text_time: None,
    })
}

fn body(keys: &mut Keys) -> Result<BodyPlan> {
    let channels = channels(keys, &[224, 448, 672, 896])?;
    let resnet = resnet(keys, channels[0])?;
    let head_dim = keys.integer_or_null("attention_head_dim", Some(8), 1..=LARGEST)?;
    let attention = |channels: i64, norm_groups, rescale| {
        let head_dim = head_dim.unwrap_or(channels);
        let norm_epsilon = resnet.norm_epsilon;
        AttentionPlan::Pixels(AttentionConfig { channels, head_dim, norm_groups, norm_epsilon, rescale })
    };
    let layers = keys.integer("layers_per_block", 2, 1..=1000)?;
    let block = |(block, &channels): (BlockType, &i64), layers| BlockPlan {
        layers,
        attention: block.attention.then(|| attention(channels, Some(resnet.norm_groups), 1.0)),
        resnet_resampling: block.resnet_resampling,
    };
    let [down, up] = blocks(keys, channels.len())?;
    // Without a number of its own, attention in the middle is normalised like everything else in a network of the
    // default kind, and not at all with scale_shift: so it is in diffusers.
    let default_groups = (!resnet.scale_shift).then_some(resnet.norm_groups);
    let mid_groups = keys.optional_integer("attn_norm_num_groups", 1..=LARGEST)?.or(default_groups);
    let mid_attention = keys.value("add_attention", true)?;
    let middle = |scale_factor| {
        let attention = mid_attention.then(|| attention(channels[channels.len() - 1], mid_groups, scale_factor));
        MidPlan { attention, scale_factor }
    };
    Ok(BodyPlan {
        in_channels: keys.integer("in_channels", 3, 1..=LARGEST)?,
        out_channels: keys.integer("out_channels", 3, 1..=LARGEST)?,
        resnet,
        down: down.into_iter().zip(&channels).map(|pair| block(pair, layers)).collect(),
        mid: mid_block(keys, "UNetMidBlock2D")?.map(middle),
        up: up.into_iter().zip(channels.iter().rev()).map(|pair| block(pair, layers + 1)).collect(),
        downsample_padding: downsample_padding(keys)?,
        last_activation: Activation::Silu,
        channels,
    })
}

/// One resolution, on the way down or up.
struct BlockType {
    /// Self-attention behind every residual block.
    attention: bool,
    /// Whether the size is changed by a residual block, not by a single convolution.
    resnet_resampling: bool,
}

/// The blocks on the way down, and those on the way up.
fn blocks(keys: &mut Keys, count: usize) -> Result<[Vec<BlockType>; 2]> {
    let [attn_down, attn_up] = ["AttnDownBlock2D", "AttnUpBlock2D"];
    let down = block_types(keys, "down_block_types", ["DownBlock2D", attn_down, attn_down, attn_down], count)?;
    let up = block_types(keys, "up_block_types", [attn_up, attn_up, attn_up, "UpBlock2D"], count)?;
    let down_by_resnet = resamples_by_resnet(keys, "downsample_type")?;
    let up_by_resnet = resamples_by_resnet(keys, "upsample_type")?;
    let down = down.iter().map(|name| block_type("down_block_types", name, ["Down", "Downsample"], down_by_resnet));
    let up = up.iter().map(|name| block_type("up_block_types", name, ["Up", "Upsample"], up_by_resnet));
    Ok([down.collect::<Result<_>>()?, up.collect::<Result<_>>()?])
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
