//! `lipscope inspect CKPT`: what a file holds, without measuring anything.

use super::args::{Global, InspectArgs};
use super::{Outcome, output};
use crate::checkpoint::{self, Checkpoint, Request};
use crate::error::Result;
use crate::tensor_file::{self, Format, Listing};
use serde_json::{Value, json};
use std::fmt::Write;
use tch::Device;

/// Parameters that are listed before the rest is only counted.
const LISTED: usize = 40;

/// A checkpoint that can be measured is described in full; a file of arrays is listed.
pub(super) fn run(args: &InspectArgs, global: &Global) -> Result<Option<Outcome>> {
    let path = &args.checkpoint;
    let listable = path.is_file() && {
        let format = tensor_file::sniff(path)?.format;
        matches!(format, Format::Npy | Format::Npz | Format::Safetensors | Format::TorchSave)
    };
    let listing = if listable && !checkpoint::recognised(path)? { Some(tensor_file::entries(path)?) } else { None };
    let description = if let Some(listing) = listing {
        describe_listing(&listing)
    } else {
        describe_checkpoint(&checkpoint::open(path, &Request { device: Device::Cpu, weights: None })?)
    };
    if global.json {
        return output::print_json(&description);
    }
    output::print(&render(&description))
}

fn describe_checkpoint(checkpoint: &Checkpoint) -> Value {
    let parameters = checkpoint.network.parameters();
    let declared = &checkpoint.declared;
    let input = checkpoint.network.input_shape();
    let listed: Vec<Value> =
        parameters.iter().map(|(name, tensor)| json!([name, tensor.size(), format!("{:?}", tensor.kind())])).collect();
    json!({
        "path": checkpoint.path,
        "format": checkpoint.format,
        "architecture": checkpoint.network.architecture(),
        "sha256": checkpoint.sha256,
        "sample shape": declared.sample_shape.clone().or(input.sample),
        "classes": checkpoint.network.classes(),
        "schedule": declared.schedule.as_ref().map(|named| named.name.clone()),
        "timesteps": declared.schedule.as_ref().map(|named| named.schedule.timesteps()),
        "prediction": declared.prediction.map(|prediction| prediction.name()),
        "sharing": declared.share,
        "conditioned on": declared.conditioning.map(|conditioning| conditioning.to_string()),
        "trained as": declared.training.as_ref().map(|training| training.variant.clone()),
        "steps": declared.training.as_ref().map(|training| training.steps),
        "weights": declared.training.as_ref().map(|training| training.all_weights.join(", ")),
        "training plan": declared.training.as_ref().map(|training| training.plan.clone()),
        "reference samples": checkpoint.reference.as_ref().map(|reference| reference.images.nrows()),
        "parameters": parameters.iter().map(|(_, tensor)| tensor.numel()).sum::<usize>(),
        "tensors": listed,
    })
}

fn describe_listing(listing: &Listing) -> Value {
    let tensors: Vec<Value> =
        listing.entries.iter().map(|entry| json!([entry.name, entry.shape, entry.dtype])).collect();
    let count: usize = listing.entries.iter().map(|entry| entry.shape.iter().product::<usize>()).sum();
    let metadata: serde_json::Map<String, Value> =
        listing.metadata.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    json!({
        "format": listing.format.to_string(),
        "metadata": metadata,
        "objects left out, never run": listing.opaque,
        "parameters": count,
        "tensors": tensors,
    })
}

/// One line per fact, then the tensors.
fn render(description: &Value) -> String {
    let mut text = String::new();
    for (key, value) in description.as_object().into_iter().flatten().filter(|(key, _)| *key != "tensors") {
        let shown = match value {
            Value::Null => "not said".to_string(),
            Value::String(string) => string.clone(),
            Value::Array(items) if items.is_empty() => continue,
            Value::Object(items) if items.is_empty() => continue,
            other => other.to_string(),
        };
        let _ = writeln!(text, "{key:<16} {shown}");
    }
    let tensors = description.get("tensors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let _ = writeln!(text, "\n{} tensors", tensors.len());
    for tensor in tensors.iter().take(LISTED) {
        let part = |i: usize| tensor.get(i).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_string));
        let (name, shape, dtype) = (part(0), part(1), part(2));
        let _ = writeln!(
            text,
            "  {:<60} {:<20} {}",
            name.unwrap_or_default(),
            shape.unwrap_or_default(),
            dtype.unwrap_or_default()
        );
    }
    if tensors.len() > LISTED {
        let _ = writeln!(text, "  … and {} more (--json lists all)", tensors.len() - LISTED);
    }
    text
}
