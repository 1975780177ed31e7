//! No noise: x is the data itself, and the time of a curve is a scalar s that the function takes beside it.
//!
//! s(t) = from + (to − from) t/(T − 1) for t = 0 … T − 1.

use super::{Other, ProcessSpec};
use crate::error::{Error, Result};
use crate::schedule::{Parameters, Timestep};
use std::sync::Arc;

/// A range of a scalar argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Unnoised {
    /// As it was typed.
    pub name: String,
    /// s at t = 0.
    pub from: f64,
    /// s at t = T − 1.
    pub to: f64,
    /// T.
    pub timesteps: usize,
}

/// `none:from=a,to=b`.
pub const OTHER: Other =
    Other { name: "none", about: "no noise: x is the data, and t runs over a scalar argument from a to b", read };

fn read(parameters: &str, whole: &str) -> Result<ProcessSpec> {
    let known = [("from", ""), ("to", ""), ("timesteps", "100")];
    let parameters = Parameters::read((OTHER.name, &known), parameters, whole)?;
    let (from, to) = (parameters.number("from")?, parameters.number("to")?);
    if from == to {
        let next = "Such as none:from=0.05,to=0.6.";
        return Err(Error::argument("the schedule", whole, "`from` and `to` are different numbers", next));
    }
    let timesteps = parameters.timesteps()?;
    Ok(ProcessSpec::Unnoised(Arc::new(Unnoised { name: whole.into(), from, to, timesteps })))
}

impl Unnoised {
    /// s(t).
    pub fn argument(&self, t: Timestep) -> f64 {
        self.from + self.rate() * t
    }

    /// ds/dt per step.
    pub fn rate(&self) -> f64 {
        (self.to - self.from) / (self.timesteps - 1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_runs_from_one_end_to_the_other() {
        let ProcessSpec::Unnoised(range) = "none:from=0.05,to=0.6,timesteps=56".parse().unwrap() else { panic!() };
        assert_eq!((range.timesteps, range.argument(0.0)), (56, 0.05));
        // 0.01 per step, to rounding.
        assert!((range.argument(25.0) - 0.3).abs() < 1e-15 && (range.argument(55.0) - 0.6).abs() < 1e-15);
    }

    #[test]
    fn ends_are_two_different_numbers() {
        for text in ["none", "none:from=0", "none:from=1,to=1", "none:from=0,to=x", "none:from=0,to=1,timesteps=1"] {
            assert!(text.parse::<ProcessSpec>().is_err(), "{text}");
        }
    }
}
