//! The keys of a config.json, each taken once, so that what is left over is unknown.

use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;

/// More channels, classes or embedding rows than any network has; larger numbers are typing errors or attacks.
pub(super) const LARGEST: i64 = 1 << 24;

/// A JSON object and the record of which keys were taken.
pub(super) struct Keys<'a> {
    /// The class whose configuration it is, for messages.
    class: &'static str,
    object: &'a Map<String, Value>,
    taken: BTreeSet<&'static str>,
    path: &'a Path,
}

impl<'a> Keys<'a> {
    /// Over the object `json`, read from `path`, that configures a `class`.
    pub fn new(class: &'static str, json: &'a Value, path: &'a Path) -> Result<Self> {
        match json.as_object() {
            Some(object) => Ok(Keys { class, object, taken: BTreeSet::new(), path }),
            None => Err(Error::file(path, "this is not a JSON object", format!("Give the config.json of a {class}."))),
        }
    }

    /// The JSON of a key; `None` where it is absent.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.taken.insert(key);
        self.object.get(key)
    }

    /// The value of a key, or `default` where it is absent.
    pub fn value<T: DeserializeOwned>(&mut self, key: &'static str, default: T) -> Result<T> {
        let Some(json) = self.take(key) else { return Ok(default) };
        T::deserialize(json).map_err(|e| self.wrong(key, &self.seen(key), &shortened(&e.to_string())))
    }

    /// A finite number.
    pub fn finite(&mut self, key: &'static str, default: f64) -> Result<f64> {
        let number = self.value(key, default)?;
        // A network in float32 or less would turn larger ones into infinity.
        if number.abs() < 1e30 { Ok(number) } else { Err(self.wrong(key, &number.to_string(), "that is too large")) }
    }

    /// An integer in `range`.
    pub fn integer(&mut self, key: &'static str, default: i64, range: RangeInclusive<i64>) -> Result<i64> {
        let number = self.value(key, default)?;
        self.check(key, number, range)
    }

    /// An integer in `range`, or null; `default` where the key is absent.
    pub fn integer_or_null(
        &mut self,
        key: &'static str,
        default: Option<i64>,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>> {
        self.value(key, default)?.map(|number| self.check(key, number, range)).transpose()
    }

    /// An integer in `range`; `None` where the key is absent or null.
    pub fn optional_integer(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Result<Option<i64>> {
        self.integer_or_null(key, None, range)
    }

    fn check(&self, key: &str, number: i64, range: RangeInclusive<i64>) -> Result<i64> {
        if range.contains(&number) {
            return Ok(number);
        }
        Err(self.wrong(key, &number.to_string(), &format!("it must be from {} to {}", range.start(), range.end())))
    }

    /// The JSON of a key as text, cut to a readable length.
    pub fn seen(&self, key: &str) -> String {
        shortened(&self.object.get(key).map_or("absent".to_string(), Value::to_string))
    }

    /// The error for a value that cannot be used.
    pub fn wrong(&self, key: &str, seen: &str, why: &str) -> Error {
        Error::file(self.path, format!("`{key}` is {seen}: {why}"), "Correct the configuration.")
    }

    /// Fails if a key was never taken, unless it starts with `_` as diffusers' own notes do.
    pub fn finish(&self) -> Result<()> {
        let mut unknown = self.object.keys().filter(|key| !key.starts_with('_') && !self.taken.contains(key.as_str()));
        match unknown.next() {
            None => Ok(()),
            Some(key) => Err(Error::unsupported(
                format!("`{}` = {} in {}", shortened(key), self.seen(key), self.path.display()),
                format!(
                    "this is not a key of {} that this version knows, and it may change what the network computes",
                    self.class
                ),
                "If it does not, remove it from the configuration.",
            )),
        }
    }
}

/// The error for a value that diffusers may know and this version does not.
pub(super) fn unsupported(key: &str, seen: &str, allowed: &str) -> Error {
    let next = "Export the network with torch.jit.trace and open that file instead.";
    Error::unsupported(format!("`{key}` = `{}`", shortened(seen)), allowed, next)
}

/// The text, cut to a length that fits a message.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 100;
    if text.chars().count() <= LONGEST { text.into() } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

/// Height and width of the training images: null, one number for both, or two.
pub(super) fn sample_size(keys: &mut Keys) -> Result<Option<[i64; 2]>> {
    let key = "sample_size";
    let size = match keys.take(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(sides)) => match sides.as_slice() {
            [height, width] => height.as_i64().zip(width.as_i64()).map(|(height, width)| [height, width]),
            _ => None,
        },
        Some(side) => side.as_i64().map(|side| [side, side]),
    };
    match size {
        Some(size) if size.iter().all(|side| (1..=LARGEST).contains(side)) => Ok(Some(size)),
        _ => Err(keys.wrong(key, &keys.seen(key), &format!("it is null, a number from 1 to {LARGEST}, or two"))),
    }
}
