//! From the JSON of a configuration to a checked [`DitConfig`], with the defaults of the release for absent keys.

use super::config::{DitConfig, PAPER_NONLINEARITY, Release};
use crate::error::{Error, Result};
use crate::network::keys::{Keys, LARGEST, unsupported};
use crate::nn::{Activation, Nonlinearity};
use serde_json::Value;
use std::path::Path;

/// More patches along a side than any network has.
const LARGEST_GRID: i64 = 512;

impl DitConfig {
    /// Reads and checks the configuration of either release; `path` is for messages.
    pub fn from_json(json: &Value, path: &Path) -> Result<Self> {
        match json.get("_class_name").and_then(Value::as_str) {
            Some("DiT") => DitConfig::paper("DiT", json, path),
            Some("SiT") => DitConfig::paper("SiT", json, path),
            _ => DitConfig::diffusers(json, path),
        }
    }

    /// The arguments of the constructor in the paper's release, under their names there.
    ///
    /// # Errors
    /// For a value of a wrong type, out of range or against another one, and for unknown keys.
    fn paper(class_name: &'static str, json: &Value, path: &Path) -> Result<Self> {
        let mut keys = Keys::new(class_name, json, path)?;
        let positive = 1..=LARGEST;
        let in_channels = keys.integer("in_channels", 4, positive.clone())?;
        let hidden_size = keys.integer("hidden_size", 1152, positive.clone())?;
        let learn_sigma = keys.value("learn_sigma", true)?;
        let config = DitConfig {
            class_name,
            json: json.clone(),
            release: Release::Paper,
            input_size: keys.integer("input_size", 32, positive.clone())?,
            patch_size: keys.integer("patch_size", 2, positive.clone())?,
            in_channels,
            out_channels: if learn_sigma { 2 * in_channels } else { in_channels },
            hidden_size,
            depth: keys.integer("depth", 28, 1..=10_000)?,
            heads: keys.integer("num_heads", 16, positive.clone())?,
            attention_bias: true,
            mlp_hidden: mlp_hidden(&mut keys, hidden_size)?,
            nonlinearity: PAPER_NONLINEARITY,
            classes: keys.integer("num_classes", 1000, positive)?,
            null_class: keys.finite("class_dropout_prob", 0.1)? > 0.0,
            freq_shift: 0.0,
            norm_eps: [1e-6; 2],
        };
        keys.finish()?;
        config.check(&keys, ["input_size", "hidden_size"])
    }

    /// The config.json of a `DiTTransformer2DModel`, or of the `Transformer2DModel` that it was part of before.
    ///
    /// # Errors
    /// The same, and for values that diffusers knows and this version does not.
    fn diffusers(json: &Value, path: &Path) -> Result<Self> {
        let mut keys = Keys::new("DiTTransformer2DModel", json, path)?;
        let positive = 1..=LARGEST;
        refuse_other_transformers(&mut keys)?;
        let heads = keys.integer("num_attention_heads", 16, positive.clone())?;
        let hidden_size = heads * keys.integer("attention_head_dim", 72, positive.clone())?;
        let in_channels = keys.integer("in_channels", 4, positive.clone())?;
        let config = DitConfig {
            class_name: "DiTTransformer2DModel",
            json: json.clone(),
            release: Release::Diffusers,
            input_size: keys.integer("sample_size", 32, positive.clone())?,
            patch_size: keys.integer("patch_size", 2, positive.clone())?,
            in_channels,
            out_channels: keys.optional_integer("out_channels", positive.clone())?.unwrap_or(in_channels),
            hidden_size,
            depth: keys.integer("num_layers", 28, 1..=10_000)?,
            heads,
            attention_bias: keys.value("attention_bias", true)?,
            mlp_hidden: 4 * hidden_size,
            nonlinearity: nonlinearity(&mut keys)?,
            classes: keys.integer("num_embeds_ada_norm", 1000, positive)?,
            // diffusers gives its table a row for no class in any case.
            null_class: true,
            freq_shift: 1.0,
            norm_eps: [1e-6, keys.finite("norm_eps", 1e-5)?],
        };
        keys.finish()?;
        config.check(&keys, ["sample_size", "num_attention_heads × attention_head_dim"])
    }

    /// Checks that no single value shows; `names` are those of `input_size` and `hidden_size`.
    fn check(self, keys: &Keys, names: [&str; 2]) -> Result<Self> {
        let (input, patch, hidden) = (self.input_size, self.patch_size, self.hidden_size);
        if input % patch != 0 || self.grid() > LARGEST_GRID {
            let allowed = format!("it must be a multiple of patch_size = {patch}, up to {LARGEST_GRID} times it");
            return Err(keys.wrong(names[0], &input.to_string(), &allowed));
        }
        if hidden > LARGEST || hidden % self.heads != 0 {
            let allowed = format!("it must be at most {LARGEST}, and the {} heads must divide it", self.heads);
            return Err(keys.wrong(names[1], &hidden.to_string(), &allowed));
        }
        if self.release == Release::Diffusers && hidden % 4 != 0 {
            let allowed = "sines and cosines of rows and columns share it, so 4 must divide it";
            return Err(keys.wrong(names[1], &hidden.to_string(), allowed));
        }
        Ok(self)
    }
}

/// The integer part of hidden_size · mlp_ratio, without the rounding of a ratio that was computed from it.
fn mlp_hidden(keys: &mut Keys, hidden_size: i64) -> Result<i64> {
    let ratio = keys.finite("mlp_ratio", 4.0)?;
    let hidden = (hidden_size as f64 * ratio + 1e-6).floor();
    if (1.0..=LARGEST as f64).contains(&hidden) {
        return Ok(hidden as i64);
    }
    Err(keys.wrong("mlp_ratio", &ratio.to_string(), &format!("it must make 1 to {LARGEST} of hidden_size")))
}

fn nonlinearity(keys: &mut Keys) -> Result<Nonlinearity> {
    let key = "activation_fn";
    match keys.value(key, "gelu-approximate".to_string())?.as_str() {
        "gelu-approximate" => Ok(Nonlinearity::Pointwise(Activation::GeluTanh)),
        "gelu" => Ok(Nonlinearity::Pointwise(Activation::Gelu)),
        "geglu" => Ok(Nonlinearity::Geglu),
        other => Err(unsupported(key, other, "it is `gelu-approximate`, `gelu` or `geglu`")),
    }
}

/// Takes the keys that say which of diffusers' transformers this is, and those that change nothing here.
fn refuse_other_transformers(keys: &mut Keys) -> Result<()> {
    let norm_type = keys.value("norm_type", "ada_norm_zero".to_string())?;
    if norm_type != "ada_norm_zero" {
        let class = Error::unsupported(
            format!("a transformer of diffusers with `norm_type` = `{norm_type}`"),
            "of those, only DiT is loaded natively, whose norm_type is `ada_norm_zero`",
            "Export the network with torch.jit.trace and open that file instead.",
        );
        return Err(class);
    }
    // Of `Transformer2DModel`; at these values they do nothing.
    let empty = ["cross_attention_dim", "num_vector_embeds", "caption_channels", "interpolation_scale"];
    let off = [
        "norm_elementwise_affine",
        "only_cross_attention",
        "use_linear_projection",
        "double_self_attention",
        "use_additional_conditions",
    ];
    for key in empty.into_iter().chain(off) {
        keys.refuse_set(key, "a DiT has null or false there")?;
    }
    let attention = keys.value("attention_type", Some("default".to_string()))?;
    if attention.as_deref().is_some_and(|kind| kind != "default") {
        return Err(unsupported("attention_type", &keys.seen("attention_type"), "a DiT has `default` there"));
    }
    // Dropout does nothing at inference; the others nothing in this network.
    keys.finite("dropout", 0.0)?;
    for key in ["norm_num_groups", "upcast_attention"] {
        keys.take(key);
    }
    Ok(())
}
