//! The sets of weights in a file: below which prefixes the parameters of a network lie, which of them are averages, and
//! which set is meant. State dicts and folders are read alike.

mod averages;
mod wrappers;

use crate::error::{Doing, Error, Result};
use crate::network::recognise::Shapes;
use crate::report::WeightsUsed;
use crate::tensor_file::{self, Dtype, Entry};
pub(super) use averages::{LIST, is_average_name};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use tch::{Device, Tensor};

/// One set of weights.
pub(super) struct Set {
    /// What stands before the names of the parameters in the file, with its last dot; empty for a bare state dict.
    pub prefix: String,
    /// Names in the file, and the network's own.
    pub names: BTreeMap<String, String>,
    /// Shapes by the network's own names.
    pub shapes: Shapes,
    /// Whether these are averages over the training.
    pub average: bool,
}

impl Set {
    /// The prefix without its last dot and without the words of wrappers; `all` for a bare state dict.
    pub fn name(&self) -> String {
        let name = wrappers::without_private(self.prefix.trim_end_matches('.'));
        if name.is_empty() { "all".into() } else { name }
    }

    /// Its tensors without their numbers, among `entries`: memory that nobody writes to takes no room.
    pub fn without_numbers(&self, entries: &[Entry]) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for entry in entries {
            let Some((own, dtype)) = self.names.get(&entry.name).zip(Dtype::from_name(&entry.dtype)) else { continue };
            let shape: Vec<i64> = entry.shape.iter().map(|&n| n as i64).collect();
            let tensor = Tensor::f_empty(&shape, (tensor_file::kind(dtype)?, Device::Cpu));
            tensors.insert(own.clone(), tensor.doing("making room for a parameter")?);
        }
        Ok(tensors)
    }

    /// Whether `key` is a part of the prefix, in any case.
    fn has_part(&self, key: &str) -> bool {
        self.prefix.split('.').any(|part| part.eq_ignore_ascii_case(key))
    }
}

/// The names and shapes of a file's arrays.
pub(super) struct Names<'a> {
    shapes: HashMap<&'a str, &'a [usize]>,
    /// In the order of the file.
    order: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// Of a listing.
    pub fn new(entries: &'a [Entry]) -> Self {
        Names {
            shapes: entries.iter().map(|entry| (entry.name.as_str(), entry.shape.as_slice())).collect(),
            order: entries.iter().map(|entry| entry.name.as_str()).collect(),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.shapes.contains_key(name)
    }

    fn any_below(&self, prefix: &str) -> bool {
        self.order.iter().any(|name| name.starts_with(prefix))
    }

    fn set(&self, prefix: String, names: BTreeMap<String, String>, average: bool) -> Set {
        let size = |name: &str| self.shapes.get(name).copied().unwrap_or_default();
        let shape = |name: &str| size(name).iter().map(|n| *n as i64).collect();
        let shapes = names.iter().map(|(name, own)| (own.clone(), shape(name))).collect();
        Set { prefix, names, shapes, average }
    }
}

/// All sets of weights that have every one of the `anchors`, the shortest prefix first.
pub(super) fn find(names: &Names, anchors: &[&str]) -> Vec<Set> {
    let Some((first, others)) = anchors.split_first() else { return Vec::new() };
    let prefixes: BTreeSet<&str> = names.order.iter().filter_map(|name| wrappers::before(name, first)).collect();
    let mut sets = Vec::new();
    for &prefix in &prefixes {
        let deeper = |name: &str| prefixes.iter().any(|p| p.len() > prefix.len() && name.starts_with(p));
        let below = names.order.iter().filter(|name| name.starts_with(prefix) && !deeper(name));
        let own = |name: &str| wrappers::without(name.get(prefix.len()..).unwrap_or_default());
        let own: BTreeMap<String, String> = below.map(|name| (name.to_string(), own(name))).collect();
        if others.iter().all(|anchor| own.values().any(|name| name == anchor)) {
            sets.extend(averages::without_names(names, prefix, &own));
            let average = averages::is_average(names, prefix);
            sets.push(names.set(prefix.to_string(), own, average));
        }
    }
    sets.sort_by(|a, b| (a.prefix.len(), &a.prefix).cmp(&(b.prefix.len(), &b.prefix)));
    sets
}

/// The place of the set that `asked` names: `ema` is the first average, `model` or `raw` the first that is none, else a
/// set's name or a part of it that no other set has. Without a question the first average, else the first.
pub(super) fn choose(sets: &[&Set], asked: Option<&str>, path: &Path) -> Result<usize> {
    let average = |wanted: bool| sets.iter().position(|set| set.average == wanted);
    let is_average = |place: usize| sets.get(place).is_some_and(|set| set.average);
    let exact = |key: &str| sets.iter().position(|set| set.name() == key);
    let refuse = |key: &str, next: &str| {
        let names: Vec<String> = sets.iter().map(|set| set.name()).collect();
        let holds = format!("{} holds {}", path.display(), names.join(", "));
        Err(Error::argument("--weights", key, holds, next))
    };
    let found = match asked {
        None => average(true).or(average(false)),
        Some("ema") => exact("ema").filter(|place| is_average(*place)).or(average(true)),
        Some("raw") => exact("raw").or(average(false)),
        Some("model") => exact("model").or(average(false)),
        Some(key) => match exact(key) {
            Some(place) => Some(place),
            None => {
                let mut parts = sets.iter().enumerate().filter(|(_, set)| set.has_part(key)).map(|(place, _)| place);
                let first = parts.next();
                if parts.next().is_some() {
                    return refuse(key, "Several of them have this part; name one in full.");
                }
                first
            }
        },
    };
    found.map_or_else(|| refuse(asked.unwrap_or_default(), "Choose one of them."), Ok)
}

/// One line on which of several sets is used; `None` where there is one.
pub(super) fn used(names: &[String], chosen: &str) -> Option<WeightsUsed> {
    (names.len() > 1).then(|| WeightsUsed { name: chosen.into(), all: names.to_vec() })
}

#[cfg(test)]
mod tests;
