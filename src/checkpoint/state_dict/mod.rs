//! State dicts without a configuration, as trainers save them: bare, or nested in whatever else they keep.
//!
//! The architecture is known by the names and shapes of the parameters ([`crate::network::recognise()`]), below whatever
//! prefix a file puts before them: `model.`, `ema.ema_model.`, `state_dict.model.diffusion_model.`, `module.`. Of several
//! sets of weights averages are preferred. Schedule and prediction type are taken from the buffers beside the weights,
//! where a trainer saves these.

mod buffers;
mod sets;

use super::{Checkpoint, Declared, Format, Request, Source, sha256};
use crate::error::{Doing, Error, Result};
use crate::network::recognise::{Shapes, Told};
use crate::network::{self};
use crate::nn::Weights;
use crate::tensor_file::{self, Format as File, IntoTensor, Listing, NamedArrays};
use serde_json::Value;
use sets::Set;
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
    let kinds = [File::TorchSave, File::TorchSaveLegacy, File::Safetensors];
    source.sniffed.as_ref().is_some_and(|sniffed| kinds.contains(&sniffed.format))
        && tensor_file::entries(source.path).is_ok_and(|listing| !sets::find(&listing).is_empty())
}

/// What the user says, and the small buffers beside the weights.
fn declared(source: &Source, request: &Request) -> Result<Declared> {
    let path = source.path;
    let sets = sets::find(&tensor_file::entries(path)?);
    let buffers = buffers::Wanted::beside(&sets::choose(&sets, request.weights, path)?.prefix);
    let named = tensor_file::read_selected(path, &|name| buffers.has(name))?;
    let told = request.told.map(said).transpose()?.unwrap_or_default();
    Ok(told.or(buffers.declared(&named)?))
}

fn open(source: &Source, request: &Request) -> Result<Checkpoint> {
    let path = source.path;
    let sets = sets::find(&tensor_file::entries(path)?);
    let set = sets::choose(&sets, request.weights, path)?;
    let nothing = Told::default();
    let told = request.told.unwrap_or(&nothing);
    // Asked before gigabytes are read.
    let config = configuration(set, told, path)?;
    let buffers = buffers::Wanted::beside(&set.prefix);
    let named = tensor_file::read_selected(path, &|name| set.names.contains_key(name) || buffers.has(name))?;
    refuse_missing(set, &named, path)?;
    let declared = said(told)?.or(buffers.declared(&named)?);
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for (name, array) in named.arrays {
        let Some(own) = set.names.get(&name) else { continue };
        let tensor = array.into_tensor()?.f_to_device(request.device).doing("moving weights")?;
        tensors.insert(own.clone(), tensor);
    }
    let weights = Weights::new(tensors, path);
    let network = network::build(&config, &weights, path)?;
    weights.finish()?;
    let format = format!("{NAME}, weights {}", set.name());
    Ok(Checkpoint {
        path: path.into(),
        format,
        sha256: sha256(path)?,
        network,
        declared,
        reference: None,
        left_out: named.opaque,
    })
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
fn configuration(set: &Set, told: &Told, path: &Path) -> Result<Value> {
    (set.state_dict.config)(&set.shapes, told).map_err(|e| {
        Error::file(
            path,
            format!("it holds the weights of a {}, and {}", set.state_dict.known_as, e.problem()),
            e.next(),
        )
    })
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
    })
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
}

/// Describes the state dicts of a listing; `None` where there are none of a known architecture.
pub fn describe(listing: &Listing, path: &Path) -> Result<Option<Description>> {
    let sets = sets::find(listing);
    if sets.is_empty() {
        return Ok(None);
    }
    let first = sets::choose(&sets, None, path)?;
    let rest = sets.iter().map(Set::name).filter(|name| *name != first.name());
    Ok(Some(Description {
        architecture: first.state_dict.known_as,
        sets: std::iter::once(first.name()).chain(rest).collect(),
        parameters: first.parameters(),
        config: configuration(first, &Told::default(), path).map_err(|e| e.to_string()),
    }))
}

impl Shapes {
    /// Number of elements of all parameters together.
    fn elements(&self) -> usize {
        self.names().filter_map(|name| self.get(name).ok()).map(|shape| shape.iter().product::<i64>() as usize).sum()
    }
}
