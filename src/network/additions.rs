//! What large text-to-image networks take besides a context: the pooled embeddings of a prompt, and numbers that are
//! embedded as t is.

use super::Condition;
use crate::error::{Error, Result};
use tch::{Kind, Tensor};

/// Pooled embeddings [B, P] and numbers [B, N]; by default a network takes neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Additions {
    /// Width that the pooled embeddings fill, together with the features of the numbers that are laid beside them.
    pub width: Option<i64>,
    /// Whether they are a policy's observation, and no prompt's.
    pub observation: bool,
    /// Features of a number that is laid beside the pooled embeddings; 0 where none is.
    pub features: i64,
    /// The numbers.
    pub numbers: Option<Numbers>,
}

/// Numbers that are embedded as t is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Sizes in pixels (Podell et al., 2023, arXiv 2307.01952): original height and width, top and left of the crop, target
    /// height and width. The refiner takes five numbers: an aesthetic score instead of the target size.
    TimeIds,
    /// The scale of the guidance that a distilled network imitates (FLUX.1-dev).
    Guidance,
}

impl Numbers {
    /// The flag that gives them.
    pub fn flag(self) -> &'static str {
        match self {
            Numbers::TimeIds => "--time-ids",
            Numbers::Guidance => "--embedded-guidance",
        }
    }

    /// What they are, for messages and reports.
    pub fn name(self) -> &'static str {
        match self {
            Numbers::TimeIds => "time ids",
            Numbers::Guidance => "embedded guidance",
        }
    }

    /// How many there are in most networks.
    pub fn usual(self) -> i64 {
        match self {
            Numbers::TimeIds => 6,
            Numbers::Guidance => 1,
        }
    }
}

impl Additions {
    /// Width P of the pooled embeddings beside so many numbers; `None` for a network without.
    pub fn pooled_width(&self, numbers: i64) -> Option<i64> {
        self.width.map(|width| width - numbers * self.features)
    }
}

/// Refuses pooled embeddings and numbers that the network does not take, and those that are missing or of another shape.
pub(super) fn check_additions(condition: &Condition, takes: &Additions, batch: i64, kind: Kind) -> Result<()> {
    let numbers = condition.numbers.as_ref();
    let count = match (numbers, takes.numbers) {
        (None, None) => 0,
        (Some(numbers), Some(_)) => match *numbers.size().as_slice() {
            [rows, count] if rows == batch && count > 0 && (takes.features > 0 || count == 1) => count,
            _ => {
                let columns = if takes.features > 0 { "N" } else { "1" };
                let problem = format!(
                    "the numbers have shape {:?}, where the network takes [{batch}, {columns}]",
                    numbers.size()
                );
                return Err(Error::mismatch(problem, "Give one row for each sample."));
            }
        },
        (Some(_), None) => {
            let problem = "numbers were given to a network that takes none besides t";
            return Err(Error::mismatch(problem, "Leave them out."));
        }
        (None, Some(taken)) => {
            let problem = format!("the network takes {}, and none were given", taken.name());
            return Err(Error::mismatch(problem, format!("Give {} numbers for each sample.", taken.usual())));
        }
    };
    check_pooled(condition.pooled.as_ref(), takes.pooled_width(count), batch, kind)
}

/// Refuses pooled embeddings that are not [B, `width`] in the network's dtype.
fn check_pooled(pooled: Option<&Tensor>, width: Option<i64>, batch: i64, kind: Kind) -> Result<()> {
    match (pooled, width) {
        (None, None) => Ok(()),
        (Some(pooled), Some(width)) if pooled.size() != [batch, width] => Err(Error::mismatch(
            format!("the pooled embeddings have shape {:?}, where the network takes [{batch}, {width}]", pooled.size()),
            "Give those of the encoder that the network was trained with, one row for each sample.",
        )),
        (Some(pooled), Some(_)) if pooled.kind() != kind => {
            let found = pooled.kind();
            let problem = format!("the pooled embeddings are {found:?}, where the network computes in {kind:?}");
            Err(Error::mismatch(problem, "Convert one of them."))
        }
        (Some(_), Some(_)) => Ok(()),
        (Some(_), None) => {
            let problem = "pooled embeddings were given to a network that takes none";
            Err(Error::mismatch(problem, "Leave them out."))
        }
        (None, Some(width)) => Err(Error::mismatch(
            format!("the network takes pooled embeddings [batch, {width}], and none were given"),
            "Give what its text encoder made of the condition.",
        )),
    }
}
