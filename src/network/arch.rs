//! `--arch`: a new network in a few words, `unet:channels=32-64-64,layers=1,attention=16` or `mlp:width=256,blocks=3`.
//!
//! The words become the configuration that [`super::build`] takes; a whole configuration comes as `unet:config=FILE`.

use super::mlp::MlpConfig;
use super::unet2d::UNet2dConfig;
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::path::Path;

const ALLOWED: &str = "it is unet:channels=32-64-64,layers=1,attention=16-8|none,head-dim=8,groups=N,time=positional|\
                       fourier|learned, unet:config=FILE, or mlp:width=256,blocks=3, with any of these left out";

/// The configuration that `text` names, for samples of `shape` and `timesteps` grid steps. `auto` is a perceptron for
/// vectors and a small UNet for images.
pub fn parse(text: &str, shape: &[i64], timesteps: usize) -> Result<Value> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let settings = settings(text, rest)?;
    match (name, shape.len()) {
        ("mlp", _) | ("auto", 1) => mlp(text, &settings, shape),
        ("unet" | "auto", 3) => unet(text, &settings, shape, timesteps),
        ("unet", _) => Err(Error::mismatch(
            format!("a UNet takes images [C, H, W], and the data has shape {shape:?}"),
            "Use --arch mlp, or give images.",
        )),
        ("auto", _) => mlp(text, &settings, shape),
        _ => Err(bad(text, "Name one of them.")),
    }
}

fn bad(text: &str, next: impl Into<String>) -> Error {
    Error::argument("--arch", text, ALLOWED, next)
}

fn settings<'a>(text: &str, rest: &'a str) -> Result<Vec<(&'a str, &'a str)>> {
    let pairs = rest.split(',').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').ok_or_else(|| bad(text, format!("`{pair}` is no key=value.")))).collect()
}

fn number(text: &str, key: &str, value: &str) -> Result<i64> {
    let number = value.parse().ok().filter(|n| (1..=1 << 20).contains(n));
    number.ok_or_else(|| bad(text, format!("{key} is a whole number from 1 to {}.", 1 << 20)))
}

fn mlp(text: &str, settings: &[(&str, &str)], shape: &[i64]) -> Result<Value> {
    let (mut width, mut blocks) = (256, 3);
    for &(key, value) in settings {
        match key {
            "width" => width = number(text, key, value)?,
            "blocks" => blocks = number(text, key, value)?,
            _ => return Err(bad(text, format!("`{key}` is no key of mlp."))),
        }
    }
    Ok(MlpConfig::new(shape.to_vec(), width, blocks, Path::new("--arch"))?.to_json())
}

/// What the words for a UNet come to, defaults filled in.
struct Unet {
    channels: Vec<i64>,
    layers: i64,
    /// Heights at which there is attention; `None` for that of the second block.
    attention: Option<Vec<i64>>,
    head_dim: i64,
    groups: Option<i64>,
    time: String,
}

fn unet(text: &str, settings: &[(&str, &str)], shape: &[i64], timesteps: usize) -> Result<Value> {
    let list = |key: &str, value: &str| value.split('-').map(|n| number(text, key, n)).collect::<Result<Vec<i64>>>();
    let mut unet = Unet {
        channels: default_channels(shape),
        layers: 1,
        attention: None,
        head_dim: 8,
        groups: None,
        time: "positional".into(),
    };
    for &(key, value) in settings {
        match key {
            "config" if settings.len() == 1 => return from_file(Path::new(value), shape),
            "channels" => unet.channels = list(key, value)?,
            "layers" => unet.layers = number(text, key, value)?,
            "attention" if value == "none" => unet.attention = Some(Vec::new()),
            "attention" => unet.attention = Some(list(key, value)?),
            "head-dim" => unet.head_dim = number(text, key, value)?,
            "groups" => unet.groups = Some(number(text, key, value)?),
            "time" => unet.time = value.into(),
            _ => return Err(bad(text, format!("`{key}` is no key of unet, or does not go with the others."))),
        }
    }
    let config = unet.config(shape, timesteps)?;
    check(config, shape, Path::new("--arch"))
}

/// Two blocks where the picture is small, else three.
fn default_channels(shape: &[i64]) -> Vec<i64> {
    if shape[1] <= 8 { vec![32, 64] } else { vec![32, 64, 64] }
}

impl Unet {
    fn config(&self, shape: &[i64], timesteps: usize) -> Result<Value> {
        let heights: Vec<i64> = (0..self.channels.len()).map(|i| shape[1] >> i.min(62)).collect();
        let attention = self.attention.clone().unwrap_or_else(|| heights.get(1).copied().into_iter().collect());
        if let Some(height) = attention.iter().find(|height| !heights.contains(height)) {
            return Err(Error::argument(
                "--arch",
                format!("attention={height}"),
                format!("the blocks see pictures of height {heights:?}"),
                "Choose among these, several with dashes between, or none.",
            ));
        }
        let name = |attention: bool, way: &str| format!("{}{way}Block2D", if attention { "Attn" } else { "" });
        let has = |height: &i64| attention.contains(height);
        let down: Vec<String> = heights.iter().map(|height| name(has(height), "Down")).collect();
        let up: Vec<String> = heights.iter().rev().map(|height| name(has(height), "Up")).collect();
        let learned = self.time == "learned";
        Ok(json!({
            "_class_name": "UNet2DModel",
            "sample_size": if shape[1] == shape[2] { json!(shape[1]) } else { json!([shape[1], shape[2]]) },
            "in_channels": shape[0],
            "out_channels": shape[0],
            "time_embedding_type": self.time,
            "num_train_timesteps": learned.then_some(timesteps),
            "block_out_channels": self.channels,
            "layers_per_block": self.layers,
            "down_block_types": down,
            "up_block_types": up,
            "add_attention": !attention.is_empty(),
            "attention_head_dim": self.head_dim,
            "norm_num_groups": self.groups.unwrap_or_else(|| self.default_groups()),
        }))
    }

    /// The largest number up to 8 that divides all channels: normalisation over a few channels, as in small UNets.
    fn default_groups(&self) -> i64 {
        (1..=8).rev().find(|groups| self.channels.iter().all(|channels| channels % groups == 0)).unwrap_or(1)
    }
}

fn from_file(path: &Path, shape: &[i64]) -> Result<Value> {
    let mut config = lipscope_core::python_json::read(path, "Give a diffusers config.json.")?;
    if let Some(object) = config.as_object_mut() {
        object.entry("_class_name").or_insert("UNet2DModel".into());
    }
    check(config, shape, path)
}

/// The configuration must be one that can be built, for pictures of this shape.
fn check(config: Value, shape: &[i64], path: &Path) -> Result<Value> {
    let read = UNet2dConfig::from_json(&config, path)?;
    let factor = read.size_factor();
    let [inputs, outputs] = [read.body.in_channels, read.body.out_channels];
    if inputs != shape[0] || outputs != shape[0] {
        return Err(Error::mismatch(
            format!("the network takes {inputs} and gives {outputs} channels, and the data has {}", shape[0]),
            "Change the configuration, or the data.",
        ));
    }
    if shape[1] % factor != 0 || shape[2] % factor != 0 {
        return Err(Error::mismatch(
            format!(
                "the network halves height and width {} times, and the data is {}×{}",
                factor.ilog2(),
                shape[1],
                shape[2]
            ),
            format!("Use fewer blocks, or pictures whose sides are multiples of {factor}."),
        ));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::build;
    use crate::nn::Weights;

    #[test]
    fn words_become_networks() {
        for (text, shape, name) in [
            ("auto", vec![1, 8, 8], "UNet2DModel"),
            ("auto", vec![2], "ResidualMlp"),
            ("mlp:width=16,blocks=1", vec![1, 8, 8], "ResidualMlp"),
            ("unet:channels=8-16-16,layers=1,attention=16,head-dim=4", vec![3, 32, 32], "UNet2DModel"),
            ("unet:channels=12-20,attention=none,time=learned", vec![1, 8, 16], "UNet2DModel"),
        ] {
            let config = parse(text, &shape, 1000).unwrap();
            let network = build(&config, &Weights::fresh(0), Path::new("test")).unwrap();
            assert_eq!((network.architecture(), network.config()), (name.to_string(), Some(config)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, shape) in [
            ("resnet", vec![1, 8, 8]),
            ("unet", vec![2]),
            ("unet:channels=0", vec![1, 8, 8]),
            ("unet:depth=2", vec![1, 8, 8]),
            ("unet:channels=8-8-8-8-8", vec![1, 8, 8]),
            ("unet:attention=5", vec![1, 8, 8]),
            ("unet:time=clock", vec![1, 8, 8]),
            ("unet:config=nowhere.json", vec![1, 8, 8]),
            ("mlp:width", vec![2]),
            ("mlp:channels=2", vec![2]),
        ] {
            assert!(parse(text, &shape, 1000).is_err(), "{text}");
        }
    }
}
