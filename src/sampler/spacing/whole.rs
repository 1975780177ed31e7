//! Whole timesteps, each once.

use super::Spacing;
use crate::error::{Error, Result};
use crate::schedule::NoiseSchedule;
use crate::time::Timestep;

/// Another spacing, rounded.
#[derive(Debug)]
pub(super) struct Whole(pub Box<dyn Spacing>);

impl Spacing for Whole {
    fn name(&self) -> String {
        self.0.name()
    }

    fn per_evaluation(&self) -> bool {
        self.0.per_evaluation()
    }

    fn timesteps(
        &self,
        schedule: &dyn NoiseSchedule,
        span: (Timestep, Timestep),
        shares: &[f64],
    ) -> Result<Vec<Timestep>> {
        let mut timesteps = self.0.timesteps(schedule, span, shares)?;
        let (Some(&first), Some(&last)) = (timesteps.first(), timesteps.last()) else { return Ok(timesteps) };
        let there = (first.round() - last.round()) as usize + 1;
        if timesteps.len() > there {
            return Err(Error::mismatch(
                format!("{} steps do not fit on {there} whole timesteps", timesteps.len()),
                format!("Give a smaller --nfe, or --spacing {}{}.", self.name(), super::REAL),
            ));
        }
        spread(&mut timesteps);
        Ok(timesteps)
    }
}

/// Rounds descending timesteps, and moves those that would coincide up, or where there is no room, down.
fn spread(timesteps: &mut [Timestep]) {
    let first = timesteps.first().map_or(0.0, |first| first.round());
    let mut least = f64::NEG_INFINITY;
    for t in timesteps.iter_mut().rev() {
        *t = t.round().max(least);
        least = *t + 1.0;
    }
    let mut most = first;
    for t in timesteps.iter_mut() {
        *t = t.min(most);
        most = *t - 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread_out(timesteps: &[f64]) -> Vec<f64> {
        let mut timesteps = timesteps.to_vec();
        spread(&mut timesteps);
        timesteps
    }

    #[test]
    fn whole_timesteps_never_repeat_and_keep_their_ends() {
        assert_eq!(spread_out(&[9.0, 5.4, 0.0]), [9.0, 5.0, 0.0]);
        assert_eq!(spread_out(&[9.0, 0.4, 0.3, 0.0]), [9.0, 2.0, 1.0, 0.0]);
        assert_eq!(spread_out(&[3.0, 2.9, 2.8, 0.0]), [3.0, 2.0, 1.0, 0.0]);
        assert_eq!(spread_out(&[4.0]), [4.0]);
    }
}
