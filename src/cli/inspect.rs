//! `lipscope inspect CKPT`: what a file holds, without measuring anything.

use crate::checkpoint::state_dict::{self, Description};
use crate::checkpoint::{self, Checkpoint, Declared, Request};
use crate::error::{Result, printable};
use crate::jumps::Output;
use crate::network::Numbers;
use crate::process::ProcessSpec;
use crate::tensor_file::{self, Format, Listing, Value as Saved};
use lipscope_core::cli::args::{Global, InspectArgs};
use lipscope_core::cli::{Outcome, output};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use tch::Device;

/// Parameters that are listed before the rest is only counted.
const LISTED: usize = 40;

/// A checkpoint that can be measured is described in full; a file of arrays is listed.
pub(super) fn run(args: &InspectArgs, global: &Global) -> Result<Option<Outcome>> {
    let path = &args.checkpoint;
    let description = match listing(path)? {
        Some(listing) => describe_listing(&listing, state_dict::describe(&listing, path)?),
        None => {
            let request = Request { headers_only: true, ..Request::on(Device::Cpu) };
            describe_checkpoint(&checkpoint::open(path, &request)?)
        }
    };
    if global.json {
        return output::print_json(&description);
    }
    output::print(&render(&description))
}

/// The listing of a file that is not opened as a checkpoint, or that need not be: a state dict may have gigabytes.
fn listing(path: &Path) -> Result<Option<Listing>> {
    let formats =
        [Format::Npy, Format::Npz, Format::Safetensors, Format::TorchSave, Format::TorchSaveLegacy, Format::Pickle];
    if !path.is_file() || !formats.contains(&tensor_file::sniff(path)?.format) {
        return Ok(None);
    }
    let describes_itself = checkpoint::format(path)?.is_some_and(|format| format != state_dict::NAME);
    if describes_itself { Ok(None) } else { tensor_file::entries(path).map(Some) }
}

fn describe_checkpoint(checkpoint: &Checkpoint) -> Value {
    let parameters = checkpoint.network.parameters();
    let declared = &checkpoint.declared;
    let input = checkpoint.network.input_shape();
    let additions = checkpoint.network.additions();
    let listed: Vec<Value> =
        parameters.iter().map(|(name, tensor)| json!([name, tensor.size(), format!("{:?}", tensor.kind())])).collect();
    let pooled = if additions.observation { "width of an observation" } else { "width of pooled embeddings" };
    let mut description = json!({
        "path": checkpoint.path,
        "format": checkpoint.format,
        "architecture": checkpoint.network.architecture(),
        "sample shape": declared.sample_shape.clone().or(input.sample),
        "classes": checkpoint.network.classes(),
        "width of embeddings": checkpoint.network.context_width(),
        pooled: additions.pooled_width(additions.numbers.map_or(0, Numbers::usual)),
        "numbers": additions.numbers.map(Numbers::name),
        "schedule": declared.schedule.as_ref().map(ProcessSpec::to_string),
        "timesteps": declared.schedule.as_ref().map(ProcessSpec::timesteps),
        "prediction": prediction(declared),
        "keys for sampling only, not used": declared.ignored,
        "notes": checkpoint.notes,
        "sharing": declared.share,
        "conditioned on": declared.conditioning.map(|conditioning| conditioning.to_string()),
        "trained as": declared.training.as_ref().map(|training| training.variant.clone()),
        "steps": declared.training.as_ref().map(|training| training.steps),
        "weights": declared.training.as_ref().map(|training| training.all_weights.join(", ")),
        "training plan": declared.training.as_ref().map(|training| training.plan.clone()),
        "reference samples": checkpoint.reference.as_ref().map(|reference| reference.images.nrows()),
        "parameters": parameters.iter().map(|(_, tensor)| tensor.numel()).sum::<usize>(),
        "tensors": listed,
    });
    // Not computed where gigabytes would have to be read for it.
    if let (Some(sha256), Some(object)) = (&checkpoint.sha256, description.as_object_mut()) {
        object.insert("sha256".into(), sha256.clone().into());
    }
    description
}

/// What the network outputs, where that is known; log-ratios have no name among predictions.
fn prediction(declared: &Declared) -> Option<String> {
    let of_symbols = matches!(declared.schedule, Some(ProcessSpec::Jump(_))) && declared.said_in.prediction.is_some();
    let ratios = of_symbols.then(|| Output::LogRatio.name().to_string());
    declared.prediction.map(|prediction| prediction.to_string()).or(ratios)
}

fn describe_listing(listing: &Listing, state_dict: Option<Description>) -> Value {
    let tensors: Vec<Value> =
        listing.entries.iter().map(|entry| json!([entry.name, entry.shape, entry.dtype])).collect();
    let count: usize = listing.entries.iter().map(|entry| entry.shape.iter().product::<usize>()).sum();
    let metadata: serde_json::Map<String, Value> =
        listing.metadata.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    let values: serde_json::Map<String, Value> =
        listing.values().into_iter().map(|(name, value)| (name, plain(value))).collect();
    let mut description = json!({
        "format": listing.format.to_string(),
        "metadata": metadata,
        "objects left out, never run": listing.opaque,
        "beside the tensors": values,
        "parameters": count,
        "tensors": tensors,
    });
    if let (Some(state_dict), Some(object)) = (state_dict, description.as_object_mut()) {
        object.insert("architecture".into(), state_dict.architecture.into());
        object.insert("weights".into(), state_dict.sets.join(", ").into());
        object.insert("parameters".into(), state_dict.parameters.into());
        let (known, asked) = (state_dict.config.as_ref().ok(), state_dict.config.as_ref().err());
        object.insert("configuration".into(), json!(known));
        object.insert("notes".into(), json!(state_dict.note.into_iter().collect::<Vec<_>>()));
        object.insert("still to be said".into(), json!(asked.map_or("nothing", String::as_str)));
    }
    description
}

/// A number or a text that was saved beside tensors.
fn plain(value: &Saved) -> Value {
    match value {
        Saved::Bool(flag) => json!(flag),
        Saved::Int(number) => json!(number),
        Saved::Float(number) => json!(number),
        other => json!(other.as_str()),
    }
}

/// Facts that a file may leave out, with the flag that supplies them.
const FLAGS: [(&str, &str); 5] = [
    ("schedule", "--schedule"),
    ("prediction", "--prediction"),
    ("sharing", "--share"),
    ("conditioned on", "--time-input"),
    ("sample shape", "--data or --shape"),
];

/// One line per fact that is known, one for those that are not, then the tensors.
fn render(description: &Value) -> String {
    let mut text = String::new();
    let (mut absent, mut flags) = (Vec::new(), Vec::new());
    for (key, value) in description.as_object().into_iter().flatten().filter(|(key, _)| *key != "tensors") {
        let shown = match value {
            Value::Null => {
                absent.push(key.as_str());
                flags.extend(FLAGS.iter().filter(|(name, _)| name == key).map(|(_, flag)| *flag));
                continue;
            }
            Value::String(string) => string.clone(),
            Value::Array(items) if items.is_empty() => continue,
            Value::Object(items) if items.is_empty() => continue,
            other => other.to_string(),
        };
        let _ = writeln!(text, "{key:<16} {}", printable(&shown));
    }
    if !absent.is_empty() {
        let pass = if flags.is_empty() { String::new() } else { format!(" (pass {})", flags.join(", ")) };
        let _ = writeln!(text, "not in the file: {}{pass}", absent.join(", "));
    }
    let tensors = description.get("tensors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let _ = writeln!(text, "\n{} tensors", tensors.len());
    for tensor in tensors.iter().take(LISTED) {
        let part = |i: usize| tensor.get(i).map(|v| v.as_str().map_or_else(|| v.to_string(), printable));
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
