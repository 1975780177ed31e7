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
    /// Channels beside x.
    pub beside: Option<Beside>,
}

/// Channels that are laid beside x, [1 or N, C, H, W] in main memory.
#[derive(Debug)]
pub struct Beside {
    /// The same for every sample, or those of the row of the data.
    pub source: Source<()>,
    /// Their values.
    pub values: Tensor,
}

impl Beside {
    /// Their number C.
    pub fn channels(&self) -> i64 {
        self.values.size()[1]
    }

    /// For `rows` samples, [B, C, H, W].
    fn batch(&self, rows: i64, columns: &Columns, device: Device, kind: Kind) -> Result<Tensor> {
        let doing = "filling in the channels beside x";
        let size = self.values.size();
        let values = match (self.source, &columns.rows) {
            (Source::Same(()), _) => self.values.f_expand([rows, size[1], size[2], size[3]], false),
            (Source::WithData, Some(origins)) => {
                let index: Vec<i64> = origins.iter().map(|row| *row as i64).collect();
                self.values.f_index_select(0, &Tensor::from_slice(&index))
            }
            (Source::WithData, None) => {
                return Err(Error::mismatch(
                    "--concat has channels for each row of the data, and samples that are made anew come from none",
                    "Give --data with as many rows, or one array [C, H, W] for all samples.",
                ));
            }
        };
        values.and_then(|values| values.f_to_kind(kind)?.f_to_device(device)).doing(doing)
    }
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
        self.batch(2, &Columns { labels: Some(vec![0; 2]), rows: Some(vec![0; 2]) }, device, kind)
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
            // Filled in on the device, so that nothing waits for an upload in every guided call.
            let filled = given.values.iter().map(|&value| Tensor::f_full([rows], value, (time_kind, device)));
            Tensor::f_stack(&filled.collect::<std::result::Result<Vec<Tensor>, _>>()?, 1)
        };
        let numbers = self.numbers.as_ref().map(number).transpose().doing(doing)?;
        let beside = self.beside.as_ref().map(|beside| beside.batch(rows, columns, device, kind)).transpose()?;
        Ok(Condition { labels, context, pooled, numbers, beside })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_beside_x_are_those_of_the_rows_that_were_drawn() {
        let values = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([3, 2, 1, 2]);
        let beside = Beside { source: Source::WithData, values };
        let columns = Columns { labels: None, rows: Some(vec![2, 0, 2]) };
        let drawn = beside.batch(3, &columns, Device::Cpu, Kind::Double).unwrap();
        assert_eq!((drawn.size(), drawn.kind(), beside.channels()), (vec![3, 2, 1, 2], Kind::Double, 2));
        let first: Vec<f64> = Vec::try_from(drawn.narrow(3, 0, 1).reshape([-1])).unwrap();
        assert_eq!(first, [8.0, 10.0, 0.0, 2.0, 8.0, 10.0]);
        let error = beside.batch(3, &Columns::default(), Device::Cpu, Kind::Double).unwrap_err().to_string();
        assert!(error.contains("--data with as many rows"), "{error}");
    }
}
