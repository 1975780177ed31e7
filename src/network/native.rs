//! Networks in lipscope's own layers. What they share is here: parameters by name, moves to another device or dtype,
//! checks of the input, and the features of t and their dtype.

use super::additions::check_additions;
use super::condition::check_context;
use super::entrance::{Entrance, Frequencies, Inside, only_columns};
use super::recognise::StateDict;
use super::{Additions, Architecture, Condition, InputShape, Network, Takes, UsualTime, integer_time};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::nn::{Sites, TimeProjection, TimeSignal, Weights};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// What an architecture says about itself; [`NativeNetwork`] makes a [`Network`] of it.
pub trait Layers: Sized + 'static {
    /// What it is built to, as checked values.
    type Config: Clone;

    /// Reads and checks a configuration; `path` is for messages.
    ///
    /// # Errors
    /// For a value of a wrong type, out of range or not known here, and for unknown keys: whatever can be known without
    /// weights.
    fn read(json: &Value, path: &Path) -> Result<Self::Config>;

    /// What can be said of the network without its weights.
    fn facts(config: &Self::Config) -> Facts;

    /// Which number its trainers give it for t.
    fn usual_time(_config: &Self::Config) -> UsualTime {
        UsualTime::Steps
    }

    /// How t `[B]` becomes features [B, F].
    fn time_projection(config: &Self::Config, weights: &Weights) -> Result<TimeProjection>;

    /// The layers, which share memory with `weights` and hold no other tensors than those and [`Layers::constants`].
    fn new(config: &Self::Config, weights: &Weights) -> Result<Self>;

    /// One forward pass: [B, …] in the network's dtype, with a tangent where x or the features have one.
    fn forward(&self, input: &Inputs) -> Result<Dual>;

    /// Number of symbols that x holds, of a network over symbols: it then gets them as floats of any dtype, [B, L].
    fn symbols(_config: &Self::Config) -> Option<i64> {
        None
    }

    /// What a reader must know of it.
    fn notes(_config: &Self::Config) -> Vec<String> {
        Vec::new()
    }

    /// Tensors that are computed and are no parameters, by name.
    fn constants(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }
}

/// What is known of a network without its weights.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Name of the architecture.
    pub architecture: &'static str,
    /// The configuration that [`Layers::read`] takes.
    pub config: Value,
    /// What x must look like.
    pub input: InputShape,
    /// Height and width must be multiples of this; 1 for a network that is not over images.
    pub size_factor: i64,
    /// Classes that a label may name.
    pub classes: Option<i64>,
    /// The label that stands for no class.
    pub null_label: Option<i64>,
    /// Width D of the context [B, L, D].
    pub context_width: Option<i64>,
    /// What it takes besides labels and context.
    pub additions: Additions,
    /// The parameter whose dtype is the network's, where a file mixes dtypes.
    pub first_weight: &'static str,
    /// Prefix of the parameters that multiply t, which are therefore never kept below float32.
    pub frequencies: Option<&'static str>,
}

/// The input of a forward pass, checked against the [`Facts`].
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// x [B, …] in the network's dtype.
    pub x: &'a Dual,
    /// t `[B]`.
    pub t: &'a Dual,
    /// The features of t [B, F], in the network's dtype.
    pub features: &'a Dual,
    /// Class labels, as [`Condition::labels`] has them.
    pub labels: Option<&'a Tensor>,
    /// The context [B, L, D] of a network that attends to one.
    pub context: Option<&'a Tensor>,
    /// Pooled embeddings, as [`Condition::pooled`] has them.
    pub pooled: Option<&'a Tensor>,
    /// Numbers, as [`Condition::numbers`] has them.
    pub numbers: Option<&'a Tensor>,
    /// Where tangents of t enter.
    pub sites: &'a Sites,
}

impl Inputs<'_> {
    /// t as it enters past the features, at `site`.
    pub fn time_at(&self, site: &str) -> Dual {
        if self.sites.enter_at(site) { self.t.shallow_clone() } else { Dual::constant(self.t.value.shallow_clone()) }
    }

    /// An embedding of the features on its way to the sites.
    pub fn signal(&self, embedding: Dual) -> TimeSignal<'_> {
        TimeSignal::new(embedding, self.sites)
    }
}

/// A network in lipscope's own layers.
pub struct NativeNetwork<L: Layers> {
    config: L::Config,
    facts: Facts,
    time_projection: TimeProjection,
    layers: L,
    /// Handles on the same tensors as the layers', under the file's names.
    parameters: Vec<(String, Tensor)>,
    kind: Kind,
    /// dtype of t and its features, where it does not follow from `kind`.
    time_kind: Option<Kind>,
}

impl Architecture {
    /// One in lipscope's own layers, used as a checkpoint says.
    pub(super) const fn of<L: Layers>(class_name: &'static str, state_dict: Option<StateDict>) -> Self {
        let (build, takes) = (NativeNetwork::<L>::build, NativeNetwork::<L>::takes_by);
        Architecture { class_name, build, takes, state_dict, trained_on: None }
    }
}

impl<L: Layers> NativeNetwork<L> {
    /// The network of `config`, with parameters that share memory with `weights`. Where a file mixes dtypes,
    /// [`Network::to`] makes them one.
    ///
    /// # Errors
    /// Where a parameter is missing, has another shape than `config` says, or has no place in the network.
    pub fn new(config: &L::Config, weights: &Weights) -> Result<Self> {
        let facts = L::facts(config);
        let time_projection = L::time_projection(config, weights)?;
        let layers = L::new(config, weights)?;
        weights.finish()?;
        let parameters = weights.named();
        let first = parameters.iter().find(|(name, _)| name == facts.first_weight);
        let kind = first.map_or(Kind::Float, |(_, tensor)| tensor.kind());
        Ok(NativeNetwork { config: config.clone(), facts, time_projection, layers, parameters, kind, time_kind: None })
    }

    /// The same from a configuration as JSON, behind the trait.
    pub(super) fn build(config: &Value, weights: &Weights, path: &Path) -> Result<Box<dyn Network>> {
        Ok(Box::new(NativeNetwork::<L>::new(&L::read(config, path)?, weights)?))
    }

    /// What it takes besides x by its configuration, without weights.
    pub(super) fn takes_by(config: &Value, path: &Path) -> Result<Takes> {
        let config = L::read(config, path)?;
        let facts = L::facts(&config);
        Ok(Takes {
            times: Vec::new(),
            architecture: facts.architecture.into(),
            class: facts.classes.is_some(),
            classes: facts.classes,
            null_label: facts.null_label,
            context: facts.context_width.is_some(),
            context_width: facts.context_width,
            additions: facts.additions,
            time: L::usual_time(&config),
            inputs: Vec::new(),
            symbols: L::symbols(&config),
        })
    }

    fn check(&self, x: &Tensor, t: &Tensor, condition: &Condition) -> Result<()> {
        let size = x.size();
        self.facts.check_shape(&size)?;
        if L::symbols(&self.config).is_some() {
            check_symbols(&size)?;
        } else if x.kind() != self.kind {
            let problem = format!("x is {:?}, where the network computes in {:?}", x.kind(), self.kind);
            return Err(Error::mismatch(problem, "Convert one of them."));
        }
        let batch = size.first().copied().unwrap_or(0);
        if t.size() != [batch] {
            let problem = format!("t has shape {:?}, where x holds {batch} samples", t.size());
            return Err(Error::mismatch(problem, "Give one timestep for each sample."));
        }
        check_context(condition.context.as_ref(), self.facts.context_width, batch, self.kind)?;
        check_additions(condition, &self.facts.additions, batch, self.kind)
    }
}

impl Facts {
    /// Refuses an x of another shape than the network takes.
    fn check_shape(&self, size: &[i64]) -> Result<()> {
        if let Some(channels) = self.input.channels {
            check_images(size, channels, self.size_factor)?;
        }
        let Some(sample) = self.input.sample.as_deref().filter(|_| !self.input.resizable) else { return Ok(()) };
        if size.get(1..) == Some(sample) {
            return Ok(());
        }
        let takes = match (self.input.channels, sample) {
            (Some(_), [_, height, width]) => format!("{height}×{width} pixels"),
            _ => format!("samples of shape {sample:?}"),
        };
        Err(Error::mismatch(
            format!("x has shape {size:?}, where the network takes {takes}"),
            "It is built for this size alone; check that the data and the network belong together.",
        ))
    }
}

/// Refuses a shape that is not [B, L].
fn check_symbols(size: &[i64]) -> Result<()> {
    if size.len() == 2 && size[1] > 0 {
        return Ok(());
    }
    let problem = format!("x has shape {size:?}, where the network takes sequences of symbols, [batch, length]");
    Err(Error::mismatch(problem, "Give data of shape [samples, length]."))
}

/// Refuses a shape that is not [B, `channels`, H, W] with H and W multiples of `factor`.
fn check_images(size: &[i64], channels: i64, factor: i64) -> Result<()> {
    let &[_, found, height, width] = size else {
        let problem = format!("x has shape {size:?}, where the network takes [batch, {channels}, height, width]");
        return Err(Error::mismatch(problem, "Check the shape of the input."));
    };
    if found != channels {
        let problem = format!("x has {found} channels, where the network takes {channels}");
        return Err(Error::mismatch(problem, "Check that the images and the network belong together."));
    }
    if height < 1 || width < 1 || height % factor != 0 || width % factor != 0 {
        let problem = format!("x is {height}×{width}, but the network divides height and width by {factor}");
        return Err(Error::mismatch(problem, format!("Choose multiples of {factor}.")));
    }
    Ok(())
}

impl<L: Layers> Network for NativeNetwork<L> {
    fn forward(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<Dual> {
        self.check(&x.value, &t.value, condition)?;
        let features = self.time_projection.forward_in(t, self.time_kind, self.kind)?;
        self.layers.forward(&inputs((x, t, &features), condition, &Sites::All))
    }

    fn inside(&self) -> Option<&dyn Inside> {
        Some(self)
    }

    fn carries_tangents(&self) -> bool {
        true
    }

    /// There is nothing between symbols.
    fn carries_x_tangents(&self) -> bool {
        self.symbols().is_none()
    }

    fn symbols(&self) -> Option<i64> {
        L::symbols(&self.config)
    }

    fn notes(&self) -> Vec<String> {
        L::notes(&self.config)
    }

    fn input_shape(&self) -> InputShape {
        self.facts.input.clone()
    }

    fn classes(&self) -> Option<i64> {
        self.facts.classes
    }

    fn null_label(&self) -> Option<i64> {
        self.facts.null_label
    }

    fn context_width(&self) -> Option<i64> {
        self.facts.context_width
    }

    fn usual_time(&self) -> UsualTime {
        L::usual_time(&self.config)
    }

    fn check_times(&self, t: &[f64]) -> Result<()> {
        self.time_projection.check_times(t)
    }

    fn additions(&self) -> Additions {
        self.facts.additions
    }

    fn architecture(&self) -> String {
        self.facts.architecture.into()
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    fn config(&self) -> Option<Value> {
        let mut config = self.facts.config.clone();
        // Old files leave it out.
        config.as_object_mut()?.entry("_class_name").or_insert_with(|| self.facts.architecture.into());
        Some(config)
    }

    fn constants(&self) -> Vec<(String, Tensor)> {
        let frequencies = self.time_projection.constant().map(|omega| ("frequencies".into(), omega));
        frequencies.into_iter().chain(self.layers.constants()).collect()
    }

    fn set_time_kind(&mut self, kind: Option<Kind>) -> Result<&'static str> {
        if !self.time_projection.computes_features() {
            return Err(integer_time(&format!("{} with a learned table", self.facts.architecture)));
        }
        self.time_kind = kind;
        Ok("t and its sinusoids")
    }

    fn time_kind(&self) -> Option<Kind> {
        self.time_kind
    }

    fn to(&mut self, device: Device, kind: Kind) -> Result<()> {
        let mut tensors = BTreeMap::new();
        for (name, tensor) in &self.parameters {
            let multiplies_time = self.facts.frequencies.is_some_and(|prefix| name.starts_with(prefix));
            let kind = if multiplies_time && kind != Kind::Double { Kind::Float } else { kind };
            let tensor = tensor.f_to_device(device).and_then(|t| t.f_to_kind(kind)).doing("moving the network")?;
            tensors.insert(name.clone(), tensor);
        }
        // Layers hold nothing but handles on parameters, so new layers are the short way to move all of them.
        let network = NativeNetwork::new(&self.config, &Weights::new(tensors, Path::new("the network")))?;
        *self = NativeNetwork { time_kind: self.time_kind, ..network };
        Ok(())
    }
}

impl<L: Layers> Inside for NativeNetwork<L> {
    fn forward_by(&self, x: &Dual, t: &Dual, condition: &Condition, entrance: &Entrance) -> Result<Dual> {
        self.check(&x.value, &t.value, condition)?;
        let still = Dual::constant(t.value.shallow_clone());
        let features = |t| self.time_projection.forward_in(t, self.time_kind, self.kind);
        let all = Sites::All;
        let (t, features, sites) = match entrance {
            Entrance::At(sites) => (t, features(t)?, sites),
            Entrance::Through(columns) => (&still, only_columns(features(t)?, columns)?, &all),
            Entrance::PastFeatures => (t, features(&still)?, &all),
        };
        self.layers.forward(&inputs((x, t, &features), condition, sites))
    }

    fn frequencies(&self) -> Result<Vec<Frequencies>> {
        match self.time_projection.waves_by_column()? {
            Some(waves) => Ok(Frequencies::group(waves)),
            None => Err(Error::unsupported(
                format!("frequencies of the time embedding of this {}", self.facts.architecture),
                "t is looked up in a learned table",
                "Use --attribute site.",
            )),
        }
    }
}

/// What the layers get, of inputs that are checked.
fn inputs<'a>(
    (x, t, features): (&'a Dual, &'a Dual, &'a Dual),
    condition: &'a Condition,
    sites: &'a Sites,
) -> Inputs<'a> {
    Inputs {
        x,
        t,
        features,
        labels: condition.labels.as_ref(),
        context: condition.context.as_ref(),
        pooled: condition.pooled.as_ref(),
        numbers: condition.numbers.as_ref(),
        sites,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::mlp::{MlpConfig, ResidualMlp};

    fn network() -> ResidualMlp {
        let config = MlpConfig::new(vec![2, 3], 8, 1, Path::new("test")).unwrap();
        ResidualMlp::new(&config, &Weights::fresh(0)).unwrap()
    }

    #[test]
    fn inputs_that_do_not_fit_are_refused() {
        let network = network();
        let ones = |size: &[i64], kind| Tensor::ones(size, (kind, Device::Cpu));
        let (float, double) = (Kind::Float, Kind::Double);
        let labels = Condition { labels: Some(Tensor::from_slice(&[0i64])), ..Condition::default() };
        let context = Condition { context: Some(ones(&[1, 4, 5], float)), ..Condition::default() };
        for (x, t, condition, says) in [
            (
                ones(&[1, 3, 2], float),
                1,
                Condition::default(),
                "[1, 3, 2], where the network takes samples of shape [2, 3]",
            ),
            (ones(&[], float), 1, Condition::default(), "samples of shape [2, 3]"),
            (ones(&[1, 2, 3], double), 1, Condition::default(), "x is Double, where the network computes in Float"),
            (ones(&[1, 2, 3], float), 2, Condition::default(), "t has shape [2], where x holds 1 samples"),
            (ones(&[1, 2, 3], float), 1, labels, "no classes"),
            (ones(&[1, 2, 3], float), 1, context, "attends to none"),
        ] {
            let t = Dual::constant(ones(&[t], float));
            let error = network.forward(&Dual::constant(x), &t, &condition).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_move_keeps_the_dtype_of_time() {
        let mut network = network();
        network.set_time_kind(Some(Kind::BFloat16)).unwrap();
        network.to(Device::Cpu, Kind::Double).unwrap();
        assert_eq!(network.time_kind(), Some(Kind::BFloat16));
        assert!(network.parameters().iter().all(|(_, tensor)| tensor.kind() == Kind::Double));
    }
}
