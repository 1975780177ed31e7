//! What a module is called with, argument by argument, so that each can be moved or differentiated by itself.

use super::signature::Signature;
use crate::network::{Argument, Condition};
use tch::{TchError, Tensor};

/// x [B, …], the arguments of time `[B]`, and the rest.
pub(super) struct Arguments<'a> {
    pub x: Tensor,
    /// t, and behind it the others in their order.
    pub times: Vec<Tensor>,
    pub condition: &'a Condition,
}

/// A direction: an argument and its tangent, of its shape and dtype.
pub(super) type Seed = (Argument, Tensor);

impl<'a> Arguments<'a> {
    /// Arguments of time that the condition does not have follow t.
    pub fn new(
        signature: &Signature,
        [x, t]: [&Tensor; 2],
        condition: &'a Condition,
    ) -> std::result::Result<Self, TchError> {
        let mut times = vec![t.shallow_clone()];
        for (place, input) in signature.times().iter().enumerate() {
            times.push(match condition.times.get(place) {
                Some(given) => given.value.shallow_clone(),
                None => t.f_mul_scalar(input.factor)?.f_add_scalar(input.offset)?,
            });
        }
        Ok(Arguments { x: x.shallow_clone(), times, condition })
    }

    /// Its value; `None` for one that the module does not have.
    pub fn get(&self, argument: Argument) -> Option<&Tensor> {
        match argument {
            Argument::X => Some(&self.x),
            Argument::T => self.times.first(),
            Argument::Other(place) => self.times.get(place + 1),
        }
    }

    /// The same with another value of one.
    pub fn with(&self, argument: Argument, value: Tensor) -> Self {
        let Arguments { x, times, condition } = self;
        let mut changed =
            Arguments { x: x.shallow_clone(), times: times.iter().map(Tensor::shallow_clone).collect(), condition };
        match argument {
            Argument::X => changed.x = value,
            Argument::T => changed.times[0] = value,
            Argument::Other(place) => changed.times[place + 1] = value,
        }
        changed
    }

    /// Every argument through `f`; the condition stays.
    pub fn try_map<E>(&self, f: impl Fn(&Tensor) -> std::result::Result<Tensor, E>) -> std::result::Result<Self, E> {
        Ok(Arguments { x: f(&self.x)?, ..self.with_times(&f)? })
    }

    /// Every argument of time through `f`.
    pub fn with_times<E>(&self, f: impl Fn(&Tensor) -> std::result::Result<Tensor, E>) -> std::result::Result<Self, E> {
        let times = self.times.iter().map(&f).collect::<std::result::Result<_, E>>()?;
        Ok(Arguments { x: self.x.shallow_clone(), times, condition: self.condition })
    }
}
