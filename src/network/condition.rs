//! What a network takes besides x and t, and the embedding of t and class labels.

use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::nn::{Init, TimeProjection, TimestepEmbedding, Weights};
use crate::time::Timestep;
use tch::{Device, Kind, Tensor};

/// What a network takes besides x and t.
#[derive(Debug, Default)]
pub struct Condition {
    /// Class labels, int64, shape `[B]`; `None` for an unconditional network.
    pub labels: Option<Tensor>,
    /// Embeddings that the network attends to, [B, L, D], in the network's dtype; `None` for a network without.
    pub context: Option<Tensor>,
    /// Pooled embeddings, [B, P], in the network's dtype; `None` for a network without.
    pub pooled: Option<Tensor>,
    /// Numbers that are embedded as t is, [B, N], float32 or float64 (never half); `None` for a network without.
    pub numbers: Option<Tensor>,
    /// Channels that are laid behind those of x, [B, C, H, W], in the network's dtype.
    pub beside: Option<Tensor>,
    /// Other inputs of a TorchScript module that differ from sample to sample, [B, …] each, in their order.
    pub inputs: Vec<Tensor>,
    /// Arguments of time besides t, `[B]` each and as t in dtype, in their order; empty where all of them follow t.
    pub times: Vec<Dual>,
    /// Where arguments of time that do not move are held; `None` for where the others are.
    pub held_at: Option<Vec<Timestep>>,
}

impl Condition {
    /// A second handle on the same tensors; nothing is copied.
    pub fn shallow_clone(&self) -> Self {
        let handle = |tensor: &Option<Tensor>| tensor.as_ref().map(Tensor::shallow_clone);
        Condition {
            beside: handle(&self.beside),
            labels: handle(&self.labels),
            context: handle(&self.context),
            pooled: handle(&self.pooled),
            numbers: handle(&self.numbers),
            inputs: self.inputs.iter().map(Tensor::shallow_clone).collect(),
            times: self.times.iter().map(Dual::shallow_clone).collect(),
            held_at: self.held_at.clone(),
        }
    }

    /// The same with one draw of the inputs at `places`, of which there are several.
    pub(crate) fn draw(self, places: &[usize], draw: u64) -> Result<Self> {
        let one = |(i, input): (usize, &Tensor)| match places.contains(&i) {
            true => input.f_select(1, draw as i64).doing("choosing a draw of a random input"),
            false => Ok(input.shallow_clone()),
        };
        let inputs = self.inputs.iter().enumerate().map(one).collect::<Result<_>>()?;
        Ok(Condition { inputs, ..self })
    }

    /// Every part through `f`; arguments of time are held no longer.
    pub(crate) fn try_map(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let map = |tensor: &Option<Tensor>| tensor.as_ref().map(&f).transpose();
        let time = |time: &Dual| Ok(Dual { value: f(&time.value)?, tangent: map(&time.tangent)? });
        Ok(Condition {
            beside: map(&self.beside)?,
            labels: map(&self.labels)?,
            context: map(&self.context)?,
            pooled: map(&self.pooled)?,
            numbers: map(&self.numbers)?,
            inputs: self.inputs.iter().map(&f).collect::<Result<_>>()?,
            times: self.times.iter().map(time).collect::<Result<_>>()?,
            held_at: None,
        })
    }
}

/// From the features of t and the labels to the embedding of both: emb = MLP(features(t)) + embedding(label).
#[derive(Debug)]
pub(super) struct Embedder {
    pub time: TimestepEmbedding,
    pub labels: Labels,
}

impl Embedder {
    /// features [B, F] → [B, E].
    pub fn forward(&self, features: &Dual, labels: Option<&Tensor>) -> Result<Dual> {
        self.labels.add_to(self.time.forward(features)?, labels)
    }
}

/// From class labels to what is added to the time embedding.
#[derive(Debug)]
pub(super) enum Labels {
    /// There are none.
    None,
    /// A row of this table [classes, E].
    Table(Tensor),
    /// The label goes through the features of a timestep and dense layers.
    Timestep(TimeProjection, TimestepEmbedding),
    /// The label is a vector of this width, which goes through dense layers.
    Projection(TimestepEmbedding, i64),
    /// The label is an embedding of this width already.
    Identity(i64),
}

impl Labels {
    /// Takes the table `weight` [rows, width], which `init` draws in a new network.
    pub fn table(weights: &Weights, rows: i64, width: i64, init: Init) -> Result<Self> {
        Ok(Labels::Table(weights.tensor("weight", &[rows, width], init)?))
    }

    /// emb [B, E] with the embedding of the labels added.
    fn add_to(&self, emb: Dual, labels: Option<&Tensor>) -> Result<Dual> {
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
        let kind = emb.value.kind();
        let vectors = || labels.f_to_kind(kind).doing("embedding the class labels").map(Dual::constant);
        let embedded = match self {
            Labels::None => return Err(Error::mismatch("the network has no classes", "Leave the labels out.")),
            Labels::Table(table) => look_up(table, labels)?,
            Labels::Timestep(features, dense) => {
                dense.forward(&features.forward(&Dual::constant(labels.shallow_clone()), kind)?)?
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

/// Whether all labels, int64, are in 0..count. Those on another device were checked before they were uploaded, and to look
/// at them again would be to wait for it.
pub(super) fn in_range(index: &Tensor, count: i64) -> Result<bool> {
    let doing = "checking the range of labels";
    if index.device() != Device::Cpu {
        return Ok(true);
    }
    let inside = index.f_ge(0).and_then(|low| low.f_logical_and(&index.f_lt(count)?)).doing(doing)?;
    Ok(inside.f_all().and_then(|all| all.f_int64_value(&[])).doing(doing)? != 0)
}

/// Refuses a context where the network attends to none, and one that is not [B, L, `width`] in its dtype where it does.
pub(super) fn check_context(context: Option<&Tensor>, width: Option<i64>, batch: i64, kind: Kind) -> Result<()> {
    let (context, width) = match (context, width) {
        (None, None) => return Ok(()),
        (Some(context), Some(width)) => (context, width),
        (Some(_), None) => {
            let problem = "embeddings were given to a network that attends to none";
            return Err(Error::mismatch(problem, "Leave the context out."));
        }
        (None, Some(width)) => {
            return Err(Error::mismatch(
                format!("the network attends to embeddings [batch, tokens, {width}], and none were given"),
                "Give what its text encoder (or other encoder) made of the condition.",
            ));
        }
    };
    let size = context.size();
    if !matches!(*size.as_slice(), [rows, tokens, found] if rows == batch && tokens > 0 && found == width) {
        return Err(Error::mismatch(
            format!("the context has shape {size:?}, where the network takes [{batch}, tokens, {width}]"),
            "Give embeddings of the encoder that the network was trained with, one row for each sample.",
        ));
    }
    if context.kind() != kind {
        let problem = format!("the context is {:?}, where the network computes in {kind:?}", context.kind());
        return Err(Error::mismatch(problem, "Convert one of them."));
    }
    Ok(())
}
