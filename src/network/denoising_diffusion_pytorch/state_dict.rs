//! From the names and shapes of a state dict to the arguments of the constructor that it comes from.

use super::CLASS;
use crate::error::{Error, Result};
use crate::network::recognise::{Shapes, StateDict, Told, unknown_variant};
use serde_json::{Map, Value};

pub(super) const STATE_DICT: StateDict = StateDict {
    known_as: "Unet of denoising-diffusion-pytorch",
    anchors: &[
        "init_conv.weight",
        "time_mlp.1.weight",
        "downs.0.0.block1.proj.weight",
        "mid_block1.block1.proj.weight",
        "ups.0.0.block1.proj.weight",
        "final_res_block.block1.proj.weight",
        "final_conv.weight",
    ],
    config,
    note: |_| None,
    usage: None,
};

/// Groups that the releases with group normalisation take by default.
const GROUPS: i64 = 8;

fn config(shapes: &Shapes, told: &Told) -> Result<Value> {
    refuse_variants(shapes)?;
    let dim = shapes.size("time_mlp.1.weight", 0)? / 4;
    let mut config = Map::new();
    config.insert("_class_name".into(), CLASS.into());
    let mut set = |key: &str, value: Value| config.insert(key.into(), value);
    set("dim", dim.into());
    set("init_dim", shapes.size("init_conv.weight", 0)?.into());
    set("dim_mults", dim_mults(shapes, dim)?);
    let (inputs, outputs) = (shapes.size("init_conv.weight", 1)?, shapes.size("final_conv.weight", 0)?);
    // Twice as many inputs as outputs: x and an earlier prediction of it.
    let self_condition = told.flag("self_condition")?.unwrap_or(inputs == 2 * outputs);
    set("channels", if self_condition { inputs / 2 } else { inputs }.into());
    set("self_condition", self_condition.into());
    set("out_dim", outputs.into());
    let fourier = shapes.has("time_mlp.0.weights");
    set("learned_sinusoidal_cond", fourier.into());
    if fourier {
        set("learned_sinusoidal_dim", (2 * shapes.size("time_mlp.0.weights", 0)?).into());
    }
    if let Some(theta) = told.get("sinusoidal_pos_emb_theta") {
        set("sinusoidal_pos_emb_theta", theta.clone());
    }
    for (key, value) in attention(shapes, told)? {
        set(key, value);
    }
    let grouped = shapes.has("downs.0.0.block1.norm.weight");
    let groups = if grouped { Some(told.integer("resnet_block_groups")?.unwrap_or(GROUPS)) } else { None };
    set("resnet_block_groups", groups.into());
    if let Some(size) = told.integer("image_size")? {
        set("image_size", size.into());
    }
    Ok(config.into())
}

fn refuse_variants(shapes: &Shapes) -> Result<()> {
    shapes.check_images("init_conv.weight")?;
    match shapes.names().find(|name| name.contains(".fn.") || name.starts_with("classes_")) {
        None => Ok(()),
        Some(name) => Err(Error::mismatch(
            format!(
                "its `{name}` is of a release below 1.8 or of the class-conditional Unet: older releases standardise the \
                 weights of convolutions, or do not, which no name tells, and the unconditional Unet of 1.8 and later \
                 is built here"
            ),
            "Export it to TorchScript.",
        )),
    }
}

/// Channels behind each resolution by `dim`.
fn dim_mults(shapes: &Shapes, dim: i64) -> Result<Value> {
    let stages = shapes.count("downs.");
    let factor = |stage: usize| {
        let name = if stage + 1 == stages { "3.weight" } else { "3.1.weight" };
        let channels = shapes.size(&format!("downs.{stage}.{name}"), 0)?;
        if dim > 0 && channels % dim == 0 {
            return Ok(channels / dim);
        }
        Err(unknown_variant(format!("its {channels} channels behind `downs.{stage}` are no multiple of {dim}")))
    };
    Ok((0..stages).map(factor).collect::<Result<Vec<i64>>>()?.into())
}

/// Kind, heads and memory of attention. Memory tells the heads; without it they leave no trace.
fn attention(shapes: &Shapes, told: &Told) -> Result<[(&'static str, Value); 4]> {
    let (mut full, mut heads, mut head_dims) = (vec![], vec![], vec![]);
    for stage in 0..shapes.count("downs.") {
        let at = |name: &str| format!("downs.{stage}.2.{name}");
        let inner = shapes.size(&at("to_qkv.weight"), 0)? / 3;
        let count = if shapes.has(&at("mem_kv")) {
            shapes.size(&at("mem_kv"), 1)?
        } else {
            let likely = if inner % 32 == 0 { inner / 32 } else { 4 };
            told.required("attn_heads", "the number of attention heads (4 by default)", &[likely])?
        };
        if count < 1 || inner % count != 0 {
            let next = "Correct --config attn_heads; it is one number for all layers.";
            return Err(Error::mismatch(
                format!("{count} heads do not divide the {inner} channels of attention"),
                next,
            ));
        }
        full.push(shapes.has(&at("to_out.weight")));
        heads.push(count);
        head_dims.push(inner / count);
    }
    let memory = if shapes.has("mid_attn.mem_kv") { shapes.size("mid_attn.mem_kv", 2)? } else { 0 };
    Ok([
        ("full_attn", full.into()),
        ("attn_heads", heads.into()),
        ("attn_dim_head", head_dims.into()),
        ("num_mem_kv", memory.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::recognise;
    use serde_json::json;

    /// Names and shapes of a network with one resolution, with or without memory in its attention.
    fn shapes(memory: bool, more: &[(&str, &[i64])]) -> Shapes {
        let kernel = [64, 64, 3, 3].as_slice();
        let mut shapes: Vec<(&str, &[i64])> = vec![
            ("init_conv.weight", &[64, 6, 7, 7]),
            ("time_mlp.1.weight", &[256, 64]),
            ("downs.0.0.block1.proj.weight", kernel),
            ("downs.0.2.to_qkv.weight", &[384, 64, 1, 1]),
            ("downs.0.2.to_out.weight", &[64, 128, 1, 1]),
            ("downs.0.3.weight", kernel),
            ("mid_block1.block1.proj.weight", kernel),
            ("ups.0.0.block1.proj.weight", kernel),
            ("final_res_block.block1.proj.weight", kernel),
            ("final_conv.weight", &[3, 64, 1, 1]),
        ];
        if memory {
            shapes.extend([("downs.0.2.mem_kv", [2, 8, 4, 16].as_slice()), ("mid_attn.mem_kv", &[2, 8, 4, 16])]);
        }
        shapes.into_iter().chain(more.iter().copied()).map(|(name, shape)| (name.into(), shape.to_vec())).collect()
    }

    fn config_of(shapes: &Shapes, told: Value) -> Result<Value> {
        (recognise(shapes).unwrap().1.config)(shapes, &Told::of(told))
    }

    #[test]
    fn memory_tells_the_heads() {
        let config = config_of(&shapes(true, &[]), json!({})).unwrap();
        assert_eq!(
            config,
            json!({
                "_class_name": "Unet", "dim": 64, "init_dim": 64, "dim_mults": [1], "channels": 3,
                "self_condition": true, "out_dim": 3, "learned_sinusoidal_cond": false, "full_attn": [true],
                "attn_heads": [8], "attn_dim_head": [16], "num_mem_kv": 4, "resnet_block_groups": null,
            })
        );
    }

    #[test]
    fn without_memory_the_heads_are_asked_for() {
        let shapes = shapes(false, &[("downs.0.0.block1.norm.weight", &[64])]);
        let message = config_of(&shapes, json!({})).unwrap_err().to_string();
        assert!(message.contains("--config attn_heads=4"), "{message}");
        let config = config_of(&shapes, json!({"attn_heads": 2})).unwrap();
        assert_eq!((&config["attn_dim_head"], &config["num_mem_kv"]), (&json!([64]), &json!(0)));
        assert_eq!(config["resnet_block_groups"], json!(8));
        assert!(config_of(&shapes, json!({"attn_heads": 3})).is_err());
    }

    #[test]
    fn old_releases_are_refused_by_name() {
        let shapes = shapes(false, &[("downs.0.2.fn.norm.g", &[1, 64, 1, 1])]);
        let message = config_of(&shapes, json!({})).unwrap_err().to_string();
        assert!(message.contains("below 1.8") && message.contains("TorchScript"), "{message}");
    }
}
