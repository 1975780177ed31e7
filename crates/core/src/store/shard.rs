//! A part of the units of a run, by their places: shard i of n does the units i, i + n, i + 2n, …, so that costs that change
//! along a list are spread evenly.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Shard `index` of `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// i, from 0.
    pub index: usize,
    /// n.
    pub of: usize,
}

/// Shards at most: more would be a slip of the finger.
const MOST: usize = 100_000;

impl Shard {
    /// Whether the unit at this place of a list belongs to it.
    pub fn takes(self, place: usize) -> bool {
        place % self.of == self.index
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').map(|(index, of)| (index.trim().parse(), of.trim().parse()));
        match numbers {
            Some((Ok(index), Ok(of))) if index < of && of <= MOST => Ok(Shard { index, of }),
            _ => {
                let allowed = format!("it is I/N with I from 0 to N − 1 and N at most {MOST}");
                Err(Error::argument("--shard", text, allowed, "Such as --shard 0/8 to --shard 7/8."))
            }
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_belongs_to_one_shard() {
        let shards: Vec<Shard> = (0..3).map(|index| format!("{index}/3").parse().unwrap()).collect();
        for place in 0..20 {
            assert_eq!(shards.iter().filter(|shard| shard.takes(place)).count(), 1);
        }
        assert_eq!(shards[2].to_string(), "2/3");
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in ["", "1", "3/3", "-1/3", "0/0", "1/x", "0/100001"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
