//! Class labels, and what they add to a time embedding.

use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::nn::{TimeProjection, TimestepEmbedding, in_range};
use tch::{Kind, Tensor};

/// From class labels to what is added to the time embedding.
#[derive(Debug)]
pub(super) enum Labels {
    /// There are none.
    None,
    /// A row of this table [classes, E].
    Table(Tensor),
    /// The label goes through the features of a timestep and dense layers.
    Timestep(TimestepEmbedding),
    /// The label is a vector of this width, which goes through dense layers.
    Projection(TimestepEmbedding, i64),
    /// The label is an embedding of this width already.
    Identity(i64),
}

impl Labels {
    /// emb [B, E] with the embedding of the labels added; `time_proj` has the features, `kind` is the network's dtype.
    pub fn add_to(&self, emb: Dual, labels: Option<&Tensor>, time_proj: &TimeProjection, kind: Kind) -> Result<Dual> {
        let Some(labels) = labels else {
            return match self {
                Labels::None => Ok(emb),
                _ => Err(Error::mismatch("the network was trained with class labels", "Give a label.")),
            };
        };
        let batch = emb.value.size().first().copied().unwrap_or(0);
        let expected = match self {
            Labels::Projection(_, width) | Labels::Identity(width) => vec![batch, *width],
            _ => vec![batch],
        };
        if labels.size() != expected && !matches!(self, Labels::None) {
            return Err(Error::mismatch(
                format!("the labels have shape {:?}, where the network takes {expected:?}", labels.size()),
                "Give one label for each sample.",
            ));
        }
        let vectors = || labels.f_to_kind(kind).doing("embedding the class labels").map(Dual::constant);
        let embedded = match self {
            Labels::None => return Err(Error::mismatch("the network has no classes", "Leave the labels out.")),
            Labels::Table(table) => look_up(table, labels)?,
            Labels::Timestep(dense) => {
                dense.forward(&time_proj.forward(&Dual::constant(labels.shallow_clone()), kind)?)?
            }
            Labels::Projection(dense, _) => dense.forward(&vectors()?)?,
            Labels::Identity(_) => vectors()?,
        };
        emb.add(&embedded)
    }
}

/// Rows of the table [classes, E] for labels `[B]`.
fn look_up(table: &Tensor, labels: &Tensor) -> Result<Dual> {
    let doing = "embedding the class labels";
    let classes = table.size().first().copied().unwrap_or(0);
    let index = labels.f_to_kind(Kind::Int64).doing(doing)?;
    if !in_range(&index, classes)? {
        let problem = format!("the network has the classes 0 to {}", classes - 1);
        return Err(Error::mismatch(problem, "Choose labels in that range."));
    }
    Ok(Dual::constant(Tensor::f_embedding(table, &index, -1, false, false).doing(doing)?))
}
