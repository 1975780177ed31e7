//! What a conditional network is asked for, and classifier-free guidance (Ho and Salimans, arXiv 2207.12598), measured as
//! a model of its own.

use crate::device::upload_integers;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::input::{self, Input, Values};
use crate::network::{Argument, Condition, Numbers};
use crate::state::{Columns, Latents};
use lipscope_core::clock::Clock;
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
    /// The embeddings, [L, D] for each sample.
    pub context: Option<Input>,
    /// The pooled embeddings, `[P]` for each sample.
    pub pooled: Option<Input>,
    /// Numbers that are embedded as t is, the same for every sample.
    pub numbers: Option<Given>,
    /// Channels beside x, [C, H, W] for each sample.
    pub beside: Option<Input>,
    /// Those of a module's other inputs that are not the same for every sample, in their order.
    pub inputs: Vec<Input>,
    /// Its arguments of time, and which of them move.
    pub clock: Clock,
    /// Whether two draws of its random inputs are told apart, and not averaged over.
    pub apart: bool,
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

    /// The same with what all samples share on `device` in `kind`, so that no batch has to move it.
    pub fn to(self, device: Device, kind: Kind) -> Result<Self> {
        let moved = |input: Option<Input>| input.map(|input| input.to(device, kind)).transpose();
        let inputs = self.inputs.into_iter().map(|input| input.to(device, kind)).collect::<Result<_>>()?;
        let (context, pooled, beside) = (moved(self.context)?, moved(self.pooled)?, moved(self.beside)?);
        Ok(Asked { context, pooled, beside, inputs, ..self })
    }

    /// Number of channels beside x.
    pub fn channels_beside(&self) -> i64 {
        self.beside.as_ref().and_then(|beside| beside.shape().first().copied()).unwrap_or(0)
    }

    /// For two samples, to try a network out; what is drawn with the data is that of row 0.
    pub fn example(&self, device: Device, kind: Kind) -> Result<Condition> {
        let latents = Some(Latents { seed: 0, draws: vec![(0.0, 0), (0.0, 1)] });
        let columns = Columns { labels: Some(vec![0; 2]), rows: Some(vec![0; 2]), latents };
        let place = self.averaged().map(|(place, _)| place);
        self.batch(2, &columns, device, kind)?.draw(place.as_slice(), 0)
    }

    /// The place of the input that predictions are averaged over, and of how many draws.
    pub fn averaged(&self) -> Option<(usize, u64)> {
        if self.apart {
            return None;
        }
        self.inputs.iter().enumerate().find_map(|(place, input)| Some((place, input.averaged()?)))
    }

    /// The places of its random inputs.
    pub fn random(&self) -> Vec<usize> {
        let random = |(_, input): &(usize, &Input)| matches!(input.values, Values::Normal { .. });
        self.inputs.iter().enumerate().filter(random).map(|(place, _)| place).collect()
    }

    /// Whether some of its inputs are random.
    pub fn is_random(&self) -> bool {
        !self.random().is_empty()
    }

    /// Has each random input drawn twice for a sample, from one stream, and the draws told apart.
    pub fn draw_twice(&mut self) {
        self.apart = true;
        for input in &mut self.inputs {
            if let Values::Normal { draws, .. } = &mut input.values {
                *draws = 2;
            }
        }
    }

    /// The arguments of time along which it changes.
    pub fn moving(&self) -> Vec<Argument> {
        let others = self.clock.others.iter().enumerate().filter(|(_, other)| other.moves);
        let t = self.clock.t_moves.then_some(Argument::T);
        t.into_iter().chain(others.map(|(place, _)| Argument::Other(place))).collect()
    }

    /// For `rows` samples on `device`, embeddings in `kind`; `columns` were drawn with them.
    ///
    /// # Errors
    /// Something is to be drawn with the data, and it has no such thing.
    pub fn batch(&self, rows: i64, columns: &Columns, device: Device, kind: Kind) -> Result<Condition> {
        let doing = "filling in the condition";
        let labels = match (self.label, &columns.labels) {
            (None, _) => None,
            (Some(Source::Same(label)), _) => Some(Tensor::f_full([rows], label, (Kind::Int64, device)).doing(doing)?),
            (Some(Source::WithData), Some(labels)) => Some(upload_integers(labels, device)?),
            (Some(Source::WithData), None) => return Err(no_labels()),
        };
        let filled =
            |input: &Option<Input>| input::batch(input, rows, columns, (device, kind)).map(|mut all| all.pop());
        let (context, pooled, beside) = (filled(&self.context)?, filled(&self.pooled)?, filled(&self.beside)?);
        let inputs = input::batch(&self.inputs, rows, columns, (device, kind))?;
        let time_kind = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        let number = |given: &Given| {
            // Filled in on the device, so that nothing waits for an upload in every guided call.
            let filled = given.values.iter().map(|&value| Tensor::f_full([rows], value, (time_kind, device)));
            Tensor::f_stack(&filled.collect::<std::result::Result<Vec<Tensor>, _>>()?, 1)
        };
        let numbers = self.numbers.as_ref().map(number).transpose().doing(doing)?;
        Ok(Condition { labels, context, pooled, numbers, beside, inputs, ..Condition::default() })
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
    /// The same for a module's own inputs, by their place; the others stay.
    pub inputs: Vec<(usize, Input)>,
}

impl Guidance {
    /// The same with its values on `device` in `kind`.
    pub fn to(self, device: Device, kind: Kind) -> Result<Self> {
        let inputs = self.inputs.into_iter().map(|(place, input)| Ok((place, input.to(device, kind)?)));
        Ok(Guidance { without: self.without.to(device, kind)?, inputs: inputs.collect::<Result<_>>()?, ..self })
    }

    /// The condition ∅ of `rows` samples: what lies beside x and the inputs without a word for ∅ stay those of `with`.
    pub fn without(&self, with: &Condition, rows: i64, device: Device, kind: Kind) -> Result<Condition> {
        let without = self.without.batch(rows, &Columns::default(), device, kind)?;
        let Condition { beside, mut inputs, times, held_at, .. } = with.shallow_clone();
        let nulls =
            input::batch(self.inputs.iter().map(|(_, input)| input), rows, &Columns::default(), (device, kind))?;
        for ((place, _), null) in self.inputs.iter().zip(nulls) {
            if let Some(input) = inputs.get_mut(*place) {
                *input = null;
            }
        }
        Ok(Condition { beside, inputs, times, held_at, ..without })
    }

    /// (1 + w) f(x, t, c) − w f(x, t, ∅), of outputs of any prediction type: each is affine in the output with the same
    /// part of x, so the same holds for ε.
    pub fn combine(&self, with: &Dual, without: &Dual) -> Result<Dual> {
        let scaled = |part: &Dual, by: f64| part.linear(|part| part.f_mul_scalar(by));
        scaled(with, 1.0 + self.scale)?.add(&scaled(without, -self.scale)?)
    }
}
