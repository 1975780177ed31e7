//! YAML as trainers that use Hydra write their configurations, read as JSON: block and flow collections of texts, numbers,
//! true, false and null. Of several documents the first one counts.
//!
//! References to other places (`*name`) are refused, so that a few lines cannot stand for gigabytes. OmegaConf's `${…}` stay texts.

use crate::error::{Error, Result};
use lipscope_core::python_json;
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};
use std::path::Path;

/// Deeper than any configuration.
const DEEPEST: usize = 64;

/// Whether a path ends as those of YAML do.
pub(crate) fn is_name(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// Reads a configuration from a file; `next` is what to do where it is no YAML.
///
/// # Errors
/// The file cannot be read, is too large for a configuration, or holds something else.
pub(crate) fn read(path: &Path, next: &str) -> Result<Value> {
    let bytes = python_json::bytes(path, next)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::file(path, "it is not YAML (no UTF-8)", next))?;
    parse(&text).map_err(|why| Error::file(path, format!("it is not YAML that is read here ({why})"), next))
}

/// A collection that is not yet complete.
enum Open {
    List(Vec<Value>),
    /// With the key whose value comes next.
    Object(Map<String, Value>, Option<String>),
}

impl Open {
    fn add(&mut self, value: Value) -> std::result::Result<(), String> {
        match self {
            Open::List(items) => items.push(value),
            Open::Object(object, key) => match (key.take(), value) {
                (Some(name), value) => {
                    object.insert(name, value);
                }
                (None, Value::Array(_) | Value::Object(_)) => return Err("a key is a collection".into()),
                (None, Value::String(name)) => *key = Some(name),
                (None, other) => *key = Some(other.to_string()),
            },
        }
        Ok(())
    }

    fn close(self) -> Value {
        match self {
            Open::List(items) => Value::Array(items),
            Open::Object(object, _) => Value::Object(object),
        }
    }
}

fn parse(text: &str) -> std::result::Result<Value, String> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|e| e.to_string())?;
        let value = match event {
            Event::Scalar(text, style, ..) => scalar(&text, style),
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= DEEPEST => {
                return Err(format!("it is nested more than {DEEPEST} times"));
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Object(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map_or(Value::Null, Open::close),
            Event::Alias(_) => return Err("it refers to another place by `*`".into()),
            Event::StreamEnd => return Ok(Value::Null),
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => continue,
        };
        match open.last_mut() {
            Some(collection) => collection.add(value)?,
            None => return Ok(value),
        }
    }
    Ok(Value::Null)
}

/// A text, or what it stands for where it has no quotes.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return text.into();
    }
    let begins_a_number = text.trim_start_matches(['-', '+', '.']).starts_with(|c: char| c.is_ascii_digit());
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ if !begins_a_number => text.into(),
        _ => match (text.parse::<i64>(), text.parse().ok().and_then(Number::from_f64)) {
            (Ok(whole), _) => whole.into(),
            (Err(_), Some(number)) => number.into(),
            (Err(_), None) => text.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn configurations_are_read() {
        let text = "# by hydra\nngpus: 8\nnoise:\n  type: loglinear\n  sigma_min: 1e-4\n  sigma_max: 20\nmodel: {a: [1, -2.5, 'x'], b: }\n\
                    tags:\n- ${noise.type}\n- \"8\"\n- 12:30\n- no\nflag: True\nnothing: null\ntext: |\n  two\n  lines\n1: one\n";
        let expected = json!({
            "ngpus": 8, "noise": {"type": "loglinear", "sigma_min": 1e-4, "sigma_max": 20}, "model": {"a": [1, -2.5, "x"], "b": null},
            "tags": ["${noise.type}", "8", "12:30", "no"], "flag": true, "nothing": null, "text": "two\nlines\n", "1": "one",
        });
        assert_eq!(parse(text), Ok(expected));
        assert_eq!(parse("a: 1\n---\nb: 2\n"), Ok(json!({"a": 1})));
        assert_eq!((parse(""), parse("# nothing\n"), parse("[]")), (Ok(Value::Null), Ok(Value::Null), Ok(json!([]))));
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for text in ["a: [1, 2", "a: &x 1\nb: *x\n", "a: 'open", "? [1]\n: 2\n", "\t- a: b\n  c", &"[".repeat(100_000)]
        {
            assert!(parse(text).is_err(), "{:.20}", text);
        }
    }
}
