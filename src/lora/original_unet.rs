//! The original names (Stability-AI/generative-models) of the layers of Stable Diffusion XL.

use std::collections::BTreeSet;

/// The original code's names of diffusers' layers, whose lists of blocks are flat.
pub(super) struct OriginalUnet {
    /// Residual blocks of a resolution on the way down.
    layers: usize,
    /// Resolutions on the way up that have attention.
    attends: BTreeSet<usize>,
}

impl OriginalUnet {
    /// Of the network with these layers.
    pub fn of(layers: &BTreeSet<String>) -> Self {
        let has = |prefix: &str| layers.range(prefix.to_string()..).next().is_some_and(|name| name.starts_with(prefix));
        OriginalUnet {
            layers: (0..).take_while(|i| has(&format!("down_blocks.0.resnets.{i}."))).count(),
            attends: (0..64).filter(|i| has(&format!("up_blocks.{i}.attentions."))).collect(),
        }
    }

    /// The original name of `layer`; `None` where it has none.
    pub fn name(&self, layer: &str) -> Option<String> {
        let Some((block, rest)) = layer.split_once('.') else { return single(layer) };
        match block {
            "down_blocks" | "up_blocks" => {
                let mut parts = rest.splitn(4, '.');
                let (level, kind, index) =
                    (parts.next()?.parse::<usize>().ok()?, parts.next()?, parts.next()?.parse::<usize>().ok()?);
                self.block(block == "up_blocks", level, (kind, index), parts.next()?)
            }
            "mid_block" => {
                let mut parts = rest.splitn(3, '.');
                let (kind, index, inner) = (parts.next()?, parts.next()?.parse::<usize>().ok()?, parts.next()?);
                match kind {
                    "resnets" => Some(format!("middle_block.{}.{}", 2 * index, resnet(inner)?)),
                    _ => Some(format!("middle_block.1.{inner}")),
                }
            }
            _ => single(layer),
        }
    }

    fn block(&self, up: bool, level: usize, (kind, index): (&str, usize), inner: &str) -> Option<String> {
        // Behind the first convolution, every resolution has its blocks and, but for the last, a change of resolution.
        let place =
            |index: usize| if up { level * (self.layers + 1) + index } else { 1 + level * (self.layers + 1) + index };
        let way = if up { "output_blocks" } else { "input_blocks" };
        match kind {
            "resnets" => Some(format!("{way}.{}.0.{}", place(index), resnet(inner)?)),
            "attentions" => Some(format!("{way}.{}.1.{inner}", place(index))),
            "downsamplers" => Some(format!("{way}.{}.0.op", place(self.layers))),
            // In the last block of a resolution, behind attention where it has some.
            "upsamplers" => {
                Some(format!("{way}.{}.{}.conv", place(self.layers), 1 + usize::from(self.attends.contains(&level))))
            }
            _ => None,
        }
    }
}

/// A layer of a residual block.
fn resnet(inner: &str) -> Option<&'static str> {
    Some(match inner {
        "norm1" => "in_layers.0",
        "conv1" => "in_layers.2",
        "time_emb_proj" => "emb_layers.1",
        "norm2" => "out_layers.0",
        "conv2" => "out_layers.3",
        "conv_shortcut" => "skip_connection",
        _ => return None,
    })
}

/// A layer outside of all blocks.
fn single(layer: &str) -> Option<String> {
    let original = match layer {
        "conv_in" => "input_blocks.0.0",
        "time_embedding.linear_1" => "time_embed.0",
        "time_embedding.linear_2" => "time_embed.2",
        "add_embedding.linear_1" => "label_emb.0.0",
        "add_embedding.linear_2" => "label_emb.0.2",
        "conv_norm_out" => "out.0",
        "conv_out" => "out.2",
        _ => return None,
    };
    Some(original.into())
}
