//! Steps of equal length in t.

use super::{Member, Spacing};
use crate::error::Result;
use crate::schedule::NoiseSchedule;
use crate::time::Timestep;

pub(super) const MEMBER: Member =
    Member { name: "uniform", argument: "", about: "steps of equal length in t", build: |_| Ok(Box::new(Uniform)) };

#[derive(Debug)]
struct Uniform;

impl Spacing for Uniform {
    fn name(&self) -> String {
        MEMBER.name.into()
    }

    fn per_evaluation(&self) -> bool {
        true
    }

    fn timesteps(
        &self,
        _schedule: &dyn NoiseSchedule,
        (first, last): (Timestep, Timestep),
        shares: &[f64],
    ) -> Result<Vec<Timestep>> {
        // t = t_last + (t_first − t_last)(1 − share)
        Ok(shares.iter().map(|share| last + (first - last) * (1.0 - share)).collect())
    }
}
