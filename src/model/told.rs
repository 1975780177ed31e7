//! What the user says about a checkpoint before it is opened: `--weights`, `--config`, `--inputs`, `--output`, `--lora`.

use super::concatenated;
use crate::checkpoint::{Overridden, Request};
use crate::error::{Error, Result};
use crate::network::recognise::Told;
use crate::yaml;
use lipscope_core::cli::args::{Inputs, LoraSpec, ModuleOutput};
use lipscope_core::options::{DataOptions, Overrides};
use lipscope_core::python_json;
use serde_json::{Map, Value};
use std::path::Path;
use tch::Device;

/// These arguments, read once for all checkpoints of a command.
pub struct Said {
    weights: Option<String>,
    told: Told,
    inputs: Option<Inputs>,
    output: Option<ModuleOutput>,
    overridden: Overridden,
    lora: Vec<LoraSpec>,
}

impl Said {
    /// Reads them; columns of `data` are arrays of its file.
    pub fn new(options: &Overrides, data: &DataOptions) -> Result<Self> {
        let options = &options.with_columns_of(data)?;
        let Overrides { weights, config, inputs, output, .. } = options;
        let overridden = Overridden {
            schedule: options.schedule.is_some(),
            prediction: options.prediction.is_some(),
            beside: options.concat.as_ref().map_or(Ok(0), concatenated::channels)?,
        };
        let (weights, inputs, output) = (weights.clone(), inputs.clone(), output.clone());
        Ok(Said { weights, told: told(config)?, inputs, output, overridden, lora: options.lora.clone() })
    }

    /// The request for a checkpoint on `device`.
    pub fn request(&self, device: Device) -> Request<'_> {
        Request {
            device,
            kind: None,
            weights: self.weights.as_deref(),
            told: Some(&self.told),
            inputs: self.inputs.as_ref(),
            output: self.output.as_ref(),
            said: self.overridden,
            lora: &self.lora,
            headers_only: false,
        }
    }
}

/// Files and NAME=VALUE pairs in one object; what comes later stands.
fn told(arguments: &[String]) -> Result<Told> {
    let mut values = Map::new();
    for text in arguments {
        match text.split_once('=').filter(|_| !Path::new(text).is_file()) {
            Some((name, value)) => {
                let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.into()));
                values.insert(name.trim().into(), value);
            }
            None => values.extend(object(text)?),
        }
    }
    Ok(Told::new(values))
}

fn object(text: &str) -> Result<Map<String, Value>> {
    let path = Path::new(text);
    let next = "Give NAME=VALUE, such as --config num_heads=4, or a file with a JSON object (or YAML, *.yaml).";
    let value = if yaml::is_name(path) { yaml::read(path, next)? } else { python_json::read(path, next)? };
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Error::file(path, "it holds values, but no object", next)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_files_are_one_object() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a=b.json");
        std::fs::write(&file, r#"{"num_heads": 8, "schedule": "cosine"}"#).unwrap();
        let arguments = [file.display().to_string(), "num_heads=4".into(), "prediction=v".into()];
        let told = told(&arguments).unwrap();
        assert_eq!(told.integer("num_heads").unwrap(), Some(4));
        assert_eq!(told.get("schedule").and_then(Value::as_str), Some("cosine"));
        assert_eq!(told.get("prediction").and_then(Value::as_str), Some("v"));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.json");
        std::fs::write(&file, "[1]").unwrap();
        assert!(told(&[file.display().to_string()]).unwrap_err().to_string().contains("no object"));
        assert!(told(&["nowhere.json".into()]).is_err());
    }
}
