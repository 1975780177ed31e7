//! A network with what it is asked for and told: its raw output at a state, under any forward process.

use crate::device::upload_numbers;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::guidance::Asked;
use crate::network::{Condition, Entrance, Network};
use crate::process::{self, ForwardProcess};
use crate::state::Columns;
use crate::time::{Conditioning, Timestep};
use crate::timestep_map::TimestepMap;
use lipscope_core::clock::{Clock, TimeArgument};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// A network, the numbers that it is told for t, and its conditions.
pub struct AskedNetwork {
    /// The network, on its device and in its dtype.
    pub network: Box<dyn Network>,
    /// The timestep map laid over it.
    pub map: Arc<dyn TimestepMap>,
    /// Which number it gets for t.
    pub conditioning: Conditioning,
    /// What it is asked for, where it is conditional.
    pub given: Asked,
    /// Shape of one clean sample.
    pub sample_shape: Vec<i64>,
    /// Where it runs.
    pub device: Device,
    /// Its dtype.
    pub kind: Kind,
}

/// The timesteps of the arguments of time of a batch, one per row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times<'a> {
    /// That of t.
    pub t: &'a [Timestep],
    /// Of others that move.
    pub moving: &'a [Timestep],
    /// Of others that are held.
    pub held: &'a [Timestep],
}

impl<'a> Times<'a> {
    /// The same for all of them.
    pub fn all(t: &'a [Timestep]) -> Self {
        Times { t, moving: t, held: t }
    }
}

/// The numbers that arguments of time are told, `[B]` each.
pub(super) struct Told {
    pub t: Dual,
    pub others: Vec<Dual>,
}

impl AskedNetwork {
    /// What `rows` samples are conditional on, from what was drawn with them.
    ///
    /// # Errors
    /// The network needs a column that the data does not have.
    pub fn condition(&self, rows: i64, columns: &Columns) -> Result<Condition> {
        self.given.batch(rows, columns, self.device, self.kind)
    }

    /// The network's output for states x, [B, …], with one timestep each; with `with_rate`, or where x has a tangent, with its
    /// tangent (∂/∂t per step).
    ///
    /// # Errors
    /// The number that the network is told does not exist under this process, or the network refuses its input.
    pub fn output(
        &self,
        process: &dyn ForwardProcess,
        x: &Dual,
        condition: &Condition,
        (t, with_rate): (&[Timestep], bool),
    ) -> Result<Dual> {
        self.ask(x, &self.told(process, self.times(condition, t), with_rate)?, condition, None)
    }

    /// The timesteps of the arguments of time at `t`, where what does not move is held.
    pub(super) fn times<'a>(&self, condition: &'a Condition, t: &'a [Timestep]) -> Times<'a> {
        let held = condition.held_at.as_deref().unwrap_or(t);
        Times { t: if self.given.clock.t_moves { t } else { held }, moving: t, held }
    }

    /// The numbers that the network is told, with the rates per step of those that move where these are asked for.
    pub(super) fn told(&self, process: &dyn ForwardProcess, at: Times, with_rate: bool) -> Result<Told> {
        let Clock { t_moves, others } = &self.given.clock;
        let t = self.numbers(process, at.t, with_rate && *t_moves, (1.0, 0.0))?;
        let other = |TimeArgument { input, moves }: &TimeArgument| {
            let t = if *moves { at.moving } else { at.held };
            self.numbers(process, t, with_rate && *moves, (input.factor, input.offset))
        };
        Ok(Told { t, others: others.iter().map(other).collect::<Result<_>>()? })
    }

    /// offset + factor · (the numbers that stand for t), one per row, with their rates per step where these are asked for.
    fn numbers(
        &self,
        process: &dyn ForwardProcess,
        t: &[Timestep],
        with_rate: bool,
        (factor, offset): (f64, f64),
    ) -> Result<Dual> {
        let mapped: Vec<Timestep> = t.iter().map(|&t| self.map.condition(t)).collect();
        let numbers = mapped.iter().map(|&t| Ok(offset + factor * process::told(process, self.conditioning, t)?));
        let numbers: Vec<f64> = numbers.collect::<Result<_>>()?;
        self.network.check_times(&numbers.iter().map(|&number| self.as_told(number)).collect::<Vec<f64>>())?;
        let value = self.per_row(&numbers)?;
        if !with_rate {
            return Ok(Dual::constant(value));
        }
        let rate = |(&t, &mapped): (&Timestep, &Timestep)| {
            Ok(factor * (process::told_rate(process, self.conditioning, mapped)? * self.map.rate(t)))
        };
        let rates: Vec<f64> = t.iter().zip(&mapped).map(rate).collect::<Result<_>>()?;
        Ok(Dual::new(value, self.per_row(&rates)?))
    }

    /// The output for an input and the numbers told, or its mean over the draws of a random input where that is asked for;
    /// tangents of t enter by `entrance`, or everywhere.
    pub(super) fn ask(
        &self,
        x: &Dual,
        told: &Told,
        condition: &Condition,
        entrance: Option<&Entrance>,
    ) -> Result<Dual> {
        let one = |condition: &Condition| {
            let widened = beside(x, condition)?;
            self.call(widened.as_ref().unwrap_or(x), &told.t, condition, entrance)
        };
        let timed = (!told.others.is_empty()).then(|| {
            let times = told.others.iter().map(Dual::shallow_clone).collect();
            Condition { times, ..condition.shallow_clone() }
        });
        let condition = timed.as_ref().unwrap_or(condition);
        let Some((place, draws)) = self.given.averaged() else { return one(condition) };
        let at = |draw| one(&condition.shallow_clone().draw(&[place], draw)?);
        let sum = (1..draws).try_fold(at(0)?, |sum, draw| sum.add(&at(draw)?))?;
        sum.linear(|sum| sum.f_div_scalar(draws as f64))
    }

    /// One call of the network.
    fn call(&self, x: &Dual, t: &Dual, condition: &Condition, entrance: Option<&Entrance>) -> Result<Dual> {
        let Some(entrance) = entrance else { return self.network.forward(x, t, condition) };
        match self.network.inside() {
            Some(inside) => inside.forward_by(x, t, condition, entrance),
            None => Err(Error::mismatch(
                format!("the inside of this {} cannot be reached", self.network.architecture()),
                "Measure it without --attribute.",
            )),
        }
    }

    /// Calls of the network that one output takes.
    pub fn calls(&self) -> u64 {
        if self.given.apart { 2 } else { self.given.averaged().map_or(1, |(_, draws)| draws) }
    }

    /// Why its tangents in t do not exist, as the end of "… is not available for".
    pub fn lacks_rate(&self) -> Option<String> {
        (!self.network.carries_tangents()).then(|| self.network.architecture())
    }

    /// A number as a network in single precision is told it.
    fn as_told(&self, number: f64) -> f64 {
        if self.kind == Kind::Double { number } else { f64::from(number as f32) }
    }

    /// One number per row, float32 even for half-precision networks unless the network's time has a dtype of its own; a
    /// shared number is filled in on the device.
    fn per_row(&self, values: &[f64]) -> Result<Tensor> {
        let default = if self.kind == Kind::Double { Kind::Double } else { Kind::Float };
        let kind = self.network.time_kind().unwrap_or(default);
        let doing = "filling in the timesteps";
        match values.split_first() {
            Some((first, rest)) if rest.iter().all(|other| other == first) => {
                Tensor::f_full([values.len() as i64], *first, (kind, self.device)).doing(doing)
            }
            _ => upload_numbers(values, self.device, kind),
        }
    }
}

/// x with the channels beside it, whose tangent is 0; `None` where there are none.
fn beside(x: &Dual, condition: &Condition) -> Result<Option<Dual>> {
    let Some(channels) = &condition.beside else { return Ok(None) };
    let doing = "laying channels beside x";
    let value = Tensor::f_cat(&[&x.value, channels], 1).doing(doing)?;
    let widened = |tangent: &Tensor| Tensor::f_cat(&[tangent, &channels.f_zeros_like()?], 1);
    let tangent = x.tangent.as_ref().map(widened).transpose().doing(doing)?;
    Ok(Some(Dual { value, tangent }))
}
