//! Timesteps as they are given, in any order: `times:0-100-500-999`.

use super::{Member, Spacing};
use crate::error::{Error, Result};
use crate::schedule::NoiseSchedule;
use crate::time::Timestep;

pub(super) const MEMBER: Member =
    Member { name: "times", argument: "T-T-…", about: "the timesteps that are given", build };

#[derive(Debug)]
struct Times {
    /// Descending.
    times: Vec<Timestep>,
}

fn build(argument: &str) -> Result<Box<dyn Spacing>> {
    let refused = |allowed: &str| {
        let next = "Such as --spacing times:0-100-500-999.";
        Error::argument("the spacing's timesteps", argument, allowed.to_string(), next)
    };
    let times: Option<Vec<f64>> = argument.split('-').map(|word| word.trim().parse().ok()).collect();
    let mut times = times
        .filter(|times| times.iter().all(|t: &f64| t.is_finite()))
        .ok_or_else(|| refused("it is numbers with dashes between them"))?;
    times.sort_by(|a, b| b.total_cmp(a));
    if times.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(refused("every timestep stands there once"));
    }
    Ok(Box::new(Times { times }))
}

impl Spacing for Times {
    fn name(&self) -> String {
        let ascending: Vec<String> = self.times.iter().rev().map(f64::to_string).collect();
        format!("times:{}", ascending.join("-"))
    }

    fn timesteps(
        &self,
        _schedule: &dyn NoiseSchedule,
        (first, last): (Timestep, Timestep),
        shares: &[f64],
    ) -> Result<Vec<Timestep>> {
        let given = self.times.len();
        if given != shares.len() {
            return Err(Error::mismatch(
                format!("--spacing names {given} timesteps, and this --nfe and --sampler visit {}", shares.len()),
                format!("With one evaluation a step, --nfe {given} visits them."),
            ));
        }
        if let Some(outside) = self.times.iter().find(|t| !(last..=first).contains(*t)) {
            let problem = format!("--spacing names timestep {outside}, and sampling can go from {first} to {last}");
            return Err(Error::mismatch(problem, "Leave it out."));
        }
        Ok(self.times.clone())
    }
}
