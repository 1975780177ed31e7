//! The network: x [B, in, H, W], t [B] and labels [B] → [B, out, H, W].

use super::config::{DitConfig, Release};
use super::layers::Layers;
use crate::dual::Dual;
use crate::error::{Error, Result};
use crate::network::images::{Images, handles, kind_of, moved};
use crate::network::{Condition, InputShape, Network, TIME_AND_FEATURES};
use crate::nn::Weights;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// A diffusion transformer.
#[derive(Debug)]
pub struct Dit {
    config: DitConfig,
    layers: Layers,
    /// Handles on the same tensors as the layers', under the file's names.
    parameters: Vec<(String, Tensor)>,
    kind: Kind,
    /// dtype of t and its features, where it does not follow from `kind`.
    time_kind: Option<Kind>,
}

impl Dit {
    /// The network of `config`, with parameters that share memory with `weights`.
    ///
    /// # Errors
    /// Where a parameter is missing, has another shape than `config` says, or has no place in the network.
    pub(super) fn new(config: &DitConfig, weights: &Weights) -> Result<Self> {
        let layers = Layers::new(config, weights)?;
        weights.finish()?;
        let parameters = weights.named();
        let patches = match config.release {
            Release::Paper => "x_embedder.proj.weight",
            Release::Diffusers => "pos_embed.proj.weight",
        };
        let kind = kind_of(&parameters, patches);
        Ok(Dit { config: config.clone(), layers, parameters, kind, time_kind: None })
    }

    fn check(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<()> {
        let DitConfig { in_channels, input_size, patch_size, .. } = self.config;
        Images { channels: in_channels, kind: self.kind, multiple_of: patch_size }.check(x, t)?;
        let size = x.value.size();
        if size.get(2..) != Some([input_size; 2].as_slice()) {
            return Err(Error::mismatch(
                format!("x has shape {size:?}, where the network takes {input_size}×{input_size} pixels"),
                "Its patches have learned or computed places, so give images of that size.",
            ));
        }
        if condition.context.is_some() {
            let problem = "embeddings were given to a network that attends to none";
            return Err(Error::mismatch(problem, "Leave the context out; a DiT takes class labels."));
        }
        Ok(())
    }
}

impl Network for Dit {
    fn forward(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<Dual> {
        self.check(x, t, condition)?;
        let features = self.layers.time_proj.forward_in(t, self.time_kind, self.kind)?;
        self.layers.forward(x, &features, condition.labels.as_ref(), self.kind)
    }

    fn carries_tangents(&self) -> bool {
        true
    }

    fn input_shape(&self) -> InputShape {
        let DitConfig { in_channels, input_size, .. } = self.config;
        InputShape {
            sample: Some(vec![in_channels, input_size, input_size]),
            channels: Some(in_channels),
            resizable: false,
        }
    }

    fn classes(&self) -> Option<i64> {
        Some(self.config.classes)
    }

    fn null_label(&self) -> Option<i64> {
        self.config.null_class.then_some(self.config.classes)
    }

    fn architecture(&self) -> String {
        match self.config.release {
            Release::Paper => "DiT".into(),
            Release::Diffusers => "DiTTransformer2DModel".into(),
        }
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        handles(&self.parameters)
    }

    fn config(&self) -> Option<Value> {
        Some(self.config.json.clone())
    }

    fn constants(&self) -> Vec<(String, Tensor)> {
        let mut constants: Vec<(String, Tensor)> =
            self.layers.time_proj.constant().map(|omega| ("frequencies".into(), omega)).into_iter().collect();
        if !self.parameters.iter().any(|(name, _)| name == "pos_embed" || name == "pos_embed.pos_embed") {
            constants.push(("positions".into(), self.layers.positions.shallow_clone()));
        }
        constants
    }

    fn set_time_kind(&mut self, kind: Option<Kind>) -> Result<&'static str> {
        self.time_kind = kind;
        Ok(TIME_AND_FEATURES)
    }

    fn time_kind(&self) -> Option<Kind> {
        self.time_kind
    }

    fn to(&mut self, device: Device, kind: Kind) -> Result<()> {
        // Layers hold nothing but handles on parameters, so new layers are the short way to move all of them.
        let network = Dit::new(&self.config, &moved(&self.parameters, device, kind, &[])?)?;
        *self = Dit { time_kind: self.time_kind, ..network };
        Ok(())
    }
}
