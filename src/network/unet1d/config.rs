//! What a `ConditionalUnet1D` is built to, as checked values.

use super::CLASS;
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST, unsupported};
use serde_json::Value;
use std::path::Path;

/// A checked configuration. Field names are the original's.
#[derive(Debug, Clone)]
pub(super) struct Unet1dConfig {
    /// The JSON that all of this was read from.
    pub json: Value,
    /// Numbers A in an action.
    pub input_dim: i64,
    /// Numbers G in an observation; `None` for a network without.
    pub global_cond_dim: Option<i64>,
    pub diffusion_step_embed_dim: i64,
    /// Channels at each resolution, the finest first.
    pub down_dims: Vec<i64>,
    pub kernel_size: i64,
    pub n_groups: i64,
    /// Whether the condition scales channels, besides shifting them.
    pub cond_predict_scale: bool,
    /// What the layers are called.
    pub names: Names,
}

/// Names of layers that the releases call differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Names {
    /// The two convolutions of a residual block.
    pub blocks: [&'static str; 2],
    /// What changes the length behind the blocks of a resolution.
    pub resample: &'static str,
}

impl Names {
    /// diffusion_policy's.
    pub const ORIGINAL: Names = Names { blocks: ["blocks.0", "blocks.1"], resample: "2.conv" };
    /// LeRobot's.
    pub const LEROBOT: Names = Names { blocks: ["conv1", "conv2"], resample: "2" };
}

impl Unet1dConfig {
    /// Reads and checks a JSON object; `path` is for messages.
    ///
    /// # Errors
    /// For a value of a wrong type or out of range, for a local condition, and for unknown keys that do not start with `_`.
    pub fn from_json(json: &Value, path: &Path) -> Result<Self> {
        let mut keys = Keys::new(CLASS, json, path)?;
        let positive = 1..=LARGEST;
        let down_dims: Vec<i64> = keys.resolutions("down_dims", vec![256, 512, 1024])?;
        keys.check_all("down_dims", &down_dims, positive.clone())?;
        let config = Unet1dConfig {
            json: json.clone(),
            input_dim: keys.integer("input_dim", 2, positive.clone())?,
            global_cond_dim: keys.optional_integer("global_cond_dim", positive.clone())?,
            // Half of them, less one, divides the exponents of the frequencies.
            diffusion_step_embed_dim: keys.integer("diffusion_step_embed_dim", 256, 4..=LARGEST)?,
            down_dims,
            kernel_size: keys.integer("kernel_size", 3, 1..=1001)?,
            n_groups: keys.integer("n_groups", 8, positive)?,
            cond_predict_scale: keys.value("cond_predict_scale", false)?,
            names: if keys.value("lerobot_names", false)? { Names::LEROBOT } else { Names::ORIGINAL },
        };
        if config.kernel_size % 2 == 0 {
            return Err(unsupported(
                "kernel_size",
                &keys.seen("kernel_size"),
                "kernels of an odd length keep the length",
            ));
        }
        keys.refuse_set("local_cond_dim", "networks with a local condition are not built here")?;
        keys.finish()?;
        Ok(config)
    }
}
