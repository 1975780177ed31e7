//! Named parameters on their way from a file into layers, with every name accounted for.

use crate::error::{Error, Result};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tch::Tensor;

/// A view of a state dict below one prefix. Views share the tensors and the record of what was taken.
#[derive(Debug, Clone)]
pub struct Weights {
    shared: Rc<Shared>,
    prefix: String,
}

#[derive(Debug)]
struct Shared {
    tensors: BTreeMap<String, Tensor>,
    taken: RefCell<BTreeSet<String>>,
    path: PathBuf,
}

impl Weights {
    /// All tensors of the file at `path`.
    pub fn new(tensors: BTreeMap<String, Tensor>, path: &Path) -> Self {
        let shared = Shared { tensors, taken: RefCell::default(), path: path.to_path_buf() };
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

    /// Name and tensor of all that lies below the prefix, under full names. The tensors are shared, not copied.
    pub fn named(&self) -> Vec<(String, Tensor)> {
        let below = self.shared.tensors.iter().filter(|(name, _)| name.starts_with(&self.prefix));
        below.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.shared.tensors.contains_key(&format!("{}{name}", self.prefix))
    }

    /// The tensor `name`, which must have exactly this shape.
    pub fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let full = format!("{}{name}", self.prefix);
        let Some(tensor) = self.shared.tensors.get(&full) else {
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

    /// The tensor `name` if it is there, checked like [`Weights::tensor`].
    pub fn optional(&self, name: &str, shape: &[i64]) -> Result<Option<Tensor>> {
        if self.has(name) { self.tensor(name, shape).map(Some) } else { Ok(None) }
    }

    /// Fails if a tensor was never taken: then the file holds parts that the network was built without.
    pub fn finish(&self) -> Result<()> {
        let taken = self.shared.taken.borrow();
        let unused: Vec<&str> =
            self.shared.tensors.keys().filter(|name| !taken.contains(*name)).map(String::as_str).collect();
        let Some(first) = unused.first() else { return Ok(()) };
        Err(Error::file(
            &self.shared.path,
            format!("{} parameters have no place in the configured network, the first is `{first}`", unused.len()),
            "The weights do not belong to this configuration; check that both come from the same model.",
        ))
    }
}
