//! What a conditional network is asked for, and classifier-free guidance (Ho and Salimans, arXiv 2207.12598), measured as
//! a model of its own.

use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::network::Condition;
use tch::{Device, Kind, Tensor};

/// A condition: the same for every sample.
#[derive(Debug, Default)]
pub struct Asked {
    /// The class.
    pub label: Option<i64>,
    /// The embeddings, [1, L, D].
    pub context: Option<Tensor>,
}

impl Asked {
    /// A class and nothing else.
    pub fn class(label: Option<i64>) -> Self {
        Asked { label, context: None }
    }

    /// The same with its embeddings on `device` in `kind`, so that no batch has to move them.
    pub fn to(self, device: Device, kind: Kind) -> Result<Self> {
        let moved = |context: Tensor| context.f_to_device(device)?.f_to_kind(kind);
        let context = self.context.map(moved).transpose().doing("moving embeddings")?;
        Ok(Asked { context, ..self })
    }

    /// For `rows` samples on `device`, embeddings in `kind`.
    pub fn batch(&self, rows: i64, device: Device, kind: Kind) -> Result<Condition> {
        let doing = "filling in the condition";
        let labels = match self.label {
            Some(label) => Some(Tensor::f_full([rows], label, (Kind::Int64, device)).doing(doing)?),
            None => None,
        };
        let expand = |context: &Tensor| {
            let sizes: Vec<i64> = std::iter::once(rows).chain(context.size().into_iter().skip(1)).collect();
            context.f_to_device(device)?.f_to_kind(kind)?.f_expand(&sizes, false)
        };
        let context = match &self.context {
            Some(context) => Some(expand(context).doing(doing)?),
            None => None,
        };
        Ok(Condition { labels, context })
    }
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
