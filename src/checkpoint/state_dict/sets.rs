//! The sets of weights in a file: below which prefixes a known architecture's parameters lie, and which set is meant.

use crate::error::{Error, Result};
use crate::network::recognise::{Shapes, StateDict};
use crate::network::{self};
use crate::tensor_file::Listing;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// One set of weights.
pub(super) struct Set {
    /// What stands before the names of the parameters in the file, with its last dot; empty for a bare state dict.
    pub prefix: String,
    /// The architecture.
    pub state_dict: StateDict,
    /// Names in the file, and the architecture's own.
    pub names: BTreeMap<String, String>,
    /// Shapes by the architecture's own names.
    pub shapes: Shapes,
}

/// latent-diffusion keeps averages beside the model under names without dots (`LitEma`).
const LIT_EMA: &str = "model_ema.";
const LIT_MODEL: &str = "model.";

impl Set {
    fn new(
        prefix: String,
        state_dict: StateDict,
        names: BTreeMap<String, String>,
        all: &HashMap<&str, &[usize]>,
    ) -> Set {
        let size =
            |name: &str| all.get(name).map(|shape| shape.iter().map(|n| *n as i64).collect()).unwrap_or_default();
        let shapes = names.iter().map(|(name, own)| (own.clone(), size(name))).collect();
        Set { prefix, state_dict, names, shapes }
    }

    /// The prefix without its last dot; `all` for a bare state dict.
    pub fn name(&self) -> String {
        if self.prefix.is_empty() { "all".into() } else { self.prefix.trim_end_matches('.').into() }
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.shapes.elements()
    }

    /// Whether these are averages over the training. ema-pytorch keeps the model itself beside them.
    fn is_average(&self) -> bool {
        let words = |part: &str| part.split('_').any(|word| word == "ema" || word == "averaged" || word == "swa");
        let parts: Vec<&str> = self.prefix.split('.').collect();
        parts.iter().any(|part| words(part)) && !parts.contains(&"online_model")
    }
}

/// All sets of weights whose architecture is known, in the order of their names' length.
pub(super) fn find(listing: &Listing) -> Vec<Set> {
    let all: HashMap<&str, &[usize]> =
        listing.entries.iter().map(|entry| (entry.name.as_str(), entry.shape.as_slice())).collect();
    let mut sets = Vec::new();
    for state_dict in network::ARCHITECTURES.iter().filter_map(|architecture| architecture.state_dict) {
        for prefix in prefixes(&all, state_dict.anchors) {
            let below = all.keys().filter_map(|name| Some((*name, name.strip_prefix(prefix.as_str())?)));
            let names: BTreeMap<String, String> = below.map(|(name, own)| (name.into(), own.into())).collect();
            sets.extend(lit_ema(&prefix, state_dict, &names, &all));
            sets.push(Set::new(prefix, state_dict, names, &all));
        }
    }
    sets.sort_by(|a, b| (a.prefix.len(), &a.prefix).cmp(&(b.prefix.len(), &b.prefix)));
    sets
}

/// What stands before all anchors of an architecture.
fn prefixes(all: &HashMap<&str, &[usize]>, anchors: &[&str]) -> BTreeSet<String> {
    let Some(first) = anchors.first() else { return BTreeSet::new() };
    let before = all.keys().filter_map(|name| name.strip_suffix(first));
    let whole = before.filter(|prefix| prefix.is_empty() || prefix.ends_with('.'));
    let complete = |prefix: &&str| anchors.iter().all(|anchor| all.contains_key(format!("{prefix}{anchor}").as_str()));
    whole.filter(complete).map(str::to_string).collect()
}

/// The averages that latent-diffusion keeps of the parameters below `prefix`.
fn lit_ema(
    prefix: &str,
    state_dict: StateDict,
    names: &BTreeMap<String, String>,
    all: &HashMap<&str, &[usize]>,
) -> Option<Set> {
    let mut places = prefix.match_indices(LIT_MODEL).map(|(at, _)| at);
    let at = places.find(|at| *at == 0 || prefix[..*at].ends_with('.'))?;
    let (outer, inner) = (&prefix[..at], &prefix[at + LIT_MODEL.len()..]);
    let average = |own: &str| format!("{outer}{LIT_EMA}{}", format!("{inner}{own}").replace('.', ""));
    let averages: Option<BTreeMap<String, String>> = names
        .values()
        .map(|own| Some(average(own)).filter(|name| all.contains_key(name.as_str())).map(|n| (n, own.clone())))
        .collect();
    Some(Set::new(format!("{outer}{LIT_EMA}"), state_dict, averages?, all))
}

/// The set that `asked` names: `ema` is the first average, `model` or `raw` the first that is none, else a set's name or a
/// part of it. Without a question the first average, else the first.
pub(super) fn choose<'a>(sets: &'a [Set], asked: Option<&str>, path: &Path) -> Result<&'a Set> {
    let averages = || sets.iter().find(|set| set.is_average());
    let raw = || sets.iter().find(|set| !set.is_average());
    let named = |key: &str| {
        let exact = sets.iter().find(|set| set.name() == key);
        exact.or_else(|| sets.iter().find(|set| set.prefix.split('.').any(|part| part == key)))
    };
    let found = match asked {
        None => averages().or_else(raw),
        Some("ema") => averages(),
        Some("raw") => raw(),
        Some("model") => raw().or_else(|| named("model")),
        Some(key) => named(key),
    };
    found.ok_or_else(|| {
        let names: Vec<String> = sets.iter().map(Set::name).collect();
        let (asked, names) = (asked.unwrap_or_default(), names.join(", "));
        Error::argument("--weights", asked, format!("{} holds {names}", path.display()), "Choose one of them.")
    })
}
