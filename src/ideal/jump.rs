//! The reverse jumps of a finite data set, exact on all of its states.

use crate::device::{fetch, upload_numbers};
use crate::error::{Doing, Result};
use crate::jumps::OFFERS;
use crate::of::Of;
use crate::process::{Block, ForwardProcess};
use crate::response::Response;
use crate::state::State;
use crate::time::{Axis, Timestep};
use crate::timestep_map::TimestepMap;
use lipscope_core::process::jump::{AtSigma, Exact, Expectation, Jump};
use lipscope_core::quantity::Quantity;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// The total rate and the jump law of a data set under a jump process.
pub struct IdealJumps {
    /// The law of the data on all states.
    pub law: Exact,
    /// How it is noised.
    pub process: Arc<Jump>,
    /// The map laid over it.
    pub map: Arc<dyn TimestepMap>,
    /// Shape of one sample.
    pub sample_shape: Vec<i64>,
    /// Where states lie.
    pub device: Device,
    /// What is measured.
    pub of: Of,
}

impl IdealJumps {
    /// The law at the σ that is asked for at t.
    fn at(&self, t: Timestep) -> AtSigma<'_> {
        self.law.at(self.process.sigma(self.map.condition(t)))
    }

    /// dσ/dt of that.
    fn speed(&self, t: Timestep) -> f64 {
        let rate = self.process.coordinate_rate(Axis::Sigma, self.map.condition(t)).unwrap_or_default();
        rate * self.map.rate(t)
    }

    /// The expectation over all states at t of one sample's norm, per unit of `axis`, with its quantiles and supremum;
    /// `None` where the derivative does not exist.
    pub fn expectation(
        &self,
        quantity: Quantity,
        axis: Axis,
        (t, next): (Timestep, Option<Timestep>),
    ) -> Option<Expectation> {
        let (states, here) = (self.law.at(self.process.sigma(t)), self.at(t));
        let coordinate = |t: Timestep| self.process.coordinate(axis, t);
        match (quantity, next) {
            (Quantity::Size, _) => Some(states.expectation(|x| here.rates[x])),
            (_, Some(next)) => {
                let (there, distance) = (self.at(next), (coordinate(next)? - coordinate(t)?).abs());
                Some(states.expectation(|x| self.distance(&here, &there, x) / distance))
            }
            (_, None) if self.map.jumps_at(t) => None,
            (_, None) => {
                let per = (self.speed(t) / self.process.coordinate_rate(axis, t)?).abs();
                let rate = |x: usize| match self.of {
                    Of::Jumps => here.jump_law_speed(x),
                    _ => here.log_rate_rate(x).abs(),
                };
                Some(states.expectation(|x| rate(x) * per))
            }
        }
    }

    /// |ln R′ − ln R|, or ½ Σ|p′ − p|, which under masking is 0.
    fn distance(&self, here: &AtSigma, there: &AtSigma, x: usize) -> f64 {
        match self.of {
            Of::Jumps if self.law.graph().mask().is_some() => 0.0,
            Of::Jumps => {
                let pairs = here.jump_law(x).into_iter().zip(there.jump_law(x));
                0.5 * pairs.map(|(a, b)| (b - a).abs()).sum::<f64>()
            }
            _ => log_change(here.rates[x], there.rates[x]).abs(),
        }
    }

    /// A row of numbers for each state of a batch: [B, width] in float64.
    fn by_row(
        &self,
        state: &State,
        t: &[Timestep],
        numbers: impl Fn(&AtSigma, usize, Timestep) -> Vec<f64>,
    ) -> Result<Tensor> {
        let symbols = fetch(&state.x)?;
        let mut known: Vec<(Timestep, AtSigma)> = Vec::new();
        let mut all = Vec::new();
        for (row, &t) in symbols.chunks(self.law.positions()).zip(t) {
            if !known.iter().any(|(time, _)| *time == t) {
                known.push((t, self.at(t)));
            }
            let x = self.law.state(row)?;
            let at = known.iter().find(|(time, _)| *time == t);
            all.extend(at.map(|(_, at)| numbers(at, x, t)).unwrap_or_default());
        }
        let rows = t.len() as i64;
        let tensor = upload_numbers(&all, self.device, Kind::Double)?;
        tensor.f_view([rows, -1]).doing("looking up the rates of states")
    }
}

/// ln R′ − ln R; 0 where nothing can jump.
fn log_change(before: f64, after: f64) -> f64 {
    if before == after { 0.0 } else { (after / before).ln() }
}

impl Response for IdealJumps {
    fn process(&self) -> &dyn ForwardProcess {
        &self.process
    }

    fn timestep_map(&self) -> &dyn TimestepMap {
        &*self.map
    }

    fn sample_shape(&self) -> &[i64] {
        &self.sample_shape
    }

    fn blocks(&self) -> Vec<Block> {
        let width = if self.of == Of::Jumps { self.law.positions() * self.law.graph().symbols() } else { 1 };
        vec![Block { name: None, elements: 0..width as i64 }]
    }

    fn device(&self) -> Device {
        self.device
    }

    fn kind(&self) -> Kind {
        Kind::Double
    }

    fn value(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        self.by_row(state, t, |at, x, _| match self.of {
            Of::Jumps => at.jump_law(x),
            _ => vec![at.rates[x]],
        })
    }

    fn rate(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        self.by_row(state, t, |at, x, t| {
            let speed = self.speed(t);
            let rates = if self.of == Of::Jumps { at.jump_law_rate(x) } else { vec![at.log_rate_rate(x)] };
            rates.into_iter().map(|rate| rate * speed).collect()
        })
    }

    fn change(&self, state: &State, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let (before, after) = (self.value(state, t)?, self.value(state, t_next)?);
        let change = match self.of {
            Of::Jumps if self.law.graph().mask().is_some() => before.f_zeros_like().doing("subtracting jump laws")?,
            Of::Jumps => after.f_sub(&before).doing("subtracting jump laws")?,
            _ => crate::jumps::change_of_log(&logarithm(&before)?, &logarithm(&after)?)?,
        };
        Ok((change, 2 * t.len() as u64))
    }

    fn by_enumeration(&self) -> Option<&IdealJumps> {
        Some(self)
    }

    fn offers(&self) -> &'static [Of] {
        OFFERS
    }

    fn asked_for(self: Box<Self>, of: Of, _scales: &[f64]) -> Box<dyn Response> {
        Box::new(IdealJumps { of, ..*self })
    }
}

fn logarithm(rates: &Tensor) -> Result<Tensor> {
    rates.f_log().doing("taking logarithms of rates")
}
