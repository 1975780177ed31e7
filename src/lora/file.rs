//! A LoRA file: factors and α of every layer.

use super::Lora;
use super::names::{Key, Part, parse};
use crate::checkpoint::sha256;
use crate::error::{Error, Result};
use crate::tensor_file::{self, IntoTensor, NamedArrays};
use lipscope_core::cli::args::LoraSpec;
use lipscope_core::python_json;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Kind, Tensor};

/// The adaptation of one layer.
#[derive(Debug)]
pub(super) struct Adapter {
    /// The layer's name in the file, without what stands before it.
    pub layer: String,
    /// Whether its dots are underscores.
    pub flat: bool,
    /// A [r, in, …].
    pub down: Tensor,
    /// B [out, r, …].
    pub up: Tensor,
    /// α; `None` for r.
    pub alpha: Option<f64>,
}

/// What was found of one layer.
#[derive(Default)]
struct Parts {
    flat: bool,
    down: Option<Tensor>,
    up: Option<Tensor>,
    alpha: Option<f64>,
}

const NEXT: &str = "Give a LoRA file of diffusers, PEFT or sd-scripts; merge other adaptations into the weights first.";

impl Lora {
    /// Reads a file.
    ///
    /// # Errors
    /// It holds anything but factors of low-rank adaptations and tensors of text encoders, or half of a pair.
    pub fn open(spec: &LoraSpec) -> Result<Self> {
        let path = &spec.path;
        let named = tensor_file::read(path)?;
        let described = Described::read(&named, path)?;
        let (parts, ignored) = parts(named, path)?;
        if parts.is_empty() {
            return Err(Error::file(path, "it holds no low-rank adaptation of a denoising network", NEXT));
        }
        let adapters = parts.into_iter().map(|(layer, parts)| adapter(layer, parts, &described, path));
        Ok(Lora {
            path: path.clone(),
            scale: spec.scale,
            sha256: sha256(path)?,
            adapters: adapters.collect::<Result<_>>()?,
            ignored,
        })
    }
}

/// Everything in the file, layer by layer, and how many tensors belong to text encoders.
fn parts(named: NamedArrays, path: &Path) -> Result<(BTreeMap<String, Parts>, usize)> {
    let (mut layers, mut ignored): (BTreeMap<String, Parts>, usize) = (BTreeMap::new(), 0);
    for (name, array) in named.arrays {
        match parse(&name) {
            Some(Key::TextEncoder) => ignored += 1,
            Some(Key::Layer { layer, flat, part }) => {
                let tensor = array.into_tensor()?;
                let entry = layers.entry(layer).or_default();
                entry.flat = flat;
                match part {
                    Part::Down => entry.down = Some(tensor),
                    Part::Up => entry.up = Some(tensor),
                    Part::Alpha if tensor.numel() == 1 => {
                        entry.alpha = Some(tensor.to_kind(Kind::Double).double_value(&[]))
                    }
                    Part::Alpha => return Err(Error::file(path, format!("`{name}` is not one number"), NEXT)),
                }
            }
            None => {
                let problem = format!("`{name}` is no part of a low-rank adaptation that is known here");
                return Err(Error::file(path, problem, NEXT));
            }
        }
    }
    Ok((layers, ignored))
}

fn adapter(layer: String, parts: Parts, described: &Described, path: &Path) -> Result<Adapter> {
    let missing = |which: &str| Error::file(path, format!("its layer `{layer}` has no factor `{which}`"), NEXT);
    let down = parts.down.ok_or_else(|| missing("down"))?;
    let up = parts.up.ok_or_else(|| missing("up"))?;
    if down.dim() < 2 || up.dim() < 2 || down.numel() == 0 {
        return Err(Error::file(path, format!("the factors of its layer `{layer}` are no matrices"), NEXT));
    }
    let finite = |tensor: &Tensor| (tensor.to_kind(Kind::Double) * 0.0).sum(Kind::Double).double_value(&[]) == 0.0;
    let alpha = parts.alpha.or(described.alpha(down.size()[0]));
    if !finite(&down) || !finite(&up) || alpha.is_some_and(|alpha| !alpha.is_finite()) {
        return Err(Error::file(
            path,
            format!("its layer `{layer}` holds NaN or infinite values"),
            "Use another file.",
        ));
    }
    Ok(Adapter { layer, flat: parts.flat, down, up, alpha })
}

/// Rank and α that stand beside the factors: in `adapter_config.json` (PEFT), or in the file's metadata (diffusers).
#[derive(Default)]
struct Described {
    rank: Option<f64>,
    alpha: Option<f64>,
}

impl Described {
    fn read(named: &NamedArrays, path: &Path) -> Result<Self> {
        let metadata = named.metadata.iter().find(|(key, _)| key == "lora_adapter_metadata");
        if let Some((_, text)) = metadata {
            let bad = |e| Error::file(path, format!("its lora_adapter_metadata cannot be read ({e})"), NEXT);
            return Described::of(&serde_json::from_str(text).map_err(bad)?, path);
        }
        let beside = path.parent().map(|folder| folder.join("adapter_config.json")).filter(|beside| beside.is_file());
        // A configuration of something else says nothing about this file.
        let of_peft = named.arrays.iter().any(|(name, _)| name.starts_with("base_model."));
        match beside.filter(|_| of_peft) {
            Some(beside) => Described::of(&python_json::read(&beside, "Download it again.")?, &beside),
            None => Ok(Described::default()),
        }
    }

    /// From PEFT's configuration, whose keys diffusers puts behind `unet.` or `transformer.`.
    fn of(config: &Value, path: &Path) -> Result<Self> {
        let value = |key: &str| {
            let prefixes = ["", "unet.", "transformer."];
            prefixes.iter().find_map(|prefix| config.get(format!("{prefix}{key}"))).filter(|value| !value.is_null())
        };
        for key in ["use_rslora", "use_dora", "rank_pattern", "alpha_pattern", "lora_bias"] {
            let idle = |value: &Value| {
                *value == Value::Bool(false) || value.as_object().is_some_and(|object| object.is_empty())
            };
            if let Some(other) = value(key).filter(|value| !idle(value)) {
                let seen: String = other.to_string().chars().take(60).collect();
                let allowed = "it changes the scale of layers in a way that this version does not know";
                return Err(Error::unsupported(format!("`{key}` = {seen} in {}", path.display()), allowed, NEXT));
            }
        }
        Ok(Described { rank: value("r").and_then(Value::as_f64), alpha: value("lora_alpha").and_then(Value::as_f64) })
    }

    /// α of a layer of rank `rank`: as it is said, for the rank that it is said of.
    fn alpha(&self, rank: i64) -> Option<f64> {
        self.alpha.filter(|_| self.rank.is_none_or(|said| said == rank as f64))
    }
}
