//! From the names and shapes of a state dict to the configuration that it comes from.

use super::list::{Module, Plan, modules};
use super::usage;
use crate::error::Result;
use crate::network::edm::NCSNPP;
use crate::network::recognise::{Evidence, Shapes, StateDict, Told};
use serde_json::{Value, json};

pub(super) const FOURIER: StateDict = StateDict {
    known_as: "NCSNpp of score_sde",
    anchors: &[
        "all_modules.0.W",
        "all_modules.1.weight",
        "all_modules.3.weight",
        "all_modules.4.GroupNorm_0.weight",
        "all_modules.4.Dense_0.weight",
    ],
    config: |shapes, told| config(shapes, told, true),
    note: |_| None,
    usage: Some(usage::VE),
};

pub(super) const POSITIONAL: StateDict = StateDict {
    known_as: "NCSNpp of score_sde",
    anchors: &[
        "all_modules.0.weight",
        "all_modules.1.weight",
        "all_modules.2.weight",
        "all_modules.3.GroupNorm_0.weight",
        "all_modules.3.Dense_0.weight",
    ],
    config: |shapes, told| {
        (usage::VP.read)(&Evidence { shapes, told, buffers: &[], prediction_said: true })?;
        config(shapes, told, false)
    },
    note: |_| None,
    usage: Some(usage::VP),
};

fn config(shapes: &Shapes, told: &Told, fourier: bool) -> Result<Value> {
    let first = if fourier { "all_modules.3.weight" } else { "all_modules.2.weight" };
    shapes.check_images(first)?;
    let nf = shapes.size(first, 0)?;
    let modules: Vec<Module> = modules(shapes)?;
    let layers = modules.get(if fourier { 4 } else { 3 }..).unwrap_or_default();
    let plan = Plan::new(layers)?;
    let factor = |channels: &i64| channels / nf.max(1);
    // DDPM++, which sees the image once, has means and copies of pixels; the others have a filter.
    let fir = told.flag("fir")?.unwrap_or(plan.progressive_input != "none");
    let mut config = json!({
        "_class_name": NCSNPP,
        "num_channels": shapes.size(first, 1)?,
        "nf": nf,
        "ch_mult": plan.channels.iter().map(factor).collect::<Vec<i64>>(),
        "num_res_blocks": plan.num_res_blocks,
        "attention_levels": plan.attention,
        "embedding_type": if fourier { "fourier" } else { "positional" },
        "progressive": plan.progressive,
        "progressive_input": plan.progressive_input,
        "fir": fir,
        "skip_rescale": told.flag("skip_rescale")?.unwrap_or(true),
    });
    let (inputs, outputs) = usage::channels(shapes, fourier)?;
    if outputs != inputs {
        config["output_channels"] = outputs.into();
    }
    if shapes.has("sigmas") {
        config["num_scales"] = shapes.size("sigmas", 0)?.into();
    }
    if let Some(size) = told.integer("image_size")? {
        config["image_size"] = size.into();
    }
    Ok(config)
}
