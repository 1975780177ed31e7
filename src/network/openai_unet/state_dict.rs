//! From the names and shapes of a state dict to the arguments of the constructor that it comes from.

use super::consistency::{self, is_consistency_model};
use super::{CLASS, read::GROUPS};
use crate::error::{Error, Result};
use crate::network::recognise::{Shapes, StateDict, Told, unknown_variant};
use serde_json::{Map, Value, json};

pub(super) const STATE_DICT: StateDict = StateDict {
    known_as: "UNetModel of improved-, guided- or latent-diffusion, or of consistency_models",
    anchors: &[
        "time_embed.0.weight",
        "time_embed.2.weight",
        "input_blocks.0.0.weight",
        "input_blocks.1.0.in_layers.2.weight",
        "middle_block.0.emb_layers.1.weight",
        "middle_block.2.out_layers.3.weight",
        "output_blocks.0.0.in_layers.2.weight",
        "out.2.weight",
    ],
    config,
    note: |_| None,
    usage: Some(consistency::USAGE),
};

fn config(shapes: &Shapes, told: &Told) -> Result<Value> {
    refuse_variants(shapes)?;
    let plan = Plan::new(shapes)?;
    let model_channels = shapes.size("time_embed.0.weight", 1)?;
    let mut config = Map::new();
    config.insert("_class_name".into(), CLASS.into());
    let mut set = |key: &str, value: Value| config.insert(key.into(), value);
    set("in_channels", shapes.size("input_blocks.0.0.weight", 1)?.into());
    set("model_channels", model_channels.into());
    set("out_channels", shapes.size("out.2.weight", 0)?.into());
    set("num_res_blocks", plan.num_res_blocks.into());
    set("channel_mult", plan.channel_mult(shapes, model_channels)?);
    set("attention_resolutions", plan.attention_resolutions(shapes));
    let middle = shapes.size("middle_block.0.out_layers.3.weight", 0)?;
    let projected = shapes.size("middle_block.0.emb_layers.1.weight", 0)?;
    set("use_scale_shift_norm", (projected == 2 * middle).into());
    set("resblock_updown", plan.resblock_updown.into());
    set("conv_resample", plan.conv_resample.into());
    if shapes.has("label_emb.weight") {
        set("num_classes", shapes.size("label_emb.weight", 0)?.into());
    }
    for (key, value) in heads(told)? {
        set(key, value.into());
    }
    set(
        "use_new_attention_order",
        told.flag("use_new_attention_order")?.unwrap_or(is_consistency_model(shapes)).into(),
    );
    set("norm_num_groups", told.integer("norm_num_groups")?.unwrap_or(GROUPS).into());
    if let Some(size) = told.integer("image_size")? {
        set("image_size", size.into());
    }
    Ok(config.into())
}

fn refuse_variants(shapes: &Shapes) -> Result<()> {
    if let Some(name) = shapes.names().find(|name| name.contains(".transformer_blocks.")) {
        return Err(Error::unsupported(
            format!("`{name}`, a transformer of latent-diffusion or Stable Diffusion"),
            "of these releases, the networks without a context are built here",
            "Convert it with diffusers (StableDiffusionPipeline.from_single_file, then unet.save_pretrained) and give \
             that folder, or export it to TorchScript.",
        ));
    }
    shapes.check_images("input_blocks.0.0.weight")
}

/// Heads leave no trace in any shape.
fn heads(told: &Told) -> Result<Vec<(&'static str, i64)>> {
    if let Some(channels) = told.integer("num_head_channels")? {
        return Ok(vec![("num_head_channels", channels)]);
    }
    let what = "the number of attention heads (num_heads, often 4 or 1), or of channels in each (num_head_channels: 64 \
                in most networks of guided-diffusion, 32 in those of latent-diffusion)";
    let mut heads = vec![("num_heads", told.required("num_heads", what, &[4, 1])?)];
    heads.extend(told.integer("num_heads_upsample")?.map(|up| ("num_heads_upsample", up)));
    Ok(heads)
}

/// How the blocks are spread over resolutions.
struct Plan {
    levels: usize,
    num_res_blocks: usize,
    resblock_updown: bool,
    conv_resample: bool,
}

impl Plan {
    fn new(shapes: &Shapes) -> Result<Self> {
        let blocks = shapes.count("output_blocks.");
        // Behind the residual block, and attention where there is some, stands what doubles the resolution.
        let behind = |name: &str| {
            let doubles = |block: &usize| (1..3).any(|i| shapes.has(&format!("output_blocks.{block}.{i}.{name}")));
            (0..blocks).filter(doubles).count()
        };
        let (by_conv, by_resnet) = (behind("conv.weight"), behind("in_layers.2.weight"));
        // Means and copies of pixels have no parameters, so a number is left out on the way down.
        let bare = (1..blocks).filter(|block| !shapes.has_below(&format!("input_blocks.{block}."))).count();
        let levels = 1 + by_conv + by_resnet + bare;
        let kinds = [by_conv, by_resnet, bare].iter().filter(|count| **count > 0).count();
        if kinds > 1 || !blocks.is_multiple_of(levels) || blocks < 2 * levels {
            let problem =
                format!("its {blocks} output blocks do not spread over {levels} resolutions as in the releases");
            return Err(unknown_variant(problem));
        }
        let num_res_blocks = blocks / levels - 1;
        Ok(Plan { levels, num_res_blocks, resblock_updown: by_resnet > 0, conv_resample: bare == 0 })
    }

    /// The first block at a resolution on the way down.
    fn first_block(&self, level: usize) -> usize {
        1 + level * (self.num_res_blocks + 1)
    }

    /// Channels at each resolution by `model_channels`.
    fn channel_mult(&self, shapes: &Shapes, model_channels: i64) -> Result<Value> {
        let factor = |level| {
            let channels =
                shapes.size(&format!("input_blocks.{}.0.out_layers.3.weight", self.first_block(level)), 0)?;
            let model_channels = model_channels.max(1);
            Ok(if channels % model_channels == 0 {
                json!(channels / model_channels)
            } else {
                json!(channels as f64 / model_channels as f64)
            })
        };
        Ok(Value::Array((0..self.levels).map(factor).collect::<Result<_>>()?))
    }

    /// Factors by which x is smaller where there is attention.
    fn attention_resolutions(&self, shapes: &Shapes) -> Value {
        let attends = |level: &usize| shapes.has(&format!("input_blocks.{}.1.qkv.weight", self.first_block(*level)));
        (0..self.levels).filter(attends).map(|level| json!(1u64 << level.min(62))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::recognise;

    /// Names and shapes of a network with two resolutions, attention at the coarser, and residual blocks in between.
    fn shapes() -> Shapes {
        let (time, block) = ([256, 64].as_slice(), "in_layers.2.weight");
        let shape = |outputs: i64, inputs: i64| vec![outputs, inputs, 3, 3];
        let mut shapes = vec![
            ("time_embed.0.weight".to_string(), time.to_vec()),
            ("time_embed.2.weight".into(), vec![256, 256]),
            ("label_emb.weight".into(), vec![1000, 256]),
            ("input_blocks.0.0.weight".into(), shape(32, 3)),
            ("input_blocks.3.1.qkv.weight".into(), vec![192, 64, 1]),
            ("middle_block.0.emb_layers.1.weight".into(), vec![128, 256]),
            ("output_blocks.1.2.in_layers.2.weight".into(), shape(64, 64)),
            ("out.2.weight".into(), shape(6, 32)),
        ];
        let resnets =
            ["input_blocks.1.0", "input_blocks.2.0", "output_blocks.2.0", "output_blocks.3.0"].map(|n| (n, 32));
        let deep = ["input_blocks.3.0", "middle_block.0", "middle_block.2", "output_blocks.0.0", "output_blocks.1.0"];
        for (name, channels) in resnets.into_iter().chain(deep.map(|name| (name, 64))) {
            shapes.push((format!("{name}.{block}"), shape(channels, channels)));
            shapes.push((format!("{name}.out_layers.3.weight"), shape(channels, channels)));
        }
        shapes.into_iter().collect()
    }

    fn known(shapes: &Shapes) -> StateDict {
        recognise(shapes).unwrap().1
    }

    #[test]
    fn shapes_tell_all_but_the_heads() {
        let shapes = shapes();
        let message = (known(&shapes).config)(&shapes, &Told::default()).unwrap_err().to_string();
        assert!(message.contains("--config num_heads=4") && message.contains("num_head_channels: 64"), "{message}");
        let config = (known(&shapes).config)(&shapes, &Told::of(json!({"num_head_channels": 64}))).unwrap();
        assert_eq!(
            config,
            json!({
                "_class_name": "UNetModel", "in_channels": 3, "model_channels": 64, "out_channels": 6,
                "num_res_blocks": 1, "channel_mult": [0.5, 1], "attention_resolutions": [2],
                "use_scale_shift_norm": true, "resblock_updown": true, "conv_resample": true, "num_classes": 1000,
                "num_head_channels": 64, "use_new_attention_order": false, "norm_num_groups": 32,
            })
        );
    }

    #[test]
    fn networks_with_a_text_are_refused_by_name() {
        let name = "middle_block.1.transformer_blocks.0.attn2.to_k.weight";
        let names = shapes();
        let all = names.names().map(|name| (name.to_string(), names.get(name).unwrap().to_vec()));
        let shapes: Shapes = all.chain([(name.to_string(), vec![64, 768])]).collect();
        let message = (known(&shapes).config)(&shapes, &Told::of(json!({"num_heads": 8}))).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("from_single_file"), "{message}");
    }
}
