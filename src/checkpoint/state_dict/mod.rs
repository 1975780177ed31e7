//! State dicts without a configuration, as trainers save them: bare, or nested in whatever else they keep.
//!
//! The architecture is known by the names and shapes of the parameters ([`crate::network::recognise()`]), below whatever
//! prefix a file puts before them: `model.`, `ema.ema_model.`, `state_dict.model.diffusion_model.`, `module.`. Of several
//! sets of weights averages are preferred. Schedule and prediction type are taken from the buffers beside the weights,
//! where a trainer saves these.

mod buffers;

use super::declared::USUAL;
use super::sets::{self, Names, Set};
use super::weights::placed;
use super::{Checkpoint, Declared, Format, Request, Source, sha256};
use crate::error::{Error, Result};
use crate::network::recognise::{Evidence, Shapes, StateDict, Told, Use};
use crate::network::{self};
use crate::nn::Weights;
use crate::report::WeightsUsed;
use crate::tensor_file::{self, Array, Format as File, Listing, NamedArrays};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tch::Tensor;

/// The format's name.
pub const NAME: &str = "state dict";

pub(super) const FORMAT: Format = Format {
    name: NAME,
    about: "a torch.save or .safetensors file with the weights of an architecture that is known by their names",
    recognises,
    declared,
    open,
};

fn recognises(source: &Source) -> bool {
    let kinds = [File::TorchSave, File::TorchSaveLegacy, File::Safetensors, File::Pickle];
    source.sniffed.as_ref().is_some_and(|sniffed| kinds.contains(&sniffed.format))
        && tensor_file::entries(source.path).is_ok_and(|listing| !known(&listing).is_empty())
}

/// A set of weights with its architecture.
struct Known {
    set: Set,
    state_dict: StateDict,
}

impl Known {
    /// Whether the array `name` of the file says how the network is used.
    fn says(&self, name: &str) -> bool {
        let own = self.set.names.get(name);
        own.is_some_and(|own| self.state_dict.usage.is_some_and(|usage| usage.buffers.contains(&own.as_str())))
    }

    /// How such networks are used; nothing where their trainer leaves that open.
    fn used(&self, request: &Request, told: &Told, named: &NamedArrays) -> Result<Declared> {
        let Some(usage) = self.state_dict.usage else { return Ok(Declared::default()) };
        let numbers = |own: &&str| {
            let name = self.set.names.iter().find(|(_, found)| found == own).map(|(name, _)| name);
            Some(named.get(name?)?.map(|x| x))
        };
        let buffers: Option<Vec<Vec<f64>>> = usage.buffers.iter().map(numbers).collect();
        let evidence = Evidence {
            shapes: &self.set.shapes,
            told,
            buffers: &buffers.unwrap_or_default(),
            prediction_said: request.said.prediction,
        };
        let Some(Use { schedule, prediction, conditioning }) = (usage.read)(&evidence)? else {
            return Ok(Declared::default());
        };
        let conditioning = Some(conditioning);
        Ok(Declared { schedule: Some(schedule), prediction, conditioning, ..Declared::default() }.said_in(USUAL))
    }

    /// An error with the weights that it is about.
    fn of_these(&self, error: &Error, path: &Path) -> Error {
        let problem = format!("it holds the weights of a {}, and {}", self.state_dict.known_as, error.problem());
        Error::file(path, problem, error.next())
    }
}

/// All sets of weights whose architecture is known, the shortest prefix first.
fn known(listing: &Listing) -> Vec<Known> {
    let names = Names::new(&listing.entries);
    let state_dicts = network::ARCHITECTURES.iter().filter_map(|architecture| architecture.state_dict);
    let of = |state_dict: StateDict| {
        sets::find(&names, state_dict.anchors).into_iter().map(move |set| Known { set, state_dict })
    };
    let mut all: Vec<Known> = state_dicts.flat_map(of).collect();
    all.sort_by(|a, b| (a.set.prefix.len(), &a.set.prefix).cmp(&(b.set.prefix.len(), &b.set.prefix)));
    all
}

/// The one that is meant, and which it is where there are several.
fn choose<'a>(all: &'a [Known], asked: Option<&str>, path: &Path) -> Result<(&'a Known, Option<WeightsUsed>)> {
    let sets: Vec<&Set> = all.iter().map(|known| &known.set).collect();
    let place = sets::choose(&sets, asked, path)?;
    let known = all.get(place).ok_or_else(|| Error::file(path, "it holds no weights", "Check the file."))?;
    let names: Vec<String> = sets.iter().map(|set| set.name()).collect();
    Ok((known, sets::used(&names, &known.set.name())))
}

/// A line on a list of averages that fits no model of the file.
fn unread_list(listing: &Listing, all: &[Known]) -> Option<String> {
    let is_list = |name: &str| name.split('.').any(|part| part == sets::LIST);
    let has_list = listing.entries.iter().any(|entry| is_list(&entry.name));
    let is_read = all.iter().any(|known| is_list(&known.set.prefix));
    (has_list && !is_read).then(|| {
        format!(
            "its averages `{}` have no names and do not fit the parameters in their order; they are not used.",
            sets::LIST
        )
    })
}

/// What the user says, and the small buffers beside the weights.
fn declared(source: &Source, request: &Request) -> Result<Declared> {
    let path = source.path;
    let all = known(&tensor_file::entries(path)?);
    let (known, _) = choose(&all, request.weights, path)?;
    let buffers = buffers::Wanted::beside(&known.set.prefix);
    let named = tensor_file::read_selected(path, &|name| buffers.has(name) || known.says(name))?;
    let nothing = Told::default();
    let told = request.told.unwrap_or(&nothing);
    let config = configuration(known, told, path)?;
    let takes = Some(network::takes(&config, path)?);
    let usual = known
        .used(request, told, &named)
        .map_err(|e| known.of_these(&e, path))?
        .or(Declared::of_architecture(&config)?);
    Ok(Declared { takes, ..said(told)?.or(usual).or(buffers.declared(&named)?) })
}

fn open(source: &Source, request: &Request) -> Result<Checkpoint> {
    let path = source.path;
    let listing = tensor_file::entries(path)?;
    let all = known(&listing);
    let (known, used) = choose(&all, request.weights, path)?;
    let set = &known.set;
    let nothing = Told::default();
    let told = request.told.unwrap_or(&nothing);
    // Asked before gigabytes are read.
    let config = configuration(known, told, path)?;
    let buffers = buffers::Wanted::beside(&set.prefix);
    let numbers = !request.headers_only;
    let named = tensor_file::read_selected(path, &|name| {
        numbers && set.names.contains_key(name) || buffers.has(name) || known.says(name)
    })?;
    if numbers {
        refuse_missing(set, &named, path)?;
    }
    let usual = known
        .used(request, told, &named)
        .map_err(|e| known.of_these(&e, path))?
        .or(Declared::of_architecture(&config)?);
    let declared = said(told)?.or(usual).or(buffers.declared(&named)?);
    let tensors = match numbers {
        true => tensors(set, named.arrays, request)?,
        false => set.without_numbers(&listing.entries)?,
    };
    let weights = Weights::new(tensors, path);
    let network = network::build(&config, &weights, path)?;
    weights.finish()?;
    let format = format!("{NAME}, weights {}", set.name());
    Ok(Checkpoint {
        path: path.into(),
        format,
        sha256: if numbers { Some(sha256(path)?) } else { None },
        network,
        declared,
        reference: None,
        left_out: named.opaque,
        weights: used,
        notes: unread_list(&listing, &all).into_iter().chain((known.state_dict.note)(told)).collect(),
    })
}

/// The tensors of a set where and as they are asked for, under the network's own names.
fn tensors(set: &Set, arrays: Vec<(String, Array)>, request: &Request) -> Result<BTreeMap<String, Tensor>> {
    let mut tensors = BTreeMap::new();
    for (name, array) in arrays {
        let Some(own) = set.names.get(&name) else { continue };
        tensors.insert(own.clone(), placed(&array, request)?);
    }
    Ok(tensors)
}

/// Parameters that the listing has and whose numbers cannot be read, such as those in float8.
fn refuse_missing(set: &Set, named: &NamedArrays, path: &Path) -> Result<()> {
    let read: BTreeSet<&str> = named.arrays.iter().map(|(name, _)| name.as_str()).collect();
    let Some(missing) = set.names.keys().find(|name| !read.contains(name.as_str())) else { return Ok(()) };
    let with_type = format!("{missing} (");
    let shown = named.opaque.iter().find(|name| name.starts_with(&with_type)).unwrap_or(missing);
    let problem = format!("the numbers of its parameter {shown} cannot be read");
    Err(Error::file(path, problem, "Convert the weights to float32, bfloat16 or float16 and save them again."))
}

/// The configuration of a set of weights.
fn configuration(known: &Known, told: &Told, path: &Path) -> Result<Value> {
    (known.state_dict.config)(&known.set.shapes, told).map_err(|e| known.of_these(&e, path))
}

/// What the user says under the names of `lipscope.json`.
fn said(told: &Told) -> Result<Declared> {
    let text = |key: &str| told.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_string));
    Ok(Declared {
        schedule: text("schedule").map(|text| text.parse()).transpose()?,
        prediction: text("prediction").map(|text| text.parse()).transpose()?,
        share: text("share"),
        conditioning: text("condition").map(|text| text.parse()).transpose()?,
        ..Declared::default()
    }
    .said_in("--config"))
}

/// What a file with state dicts holds, without its numbers.
pub struct Description {
    /// Name of the architecture.
    pub architecture: &'static str,
    /// Names of the sets of weights; the first is the one that is used by default.
    pub sets: Vec<String>,
    /// Parameters of that set.
    pub parameters: usize,
    /// The configuration that follows, or what has to be said first.
    pub config: std::result::Result<Value, String>,
    /// What was assumed.
    pub note: Option<String>,
}

/// Describes the state dicts of a listing; `None` where there are none of a known architecture.
pub fn describe(listing: &Listing, path: &Path) -> Result<Option<Description>> {
    let all = known(listing);
    if all.is_empty() {
        return Ok(None);
    }
    let (first, _) = choose(&all, None, path)?;
    let name = first.set.name();
    let rest: Vec<String> = all.iter().map(|known| known.set.name()).filter(|other| *other != name).collect();
    Ok(Some(Description {
        architecture: first.state_dict.known_as,
        sets: std::iter::once(name).chain(rest).collect(),
        parameters: first.set.shapes.elements(),
        config: configuration(first, &Told::default(), path).map_err(|e| e.to_string()),
        note: (first.state_dict.note)(&Told::default()),
    }))
}

impl Shapes {
    /// Number of elements of all parameters together.
    fn elements(&self) -> usize {
        self.names().filter_map(|name| self.get(name).ok()).map(|shape| shape.iter().product::<i64>() as usize).sum()
    }
}
