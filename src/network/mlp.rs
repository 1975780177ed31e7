//! A residual multilayer perceptron with time embedding, for points and small vectors: x [B, …] with D elements per
//! sample and t `[B]` → the shape of x.
//!
//! emb = MLP(sinusoids(t));  h = W_in x;  h ← h + W₂ a(W₁ a(h) + W_t a(emb)) in every block;  y = W_out a(h)

use super::{Architecture, Condition, InputShape, Network, TIME_AND_FEATURES};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::nn::{Activation, Linear, TimeProjection, TimestepEmbedding, Weights};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Kind, Tensor};

pub(super) const ARCHITECTURE: Architecture = Architecture { class_name: "ResidualMlp", build, state_dict: None };

/// More than any perceptron has.
const LARGEST: i64 = 1 << 20;
/// Sinusoids of t.
const TIME_FEATURES: i64 = 64;
const ACTIVATION: Activation = Activation::Silu;

/// What a [`ResidualMlp`] is built to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpConfig {
    #[serde(rename = "_class_name")]
    class_name: String,
    /// Shape of one sample.
    pub shape: Vec<i64>,
    /// Width of every hidden layer.
    pub width: i64,
    /// Number of residual blocks.
    pub blocks: i64,
}

impl MlpConfig {
    /// A checked configuration.
    pub fn new(shape: Vec<i64>, width: i64, blocks: i64, path: &Path) -> Result<Self> {
        let elements = shape.iter().try_fold(1i64, |product, &n| product.checked_mul(n)).unwrap_or(0);
        let sizes = [("elements per sample", elements), ("width", width), ("blocks", blocks)];
        match sizes.into_iter().find(|(_, n)| !(1..=LARGEST).contains(n)) {
            Some((name, bad)) => {
                let next = format!("It lies between 1 and {LARGEST}.");
                Err(Error::file(path, format!("a perceptron of {bad} {name} cannot be built"), next))
            }
            None => Ok(MlpConfig { class_name: ARCHITECTURE.class_name.into(), shape, width, blocks }),
        }
    }

    fn elements(&self) -> i64 {
        self.shape.iter().product()
    }
}

/// A residual multilayer perceptron.
#[derive(Debug)]
pub struct ResidualMlp {
    config: MlpConfig,
    layers: Layers,
    parameters: Vec<(String, Tensor)>,
    kind: Kind,
    /// dtype of t and its features, where it does not follow from `kind`.
    time_kind: Option<Kind>,
}

#[derive(Debug)]
struct Layers {
    time_proj: TimeProjection,
    time_embedding: TimestepEmbedding,
    input: Linear,
    blocks: Vec<Block>,
    output: Linear,
}

#[derive(Debug)]
struct Block {
    linear_1: Linear,
    time: Linear,
    linear_2: Linear,
}

fn build(config: &Value, weights: &Weights, path: &Path) -> Result<Box<dyn Network>> {
    let read: MlpConfig = serde_json::from_value(config.clone())
        .map_err(|e| Error::file(path, format!("its architecture cannot be read ({e})"), "Save it again."))?;
    let config = MlpConfig::new(read.shape, read.width, read.blocks, path)?;
    Ok(Box::new(ResidualMlp::new(&config, weights)?))
}

impl ResidualMlp {
    /// The network of `config`, with parameters that share memory with `weights`.
    ///
    /// # Errors
    /// Where a parameter is missing, has another shape than `config` says, or has no place in the network.
    pub fn new(config: &MlpConfig, weights: &Weights) -> Result<Self> {
        let layers = Layers::new(config, weights)?;
        weights.finish()?;
        let parameters = weights.named();
        let kind = parameters.first().map_or(Kind::Float, |(_, tensor)| tensor.kind());
        Ok(ResidualMlp { config: config.clone(), layers, parameters, kind, time_kind: None })
    }

    fn check_input(&self, x: &Tensor, t: &Tensor) -> Result<()> {
        let size = x.size();
        let wanted = &self.config.shape;
        if size.get(1..) != Some(wanted.as_slice()) || t.size() != size[..1] {
            return Err(Error::mismatch(
                format!(
                    "x has shape {size:?} and t {:?}, where the network takes [batch, {wanted:?}] and [batch]",
                    t.size()
                ),
                "Check that the data and the network belong together.",
            ));
        }
        if x.kind() != self.kind {
            let problem = format!("x is {:?}, where the network computes in {:?}", x.kind(), self.kind);
            return Err(Error::mismatch(problem, "Convert one of them."));
        }
        Ok(())
    }
}

impl Layers {
    fn new(config: &MlpConfig, weights: &Weights) -> Result<Self> {
        let width = config.width;
        let block = |i| {
            let weights = weights.at("blocks").at(i);
            let linear = |name| Linear::new(&weights.at(name), width, width);
            Ok(Block { linear_1: linear("linear_1")?, time: linear("time")?, linear_2: linear("linear_2")? })
        };
        Ok(Layers {
            time_proj: TimeProjection::sinusoid(TIME_FEATURES, true, 0.0, weights.device())?,
            time_embedding: TimestepEmbedding::new(&weights.at("time_embedding"), TIME_FEATURES, width)?,
            input: Linear::new(&weights.at("input"), config.elements(), width)?,
            blocks: (0..config.blocks).map(block).collect::<Result<_>>()?,
            output: Linear::new(&weights.at("output"), width, config.elements())?,
        })
    }

    fn forward(&self, x: &Dual, features: &Dual) -> Result<Dual> {
        let emb = ACTIVATION.forward(&self.time_embedding.forward(features)?)?;
        let mut h = self.input.forward(x)?;
        for block in &self.blocks {
            let inner = block.linear_1.forward(&ACTIVATION.forward(&h)?)?.add(&block.time.forward(&emb)?)?;
            h = h.add(&block.linear_2.forward(&ACTIVATION.forward(&inner)?)?)?;
        }
        self.output.forward(&ACTIVATION.forward(&h)?)
    }
}

impl Network for ResidualMlp {
    fn forward(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<Dual> {
        if condition.labels.is_some() {
            return Err(Error::mismatch("the network has no classes", "Leave the labels out."));
        }
        self.check_input(&x.value, &t.value)?;
        let flat = x.linear(|x| x.f_flatten(1, -1))?;
        let features = self.layers.time_proj.forward_in(t, self.time_kind, self.kind)?;
        self.layers.forward(&flat, &features)?.linear(|y| y.f_reshape_as(&x.value))
    }

    fn carries_tangents(&self) -> bool {
        true
    }

    fn input_shape(&self) -> InputShape {
        InputShape { sample: Some(self.config.shape.clone()), channels: None, resizable: false }
    }

    fn architecture(&self) -> String {
        ARCHITECTURE.class_name.into()
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    fn config(&self) -> Option<Value> {
        serde_json::to_value(&self.config).ok()
    }

    fn constants(&self) -> Vec<(String, Tensor)> {
        self.layers.time_proj.constant().map(|omega| ("frequencies".into(), omega)).into_iter().collect()
    }

    fn set_time_kind(&mut self, kind: Option<Kind>) -> Result<&'static str> {
        self.time_kind = kind;
        Ok(TIME_AND_FEATURES)
    }

    fn time_kind(&self) -> Option<Kind> {
        self.time_kind
    }

    fn to(&mut self, device: Device, kind: Kind) -> Result<()> {
        let mut moved = BTreeMap::new();
        for (name, tensor) in &self.parameters {
            let tensor = tensor.f_to_device(device).and_then(|t| t.f_to_kind(kind)).doing("moving the network")?;
            moved.insert(name.clone(), tensor);
        }
        let network = ResidualMlp::new(&self.config, &Weights::new(moved, Path::new("the network")))?;
        *self = ResidualMlp { time_kind: self.time_kind, ..network };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Numbers, Tolerance, assert_close, largest};

    #[test]
    fn the_tangent_is_the_time_derivative() {
        let config = MlpConfig::new(vec![2, 3], 32, 2, Path::new("test")).unwrap();
        let mut network = ResidualMlp::new(&config, &Weights::fresh(0)).unwrap();
        network.to(Device::Cpu, Kind::Double).unwrap();
        tch::manual_seed(0);
        let x = Tensor::randn([4, 2, 3], (Kind::Double, Device::Cpu));
        let at = |t: f64| {
            let t = Dual::new(
                Tensor::full([4], t, (Kind::Double, Device::Cpu)),
                Tensor::ones([4], (Kind::Double, Device::Cpu)),
            );
            network.forward(&Dual::constant(x.shallow_clone()), &t, &Condition::default()).unwrap()
        };
        let h = 1e-4;
        let differences = (at(7.3 + h).value - at(7.3 - h).value) / (2.0 * h);
        let tangent = at(7.3).tangent.unwrap();
        let reason = "central differences: h² times a third derivative of order 1, and rounding 1e-16/h";
        assert_close("tangent", &tangent, &differences, Tolerance::absolute(1e-8, reason));
        assert!(largest(tangent.abs().numbers()) > 1e-3);
    }

    #[test]
    fn a_config_makes_the_same_network_again() {
        let config = MlpConfig::new(vec![2], 8, 1, Path::new("test")).unwrap();
        let network = ResidualMlp::new(&config, &Weights::fresh(3)).unwrap();
        let weights = Weights::new(network.parameters().into_iter().collect(), Path::new("test"));
        let again = crate::network::build(&network.config().unwrap(), &weights, Path::new("test")).unwrap();
        let x = Tensor::ones([1, 2], (Kind::Float, Device::Cpu));
        let call = |network: &dyn Network| {
            let t = Dual::constant(Tensor::from_slice(&[5f32]));
            network.forward(&Dual::constant(x.shallow_clone()), &t, &Condition::default()).unwrap().value
        };
        assert!(call(&network).equal(&call(&*again)));
        assert!(MlpConfig::new(vec![2], 0, 1, Path::new("test")).is_err());
    }
}
