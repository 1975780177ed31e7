//! What readers of formats are asked, and what they give.

use super::array::Array;
use super::pickle::Value;
use crate::error::Result;

/// What the reader of one format gives.
#[derive(Default)]
pub(super) struct Contents {
    pub arrays: Vec<(String, Array)>,
    pub opaque: Vec<String>,
    pub tree: Option<Value>,
    pub metadata: Vec<(String, String)>,
}

/// Which arrays are read, by name.
pub(super) type Wanted<'a> = &'a dyn Fn(&str) -> bool;

/// Takes one array after the other.
pub(super) type Take<'a> = &'a mut dyn FnMut(&str, &Array) -> Result<()>;
