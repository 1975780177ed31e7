//! What a conditional network is asked for, and classifier-free guidance (Ho and Salimans, arXiv 2207.12598), measured as
//! a model of its own.

use crate::device::upload_labels;

use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::network::{Condition, Numbers};
use crate::state::Columns;
use tch::{Device, Kind, Tensor};

/// Where an input of a network besides x and t comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<T> {
    /// The same for every sample.
    Same(T),
    /// Drawn with x₀: from the row of the data that it came from.
    WithData,
}

/// What a network is asked for: one source for each of its inputs besides x and t.
#[derive(Debug, Default)]
pub struct Asked {
    /// The class.
    pub label: Option<Source<i64>>,
    /// The embeddings, [1, L, D], the same for every sample.
    pub context: Option<Tensor>,
    /// The pooled embeddings, [1, P], the same for every sample.
    pub pooled: Option<Tensor>,
    /// Numbers that are embedded as t is, the same for every sample.
    pub numbers: Option<Given>,
}

/// Numbers, and what they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// What they are.
    pub what: Numbers,
    /// One row of them.
    pub values: Vec<f64>,
}

impl std::fmt::Display for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values: Vec<String> = self.values.iter().map(f64::to_string).collect();
        write!(f, "{} {}", self.what.name(), values.join(","))
    }
}

impl Asked {
    /// A class and nothing else.
    pub fn class(label: Option<i64>) -> Self {
        Asked { label: label.map(Source::Same), ..Asked::default() }
    }

    /// The same with its embeddings on `device` in `kind`, so that no batch has to move them.
    pub fn to(self, device: Device, kind: Kind) -> Result<Self> {
        let moved = |embeddings: Tensor| embeddings.f_to_device(device)?.f_to_kind(kind);
        let context = self.context.map(moved).transpose().doing("moving embeddings")?;
        let pooled = self.pooled.map(moved).transpose().doing("moving embeddings")?;
        Ok(Asked { context, pooled, ..self })
    }

    /// For two samples, to try a network out; what is drawn with the data is 0.
    pub fn example(&self, device: Device, kind: Kind) -> Result<Condition> {
        self.batch(2, &Columns { labels: Some(vec![0; 2]) }, device, kind)
    }

    /// For `rows` samples on `device`, embeddings in `kind`; `columns` were drawn with them.
    ///
    /// # Errors
    /// A class is to be drawn with the data, which has none.
    pub fn batch(&self, rows: i64, columns: &Columns, device: Device, kind: Kind) -> Result<Condition> {
        let doing = "filling in the condition";
        let labels = match (self.label, &columns.labels) {
            (None, _) => None,
            (Some(Source::Same(label)), _) => Some(Tensor::f_full([rows], label, (Kind::Int64, device)).doing(doing)?),
            (Some(Source::WithData), Some(labels)) => Some(upload_labels(labels, device)?),
            (Some(Source::WithData), None) => return Err(no_labels()),
        };
        let expand = |embeddings: &Tensor| {
            let sizes: Vec<i64> = std::iter::once(rows).chain(embeddings.size().into_iter().skip(1)).collect();
            embeddings.f_to_device(device)?.f_to_kind(kind)?.f_expand(&sizes, false)
        };
        let context = self.context.as_ref().map(expand).transpose().doing(doing)?;
        let pooled = self.pooled.as_ref().map(expand).transpose().doing(doing)?;
        let time_kind = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        let number = |given: &Given| {
            let row = Tensor::f_from_slice(&given.values)?.f_to_kind(time_kind)?.f_to_device(device)?;
            row.f_unsqueeze(0)?.f_expand([rows, -1], false)
        };
        let numbers = self.numbers.as_ref().map(number).transpose().doing(doing)?;
        Ok(Condition { labels, context, pooled, numbers })
    }
}

/// The refusal of data without classes where a model is asked for the class of each sample.
pub(crate) fn no_labels() -> Error {
    Error::mismatch(
        "--class @ takes the class of each sample from the data, and these samples have no classes",
        "Give data with labels (digits, mnist:DIR, cifar10:DIR, or a file with an array `labels`), or one class with --class.",
    )
}

/// Guidance towards a condition.
#[derive(Debug)]
pub struct Guidance {
    /// w.
    pub scale: f64,
    /// ∅: what stands for no condition.
    pub without: Asked,
}

impl Guidance {
    /// (1 + w) f(x, t, c) − w f(x, t, ∅), of outputs of any prediction type: each is affine in the output with the same
    /// part of x, so the same holds for ε.
    pub fn combine(&self, with: &Dual, without: &Dual) -> Result<Dual> {
        let scaled = |part: &Dual, by: f64| part.linear(|part| part.f_mul_scalar(by));
        scaled(with, 1.0 + self.scale)?.add(&scaled(without, -self.scale)?)
    }
}
