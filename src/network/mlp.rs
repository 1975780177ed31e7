//! A residual multilayer perceptron with time embedding, for points and small vectors: x [B, …] with D elements per
//! sample and t `[B]` → the shape of x.
//!
//! emb = MLP(sinusoids(t));  h = W_in x;  h ← h + W₂ a(W₁ a(h) + W_t a(emb)) in every block;  y = W_out a(h)

use super::condition::{Embedder, Labels};
use super::native::{Facts, Inputs, Layers};
use super::{Additions, Architecture, InputShape, NativeNetwork};
use crate::dual::Dual;
use crate::error::{Error, Result};
use crate::nn::{Activation, Linear, TimeProjection, TimestepEmbedding, Weights};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// A residual multilayer perceptron.
pub type ResidualMlp = NativeNetwork<MlpLayers>;

pub(super) const ARCHITECTURE: Architecture = Architecture::of::<MlpLayers>("ResidualMlp", None);

/// More than any perceptron has.
const LARGEST: i64 = 1 << 20;
/// Sinusoids of t.
const TIME_FEATURES: i64 = 64;
const ACTIVATION: Activation = Activation::Silu;

/// What a [`ResidualMlp`] is built to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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

    /// The configuration that [`super::build`] takes.
    pub fn to_json(&self) -> Value {
        json!({"_class_name": self.class_name, "shape": self.shape, "width": self.width, "blocks": self.blocks})
    }

    fn elements(&self) -> i64 {
        self.shape.iter().product()
    }
}

/// The layers in the order of the forward pass.
#[derive(Debug)]
pub struct MlpLayers {
    embedder: Embedder,
    input: Linear,
    blocks: Vec<Block>,
    output: Linear,
}

#[derive(Debug)]
struct Block {
    site: String,
    linear_1: Linear,
    time: Linear,
    linear_2: Linear,
}

impl Layers for MlpLayers {
    type Config = MlpConfig;

    fn read(json: &Value, path: &Path) -> Result<MlpConfig> {
        let read: MlpConfig = serde_json::from_value(json.clone())
            .map_err(|e| Error::file(path, format!("its architecture cannot be read ({e})"), "Save it again."))?;
        MlpConfig::new(read.shape, read.width, read.blocks, path)
    }

    fn facts(config: &MlpConfig) -> Facts {
        Facts {
            architecture: ARCHITECTURE.class_name,
            config: config.to_json(),
            input: InputShape { sample: Some(config.shape.clone()), channels: None, resizable: false, row: None },
            size_factor: 1,
            classes: None,
            null_label: None,
            context_width: None,
            additions: Additions::default(),
            first_weight: "input.weight",
            frequencies: None,
        }
    }

    fn time_projection(_config: &MlpConfig, weights: &Weights) -> Result<TimeProjection> {
        TimeProjection::sinusoid(TIME_FEATURES, true, 0.0, weights.device())
    }

    fn new(config: &MlpConfig, weights: &Weights) -> Result<Self> {
        let width = config.width;
        let block = |i| {
            let weights = weights.at("blocks").at(i);
            let linear = |name| Linear::new(&weights.at(name), width, width);
            Ok(Block {
                site: weights.name().into(),
                linear_1: linear("linear_1")?,
                time: linear("time")?,
                linear_2: linear("linear_2")?,
            })
        };
        let time = TimestepEmbedding::new(&weights.at("time_embedding"), TIME_FEATURES, width)?;
        Ok(MlpLayers {
            embedder: Embedder { time, labels: Labels::None },
            input: Linear::new(&weights.at("input"), config.elements(), width)?,
            blocks: (0..config.blocks).map(block).collect::<Result<_>>()?,
            output: Linear::new(&weights.at("output"), width, config.elements())?,
        })
    }

    fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        let emb = inputs.signal(ACTIVATION.forward(&self.embedder.forward(inputs.features, inputs.labels)?)?);
        let mut h = self.input.forward(&inputs.x.linear(|x| x.f_flatten(1, -1))?)?;
        for block in &self.blocks {
            let time = block.time.forward(emb.at(&block.site))?;
            let inner = block.linear_1.forward(&ACTIVATION.forward(&h)?)?.add(&time)?;
            h = h.add(&block.linear_2.forward(&ACTIVATION.forward(&inner)?)?)?;
        }
        self.output.forward(&ACTIVATION.forward(&h)?)?.linear(|y| y.f_reshape_as(&inputs.x.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Condition, Network};
    use crate::testing::{Numbers, Tolerance, assert_close, largest};
    use tch::{Device, Kind, Tensor};

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
