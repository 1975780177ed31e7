//! How a module is called, and which of its outputs counts: `--inputs x,t,context=FILE` and `--output KEY`.

use super::arguments::Arguments;
use crate::error::{Doing, Result};
use crate::network::{Additions, Takes, UsualTime};
use crate::tensor_file::one_sample;
use lipscope_core::cli::args::{ConditionSource, Inputs, ModuleInput, ModuleOutput, OutputTensor};
use lipscope_core::clock::TimeInput;
use tch::{CModule, Device, IValue, Kind, TchError, Tensor};

/// One argument of a module, in its place.
#[derive(Debug)]
enum Slot {
    X,
    T,
    /// The class labels, `[B]`.
    Class,
    /// The embeddings, [B, L, D].
    Context,
    /// A value of one sample, [1, …], the same for all.
    Fixed(Tensor),
    Number(f64),
    /// Another argument of time, `[B]`.
    Time(TimeInput),
    /// Values that differ from sample to sample: the next of the condition's inputs.
    Drawn(ModuleInput),
}

/// How a module is called.
#[derive(Debug)]
pub struct Signature {
    slots: Vec<Slot>,
    /// Which output counts; `None` for the first tensor.
    output: Option<OutputTensor>,
}

impl Default for Signature {
    fn default() -> Self {
        Signature { slots: vec![Slot::X, Slot::T], output: None }
    }
}

impl Signature {
    /// From `--inputs` and `--output`. Files hold the value of one sample, with a first axis of 1 or without.
    pub fn new(inputs: Option<&Inputs>, output: Option<&ModuleOutput>) -> Result<Self> {
        let mut signature = Signature::default();
        if let Some(Inputs(inputs)) = inputs {
            signature.slots = inputs.iter().map(slot).collect::<Result<_>>()?;
        }
        signature.output = output.and_then(|output| output.tensor.clone());
        Ok(signature)
    }

    /// The same with its fixed values on `device`, so that no call has to move them.
    pub fn to(mut self, device: Device) -> Result<Self> {
        for slot in &mut self.slots {
            if let Slot::Fixed(value) = slot {
                *value = value.f_to_device(device).doing("moving the inputs of a module")?;
            }
        }
        Ok(self)
    }

    /// Whether embeddings are among the arguments.
    pub fn takes_context(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Context))
    }

    /// Whether class labels are among the arguments.
    pub fn takes_class(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Class))
    }

    /// The arguments that differ from sample to sample, in their order.
    pub fn drawn(&self) -> Vec<ModuleInput> {
        let drawn = |slot: &Slot| match slot {
            Slot::Drawn(input) => Some(input.clone()),
            _ => None,
        };
        self.slots.iter().filter_map(drawn).collect()
    }

    /// The arguments of time besides t, in their order.
    pub fn times(&self) -> Vec<TimeInput> {
        let time = |slot: &Slot| match slot {
            Slot::Time(time) => Some(time.clone()),
            _ => None,
        };
        self.slots.iter().filter_map(time).collect()
    }

    /// Whether numbers are among the arguments.
    pub fn has_numbers(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Number(_)))
    }

    /// What the module takes besides x and t.
    pub fn takes(&self) -> Takes {
        Takes {
            symbols: None,
            architecture: super::ARCHITECTURE.into(),
            class: self.takes_class(),
            classes: None,
            null_label: None,
            context: self.takes_context(),
            context_width: None,
            additions: Additions::default(),
            time: UsualTime::Steps,
            inputs: self.drawn(),
            times: self.times(),
        }
    }

    /// Number of arguments.
    pub fn arguments(&self) -> usize {
        self.slots.len()
    }

    /// Calls a module; floating-point values are taken in the dtype of x, or in float32 beside symbols, and where `numbers` says so plain numbers as t is.
    /// The error is libtorch's own.
    pub(super) fn call(
        &self,
        module: &CModule,
        Arguments { x, times, condition }: &Arguments,
        numbers: bool,
    ) -> std::result::Result<Tensor, String> {
        let words = |e: TchError| crate::error::torch_message(&e);
        let rows = x.size().first().copied().unwrap_or(1);
        let like = |value: &Tensor| {
            let own = if x.is_floating_point() { x.kind() } else { Kind::Float };
            let kind = if value.is_floating_point() { own } else { value.kind() };
            value.f_to_kind(kind).and_then(|value| value.f_to_device(x.device()))
        };
        let (t, mut others) = (times.first(), times.iter().skip(1));
        let mut drawn = condition.inputs.iter();
        let mut arguments = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let missing = |what: &str| format!("it takes {what}, and none was given");
            arguments.push(match slot {
                Slot::X => IValue::Tensor(x.shallow_clone()),
                Slot::T => IValue::Tensor(t.ok_or_else(|| missing("t"))?.shallow_clone()),
                Slot::Time(_) => IValue::Tensor(others.next().ok_or_else(|| missing("one more time"))?.shallow_clone()),
                Slot::Number(number) if numbers => {
                    let t = t.ok_or_else(|| missing("t"))?;
                    IValue::Tensor(t.f_full_like(*number).map_err(words)?)
                }
                Slot::Number(number) => IValue::Double(*number),
                Slot::Class => {
                    IValue::Tensor(condition.labels.as_ref().ok_or_else(|| missing("a class"))?.shallow_clone())
                }
                Slot::Context => {
                    let context = condition.context.as_ref().ok_or_else(|| missing("embeddings (--context)"))?;
                    IValue::Tensor(like(context).map_err(words)?)
                }
                Slot::Drawn(_) => {
                    let values = drawn.next().ok_or_else(|| missing("one more input"))?;
                    IValue::Tensor(like(values).map_err(words)?)
                }
                Slot::Fixed(value) => {
                    let sizes: Vec<i64> = std::iter::once(rows).chain(value.size().into_iter().skip(1)).collect();
                    IValue::Tensor(like(value).and_then(|value| value.f_expand(&sizes, false)).map_err(words)?)
                }
            });
        }
        let output = module.forward_is(&arguments).map_err(words)?;
        self.pick(output)
    }

    fn pick(&self, output: IValue) -> std::result::Result<Tensor, String> {
        let chosen = match (&self.output, output) {
            (None, output) => Some(output),
            (Some(OutputTensor::Place(i)), IValue::Tuple(values) | IValue::GenericList(values)) => {
                values.into_iter().nth(*i)
            }
            (Some(OutputTensor::Place(i)), IValue::TensorList(values)) => {
                values.into_iter().nth(*i).map(IValue::Tensor)
            }
            (Some(OutputTensor::Place(0)), value @ IValue::Tensor(_)) => Some(value),
            (Some(OutputTensor::Key(key)), IValue::GenericDict(pairs)) => {
                let is_key = |name: &IValue| matches!(name, IValue::String(name) if name == key);
                pairs.into_iter().find(|(name, _)| is_key(name)).map(|(_, value)| value)
            }
            _ => None,
        };
        match (chosen.and_then(first_tensor), &self.output) {
            (Some(tensor), _) => Ok(tensor),
            (None, None) => Err("its output holds no tensor".into()),
            (None, Some(OutputTensor::Place(i))) => {
                Err(format!("its output has no tensor at place {i}, as --output says"))
            }
            (None, Some(OutputTensor::Key(key))) => {
                Err(format!("its output has no tensor under the key `{key}`, as --output says"))
            }
        }
    }
}

fn slot(input: &ModuleInput) -> Result<Slot> {
    Ok(match input {
        ModuleInput::X => Slot::X,
        ModuleInput::T => Slot::T,
        ModuleInput::Class => Slot::Class,
        ModuleInput::Context => Slot::Context,
        ModuleInput::Number(_, number) => Slot::Number(*number),
        ModuleInput::Time(time) => Slot::Time(time.clone()),
        ModuleInput::Values(_, ConditionSource::Same(path)) => Slot::Fixed(one_sample(path)?),
        ModuleInput::Values(..) | ModuleInput::Normal(..) => Slot::Drawn(input.clone()),
    })
}

/// The first tensor of whatever a module gives.
pub(crate) fn first_tensor(value: IValue) -> Option<Tensor> {
    match value {
        IValue::Tensor(tensor) => Some(tensor),
        IValue::TensorList(tensors) => tensors.into_iter().next(),
        IValue::Tuple(values) | IValue::GenericList(values) => values.into_iter().find_map(first_tensor),
        IValue::GenericDict(pairs) => pairs.into_iter().find_map(|(_, value)| first_tensor(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_chosen_by_place_or_key() {
        let one = |x: f64| IValue::Tensor(Tensor::from(x));
        let pick = |output: &str, value| Signature::new(None, Some(&output.parse().unwrap())).unwrap().pick(value);
        let tuple = || IValue::Tuple(vec![one(1.0), one(2.0)]);
        let dict = || {
            IValue::GenericDict(vec![
                (IValue::String("logvar".into()), one(3.0)),
                (IValue::String("eps".into()), one(4.0)),
            ])
        };
        assert_eq!(pick("1", tuple()).unwrap().double_value(&[]), 2.0);
        assert_eq!(pick("eps", dict()).unwrap().double_value(&[]), 4.0);
        assert_eq!(Signature::default().pick(dict()).unwrap().double_value(&[]), 3.0);
        assert!(pick("2", tuple()).unwrap_err().contains("place 2"));
        assert!(pick("v", dict()).unwrap_err().contains("`v`"));
    }
}
