//! Named parameters on their way into layers: from a file, with every name accounted for, or freshly drawn.

use crate::error::{Doing, Error, Result};
use crate::random::{Purpose, fill_normal, stream};
use rand::RngExt;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tch::{Device, Tensor};

/// How a parameter begins before training; the numbers are PyTorch's defaults for its layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All 0: shifts of normalisations.
    Zeros,
    /// All 1: scales of normalisations.
    Ones,
    /// Uniform in ±1/√fan_in: weights and biases of linear layers and convolutions with so many inputs per output.
    FanIn(i64),
    /// Standard normal times a factor: embeddings and random frequencies.
    Normal(f64),
}

/// A view of a state dict below one prefix. Views share the tensors and the record of what was taken.
#[derive(Debug, Clone)]
pub struct Weights {
    shared: Rc<Shared>,
    prefix: String,
}

#[derive(Debug)]
struct Shared {
    tensors: RefCell<BTreeMap<String, Tensor>>,
    taken: RefCell<BTreeSet<String>>,
    first_asked: RefCell<Option<String>>,
    path: PathBuf,
    /// Where missing parameters are drawn: the seed of a fresh network.
    fresh: Option<u64>,
    device: Device,
}

impl Weights {
    /// All tensors of the file at `path`.
    pub fn new(tensors: BTreeMap<String, Tensor>, path: &Path) -> Self {
        let device = tensors.values().next().map_or(Device::Cpu, Tensor::device);
        Weights::sharing(tensors, path, None, device)
    }

    /// No tensors yet: each is drawn in float32 on the CPU when a layer asks for it, from a stream of its own that
    /// depends on the seed and on its name.
    pub fn fresh(seed: u64) -> Self {
        Weights::sharing(BTreeMap::new(), Path::new("the new network"), Some(seed), Device::Cpu)
    }

    fn sharing(tensors: BTreeMap<String, Tensor>, path: &Path, fresh: Option<u64>, device: Device) -> Self {
        let shared = Shared {
            tensors: RefCell::new(tensors),
            taken: RefCell::default(),
            first_asked: RefCell::default(),
            path: path.into(),
            fresh,
            device,
        };
        Weights { shared: Rc::new(shared), prefix: String::new() }
    }

    /// The view below `name`: `at("conv1").tensor("weight", …)` takes `conv1.weight`.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Weights { shared: Rc::clone(&self.shared), prefix: format!("{}{name}.", self.prefix) }
    }

    /// The prefix of this view without its last dot, such as `mid_block.resnets.0`; for messages.
    pub fn name(&self) -> &str {
        self.prefix.trim_end_matches('.')
    }

    /// Where the tensors are.
    pub fn device(&self) -> Device {
        self.shared.device
    }

    /// Name and tensor of all that lies below the prefix, under full names. The tensors are shared, not copied.
    pub fn named(&self) -> Vec<(String, Tensor)> {
        let tensors = self.shared.tensors.borrow();
        let below = tensors.iter().filter(|(name, _)| name.starts_with(&self.prefix));
        below.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    /// The tensor that was asked for first: a network that is not built before that has a wrong configuration.
    pub fn first_asked(&self) -> Option<String> {
        self.shared.first_asked.borrow().clone()
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.shared.tensors.borrow().contains_key(&format!("{}{name}", self.prefix))
    }

    /// Number of axes of the tensor `name`; `None` where there is none yet.
    pub fn axes(&self, name: &str) -> Option<usize> {
        self.shared.tensors.borrow().get(&format!("{}{name}", self.prefix)).map(Tensor::dim)
    }

    /// The tensor `name`, which must have exactly this shape; a fresh network draws it as `init` says.
    pub fn tensor(&self, name: &str, shape: &[i64], init: Init) -> Result<Tensor> {
        let full = format!("{}{name}", self.prefix);
        self.shared.first_asked.borrow_mut().get_or_insert_with(|| full.clone());
        let mut tensors = self.shared.tensors.borrow_mut();
        if let (Some(seed), None) = (self.shared.fresh, tensors.get(&full)) {
            tensors.insert(full.clone(), draw(seed, &full, shape, init)?);
        }
        let Some(tensor) = tensors.get(&full) else {
            return Err(Error::file(
                &self.shared.path,
                format!("the parameter `{full}` is missing"),
                "The weights do not belong to this configuration; check that both come from the same model.",
            ));
        };
        if tensor.size() != shape {
            return Err(Error::file(
                &self.shared.path,
                format!("the parameter `{full}` has shape {:?}, where the configuration says {shape:?}", tensor.size()),
                "The weights do not belong to this configuration; check that both come from the same model.",
            ));
        }
        self.shared.taken.borrow_mut().insert(full);
        Ok(tensor.shallow_clone())
    }

    /// The tensor `name` if it is there, checked like [`Weights::tensor`]; never drawn.
    pub fn optional(&self, name: &str, shape: &[i64]) -> Result<Option<Tensor>> {
        if self.has(name) { self.tensor(name, shape, Init::Zeros).map(Some) } else { Ok(None) }
    }

    /// Fails if a tensor was never taken: then the file holds parts that the network was built without.
    pub fn finish(&self) -> Result<()> {
        let (taken, tensors) = (self.shared.taken.borrow(), self.shared.tensors.borrow());
        let unused: Vec<&str> = tensors.keys().filter(|name| !taken.contains(*name)).map(String::as_str).collect();
        let Some(first) = unused.first() else { return Ok(()) };
        Err(Error::file(
            &self.shared.path,
            format!("{} parameters have no place in the configured network, the first is `{first}`", unused.len()),
            "The weights do not belong to this configuration; check that both come from the same model.",
        ))
    }
}

/// A new parameter. Its stream depends on the seed and the name, not on the order in which layers are built.
fn draw(seed: u64, name: &str, shape: &[i64], init: Init) -> Result<Tensor> {
    let digest = Sha256::digest(name.as_bytes());
    let id = digest.iter().take(8).fold(0u64, |id, &byte| id << 8 | u64::from(byte));
    let mut rng = stream(seed, Purpose::Weights, 0.0, id);
    let mut values = vec![0.0f32; shape.iter().product::<i64>() as usize];
    match init {
        Init::Zeros => {}
        Init::Ones => values.fill(1.0),
        Init::FanIn(inputs) => {
            let bound = 1.0 / (inputs.max(1) as f32).sqrt();
            values.iter_mut().for_each(|value| *value = rng.random_range(-bound..bound));
        }
        Init::Normal(scale) => {
            fill_normal(&mut rng, &mut values);
            values.iter_mut().for_each(|value| *value *= scale as f32);
        }
    }
    Tensor::f_from_slice(&values).and_then(|v| v.f_view(shape)).doing("drawing the first weights")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.flatten(0, -1)).unwrap()
    }

    #[test]
    fn fresh_weights_depend_on_seed_and_name_only() {
        let draw = |seed, name| numbers(&Weights::fresh(seed).tensor(name, &[3, 5], Init::FanIn(5)).unwrap());
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }

    #[test]
    fn fresh_weights_have_pytorchs_spread() {
        let weights = Weights::fresh(0);
        let linear = weights.tensor("linear", &[400, 100], Init::FanIn(100)).unwrap();
        // U(±1/√100) has the standard deviation 0.1/√3 = 0.0577; five standard errors of it over 40,000 draws.
        let std = linear.std(true).double_value(&[]);
        assert!((std - 0.1 / 3f64.sqrt()).abs() < 7e-4, "{std}");
        assert!(linear.abs().max().double_value(&[]) <= 0.1);
        let normal = weights.tensor("normal", &[200, 200], Init::Normal(16.0)).unwrap();
        assert!((normal.std(true).double_value(&[]) / 16.0 - 1.0).abs() < 0.02);
        assert_eq!(weights.tensor("ones", &[2], Init::Ones).unwrap().sum(None).double_value(&[]), 2.0);
    }

    #[test]
    fn one_name_is_one_tensor() {
        let weights = Weights::fresh(0);
        let _ = weights.at("a").tensor("b", &[2], Init::Ones).unwrap();
        assert!(weights.has("a.b") && weights.finish().is_ok());
        let error = weights.tensor("a.b", &[3], Init::Ones).unwrap_err().to_string();
        assert!(error.contains("has shape [2]"), "{error}");
    }
}
