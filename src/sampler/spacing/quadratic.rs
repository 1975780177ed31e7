//! Short steps near t = 0: equal steps in √t (DDIM's code, arXiv 2010.02502, appendix D.2).

use super::{Member, Spacing};
use crate::error::Result;
use crate::schedule::NoiseSchedule;
use crate::time::Timestep;

pub(super) const MEMBER: Member =
    Member { name: "quadratic", argument: "", about: "equal steps in √t", build: |_| Ok(Box::new(Quadratic)) };

#[derive(Debug)]
struct Quadratic;

impl Spacing for Quadratic {
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
        // t = t_last + (t_first − t_last)(1 − share)²
        Ok(shares.iter().map(|share| last + (first - last) * (1.0 - share).powi(2)).collect())
    }
}
