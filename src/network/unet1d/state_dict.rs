//! From the names and shapes of a state dict to the arguments of the constructor that it comes from.

use super::CLASS;
use crate::error::{Error, Result};
use crate::network::recognise::{Shapes, StateDict, Told};
use serde_json::{Map, Value};

pub(super) const STATE_DICT: StateDict = StateDict {
    known_as: "ConditionalUnet1D of diffusion_policy or LeRobot",
    anchors: &[
        "diffusion_step_encoder.1.weight",
        "diffusion_step_encoder.3.weight",
        "down_modules.0.0.cond_encoder.1.weight",
        "mid_modules.1.cond_encoder.1.weight",
        "final_conv.0.block.0.weight",
        "final_conv.1.weight",
    ],
    config,
    note: groups,
    usage: None,
};

/// No shape tells the groups.
fn groups(told: &Told) -> Option<String> {
    let note = "8 groups of channels in every normalisation are assumed, as in the releases' configurations; say otherwise with \
                --config n_groups=N.";
    told.get("n_groups").is_none().then(|| note.into())
}

fn config(shapes: &Shapes, told: &Told) -> Result<Value> {
    if shapes.has_below("local_cond_encoder.") {
        return Err(Error::unsupported(
            "a local condition (`local_cond_encoder`)",
            "networks with a global condition, or none, are built here",
            "Export it to TorchScript with the local condition as an input, --inputs x,t,local=@COLUMN.",
        ));
    }
    let lerobot = shapes.has("down_modules.0.0.conv1.block.0.weight");
    let first =
        if lerobot { "down_modules.0.0.conv1.block.0.weight" } else { "down_modules.0.0.blocks.0.block.0.weight" };
    let projection = "down_modules.0.0.cond_encoder.1.weight";
    let width = shapes.size("diffusion_step_encoder.3.weight", 0)?;
    let down_dims: Vec<i64> = (0..shapes.count("down_modules."))
        .map(|i| shapes.size(&format!("down_modules.{i}.1.cond_encoder.1.bias"), 0))
        .collect::<Result<_>>()?;
    let outputs = shapes.size(first, 0)?;
    let scales = shapes.size(projection, 0)? == 2 * outputs;
    let mut config = Map::new();
    config.insert("_class_name".into(), CLASS.into());
    let mut set = |key: &str, value: Value| config.insert(key.into(), value);
    set("input_dim", shapes.size(first, 1)?.into());
    let observation = shapes.size(projection, 1)? - width;
    set("global_cond_dim", if observation > 0 { observation.into() } else { Value::Null });
    set("diffusion_step_embed_dim", width.into());
    set("down_dims", down_dims.into_iter().map(|dim| if scales { dim / 2 } else { dim }).collect());
    set("kernel_size", shapes.size(first, 2)?.into());
    set("cond_predict_scale", scales.into());
    set("lerobot_names", lerobot.into());
    if let Some(groups) = told.integer("n_groups")? {
        set("n_groups", groups.into());
    }
    Ok(config.into())
}
