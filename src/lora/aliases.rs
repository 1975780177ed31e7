//! The names that LoRA files have for the layers of a network.
//!
//! sd-scripts writes underscores for dots, and for Stable Diffusion XL and FLUX names the layers as the original code does:
//! `input_blocks_4_1_…` is `down_blocks.1.attentions.0.…`, and `double_blocks_0_img_attn_qkv` stands for three layers.

use super::original_flux;
use super::original_unet::OriginalUnet;
use std::collections::{BTreeMap, BTreeSet};

/// Layers by every name that they may have.
pub(super) struct Aliases {
    /// Names as the network has them.
    plain: BTreeSet<String>,
    /// The network's names by those with underscores: of one layer, or of several whose outputs are laid one behind the other,
    /// with their places.
    flat: BTreeMap<String, Vec<(usize, String)>>,
}

impl Aliases {
    /// Of the layers with these parameters.
    pub fn of<'a>(parameters: impl Iterator<Item = &'a str>) -> Self {
        let layers = parameters.filter_map(|name| name.strip_suffix(".weight"));
        let plain: BTreeSet<String> = layers.map(str::to_string).collect();
        let unet = OriginalUnet::of(&plain);
        let mut flat: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
        for layer in &plain {
            let whole = [Some(layer.clone()), unet.name(layer)].into_iter().flatten().map(|name| (name, 0));
            for (name, place) in whole.chain(original_flux::name(layer)) {
                flat.entry(name.replace('.', "_")).or_default().push((place, layer.clone()));
            }
        }
        flat.values_mut().for_each(|layers| layers.sort());
        Aliases { plain, flat }
    }

    /// The network's layers that a file calls `name`, in the order of their outputs; none where there is no such layer.
    pub fn layers(&self, name: &str, flat: bool) -> Vec<&str> {
        if let Some(layer) = self.plain.get(name).filter(|_| !flat) {
            return vec![layer];
        }
        let found = self.flat.get(&name.replace('.', "_"));
        found.into_iter().flatten().map(|(_, layer)| layer.as_str()).collect()
    }
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
            assert_eq!(aliases.layers(flat, true), Vec::from_iter(layer), "{flat}");
        }
        for (name, flat) in [("conv_in", false), ("input_blocks.0.0", false), ("conv_in", true)] {
            assert_eq!(aliases.layers(name, flat), ["conv_in"], "{name}");
        }
    }

    #[test]
    fn one_layer_of_flux_stands_for_several() {
        let parameters = [
            "single_transformer_blocks.3.attn.to_v.weight",
            "single_transformer_blocks.3.attn.to_q.weight",
            "single_transformer_blocks.3.proj_mlp.weight",
            "single_transformer_blocks.3.attn.to_k.weight",
            "transformer_blocks.10.attn.add_k_proj.weight",
            "transformer_blocks.10.norm1_context.linear.weight",
            "x_embedder.weight",
        ];
        let aliases = Aliases::of(parameters.into_iter());
        let block = "single_transformer_blocks.3";
        let four = ["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"].map(|layer| format!("{block}.{layer}"));
        assert_eq!(aliases.layers("single_blocks_3_linear1", true), four);
        assert_eq!(aliases.layers("double_blocks_10_txt_attn_qkv", true), ["transformer_blocks.10.attn.add_k_proj"]);
        assert_eq!(
            aliases.layers("double_blocks_10_txt_mod_lin", true),
            ["transformer_blocks.10.norm1_context.linear"]
        );
        assert_eq!(aliases.layers("img_in", true), ["x_embedder"]);
        assert!(aliases.layers("double_blocks_0_img_attn_qkv", true).is_empty());
    }
}
