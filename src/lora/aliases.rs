//! The names that LoRA files have for the layers of a network.
//!
//! sd-scripts writes underscores for dots, and for Stable Diffusion XL names the layers as the original code does
//! (Stability-AI/generative-models): `input_blocks_4_1_…` is `down_blocks.1.attentions.0.…`.

use std::collections::{BTreeMap, BTreeSet};

/// Layers by every name that they may have.
pub(super) struct Aliases {
    /// Names as the network has them.
    plain: BTreeSet<String>,
    /// The network's names by those with underscores.
    flat: BTreeMap<String, String>,
}

impl Aliases {
    /// Of the layers with these parameters.
    pub fn of<'a>(parameters: impl Iterator<Item = &'a str>) -> Self {
        let layers = parameters.filter_map(|name| name.strip_suffix(".weight"));
        let plain: BTreeSet<String> = layers.map(str::to_string).collect();
        let original = Original::of(&plain);
        let mut flat = BTreeMap::new();
        for layer in &plain {
            let names = [Some(layer.clone()), original.name(layer)];
            for name in names.into_iter().flatten() {
                flat.insert(name.replace('.', "_"), layer.clone());
            }
        }
        Aliases { plain, flat }
    }

    /// The network's name of the layer that a file calls `name`.
    pub fn layer(&self, name: &str, flat: bool) -> Option<&str> {
        let found = if flat {
            self.flat.get(name)
        } else {
            self.plain.get(name).or_else(|| self.flat.get(&name.replace('.', "_")))
        };
        found.map(String::as_str)
    }
}

/// The original code's names of diffusers' layers, whose lists of blocks are flat.
struct Original {
    /// Residual blocks of a resolution on the way down.
    layers: usize,
    /// Resolutions on the way up that have attention.
    attends: BTreeSet<usize>,
}

impl Original {
    fn of(layers: &BTreeSet<String>) -> Self {
        let has = |prefix: &str| layers.range(prefix.to_string()..).next().is_some_and(|name| name.starts_with(prefix));
        Original {
            layers: (0..).take_while(|i| has(&format!("down_blocks.0.resnets.{i}."))).count(),
            attends: (0..64).filter(|i| has(&format!("up_blocks.{i}.attentions."))).collect(),
        }
    }

    /// The original name of `layer`; `None` where it has none.
    fn name(&self, layer: &str) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_stable_diffusion_xl_have_their_original_names() {
        let parameters = [
            "conv_in.weight",
            "down_blocks.0.resnets.0.conv1.weight",
            "down_blocks.0.resnets.1.conv2.weight",
            "down_blocks.0.downsamplers.0.conv.weight",
            "down_blocks.1.attentions.0.transformer_blocks.1.attn1.to_out.0.weight",
            "mid_block.attentions.0.proj_in.weight",
            "mid_block.resnets.1.conv1.weight",
            "up_blocks.0.attentions.2.proj_out.weight",
            "up_blocks.0.upsamplers.0.conv.weight",
            "up_blocks.2.resnets.2.conv_shortcut.weight",
            "up_blocks.1.upsamplers.0.conv.weight",
        ];
        let aliases = Aliases::of(parameters.into_iter());
        for (flat, layer) in [
            ("input_blocks_0_0", Some("conv_in")),
            ("input_blocks_1_0_in_layers_2", Some("down_blocks.0.resnets.0.conv1")),
            ("input_blocks_2_0_out_layers_3", Some("down_blocks.0.resnets.1.conv2")),
            ("input_blocks_3_0_op", Some("down_blocks.0.downsamplers.0.conv")),
            (
                "input_blocks_4_1_transformer_blocks_1_attn1_to_out_0",
                Some("down_blocks.1.attentions.0.transformer_blocks.1.attn1.to_out.0"),
            ),
            ("middle_block_1_proj_in", Some("mid_block.attentions.0.proj_in")),
            ("middle_block_2_in_layers_2", Some("mid_block.resnets.1.conv1")),
            ("output_blocks_2_1_proj_out", Some("up_blocks.0.attentions.2.proj_out")),
            ("output_blocks_2_2_conv", Some("up_blocks.0.upsamplers.0.conv")),
            ("output_blocks_5_1_conv", Some("up_blocks.1.upsamplers.0.conv")),
            ("output_blocks_8_0_skip_connection", Some("up_blocks.2.resnets.2.conv_shortcut")),
            ("down_blocks_0_resnets_0_conv1", Some("down_blocks.0.resnets.0.conv1")),
            ("input_blocks_9_0_in_layers_2", None),
        ] {
            assert_eq!(aliases.layer(flat, true), layer, "{flat}");
        }
        assert_eq!(aliases.layer("conv_in", false), Some("conv_in"));
        assert_eq!(aliases.layer("input_blocks.0.0", false), Some("conv_in"));
        assert_eq!(aliases.layer("conv_in", true), Some("conv_in"));
    }
}
