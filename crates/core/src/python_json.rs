//! JSON as Python's `json` module writes it: with NaN, Infinity and -Infinity, which RFC 8259 leaves out, and read with or
//! without a byte-order mark.
//!
//! Configurations of models come from Python. diffusers writes `"lambda_min_clipped": -Infinity` into the configuration of
//! every DPM-Solver scheduler.

use crate::error::{Error, Result};
use serde_json::Value;
use std::path::Path;

/// The constants beyond RFC 8259; the longest that shares a beginning with another comes first.
const CONSTANTS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Reads JSON. The constants, which have no number in [`Value`], become texts: `"-Infinity"`. A key that needs a number
/// then refuses them, and a key that is not needed does no harm.
///
/// # Errors
/// serde_json's own, with the place in `bytes`.
pub fn parse(bytes: &[u8]) -> serde_json::Result<Value> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let strict = |bytes: &[u8]| serde_json::from_slice(bytes);
    strict(bytes).or_else(|error| match strict(&quoted(bytes, false)) {
        Ok(value) => Ok(value),
        // The place of what is wrong beside the constants.
        Err(_) => Err(strict(&quoted(bytes, true)).err().unwrap_or(error)),
    })
}

/// A configuration is a few kilobytes.
const MOST_BYTES: u64 = 4 << 20;

/// Reads a configuration from a file; `next` is what to do where it is no JSON.
///
/// # Errors
/// The file cannot be read, is too large for a configuration, or holds something else.
pub fn read(path: &Path, next: &str) -> Result<Value> {
    parse(&bytes(path, next)?).map_err(|e| Error::file(path, format!("it is not JSON ({e})"), next))
}

/// The bytes of a file that may be a configuration.
///
/// # Errors
/// The file cannot be read, or is too large for a configuration.
pub fn bytes(path: &Path, next: &str) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, "opening the configuration", &e))?;
    // A device has no size and no end.
    if !metadata.is_file() {
        return Err(Error::file(path, "it is no regular file", next));
    }
    let size = metadata.len();
    if size > MOST_BYTES {
        return Err(Error::file(path, format!("{size} bytes are too many for a configuration"), next));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "reading the configuration", &e))?;
    if crate::tensor_file::is_lfs_pointer(&bytes) {
        return Err(Error::file(
            path,
            "it is a Git LFS pointer, not the file itself",
            "Run git lfs pull where it lies.",
        ));
    }
    Ok(bytes)
}

/// The same text with quotes around the constants that stand outside of strings, or in place of their ends.
fn quoted(bytes: &[u8], same_length: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let (mut rest, mut in_string) = (bytes, false);
    while let Some((&byte, after)) = rest.split_first() {
        let constant = CONSTANTS.iter().find(|constant| !in_string && rest.starts_with(constant.as_bytes()));
        if let Some(constant) = constant {
            let inside = if same_length { constant.get(1..constant.len() - 1).unwrap_or_default() } else { constant };
            out.extend([b"\"", inside.as_bytes(), b"\""].concat());
            rest = rest.get(constant.len()..).unwrap_or_default();
            continue;
        }
        out.push(byte);
        rest = after;
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                out.extend(rest.first());
                rest = rest.get(1..).unwrap_or_default();
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pythons_constants_are_read_outside_of_strings_only() {
        let text = br#"{"a": -Infinity, "b": [NaN, Infinity, -1.5], "c": "NaN \" Infinity", "NaN\\": 1}"#;
        let expected = json!({"a": "-Infinity", "b": ["NaN", "Infinity", -1.5], "c": "NaN \" Infinity", "NaN\\": 1});
        assert_eq!(parse(text).unwrap(), expected);
        assert_eq!(parse(b"\xef\xbb\xbf{\"a\": 1}").unwrap(), json!({"a": 1}));
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        for (text, place) in
            [("{\"a\": 1,}", "column 9"), ("{\"a\": NaN,\n \"b\": nan}", "line 2 column 8"), ("", "column 0")]
        {
            let message = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(place), "{text}: {message}");
        }
        for text in ["Infinit", "NaNNaN", "--Infinity", "\"NaN", "{\"a\": 01}"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
