//! The keys of a config.json, each taken once, so that what is left over is unknown.

use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;

/// More channels, classes or embedding rows than any network has; larger numbers are typing errors or attacks.
pub(super) const LARGEST: i64 = 1 << 24;

/// What diffusers' `EMAModel` writes into the configuration of the averages that it saves: how they were made.
const OF_AVERAGES: [&str; 7] =
    ["decay", "inv_gamma", "min_decay", "optimization_step", "power", "update_after_step", "use_ema_warmup"];

/// More resolutions than any network has.
const RESOLUTIONS: usize = 30;

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

    /// The same for all of `numbers`.
    pub fn check_all(&self, key: &str, numbers: &[i64], range: RangeInclusive<i64>) -> Result<()> {
        numbers.iter().try_for_each(|&number| self.check(key, number, range.clone()).map(|_| ()))
    }

    /// A list with one entry for each resolution, of which there are 1 to 30.
    pub fn resolutions<T: DeserializeOwned>(&mut self, key: &'static str, default: Vec<T>) -> Result<Vec<T>> {
        let list: Vec<T> = self.value(key, default)?;
        if (1..=RESOLUTIONS).contains(&list.len()) {
            return Ok(list);
        }
        let seen = format!("a list of {}", list.len());
        Err(self.wrong(key, &seen, &format!("it must have 1 to {RESOLUTIONS} entries")))
    }

    /// One value for all of `count` resolutions, or a list with one for each; `counted` is the key that has so many.
    pub fn each<T: DeserializeOwned + Clone>(
        &mut self,
        key: &'static str,
        default: T,
        count: usize,
        counted: &str,
    ) -> Result<Vec<T>> {
        if !self.take(key).is_some_and(Value::is_array) {
            return Ok(vec![self.value(key, default)?; count]);
        }
        let list: Vec<T> = self.value(key, Vec::new())?;
        if list.len() == count {
            return Ok(list);
        }
        let allowed = format!("{counted} has {count}, and both must agree");
        Err(self.wrong(key, &format!("a list of {}", list.len()), &allowed))
    }

    /// Refuses a key that is neither absent, null nor false.
    pub fn refuse_set(&mut self, key: &'static str, allowed: &str) -> Result<()> {
        match self.take(key) {
            None | Some(Value::Null | Value::Bool(false)) => Ok(()),
            Some(_) => Err(unsupported(key, &self.seen(key), allowed)),
        }
    }

    /// The JSON of a key as text, cut to a readable length.
    pub fn seen(&self, key: &str) -> String {
        shortened(&self.object.get(key).map_or("absent".to_string(), Value::to_string))
    }

    /// The error for a value that cannot be used.
    pub fn wrong(&self, key: &str, seen: &str, why: &str) -> Error {
        Error::file(self.path, format!("`{key}` is {seen}: {why}"), "Correct the configuration.")
    }

    /// Fails if a key was never taken, unless it is a note: those of diffusers start with `_`.
    pub fn finish(&self) -> Result<()> {
        let is_note = |key: &str| key.starts_with('_') || OF_AVERAGES.contains(&key);
        let mut unknown = self.object.keys().filter(|key| !is_note(key) && !self.taken.contains(key.as_str()));
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
