//! Whole timesteps, each once.

use super::{REAL, Spacing};
use crate::error::{Error, Result};
use crate::schedule::NoiseSchedule;
use crate::time::Timestep;

/// Another spacing, rounded; where `real`, as it is.
#[derive(Debug)]
pub(super) struct Whole {
    /// The other.
    pub spacing: Box<dyn Spacing>,
    /// Whether timesteps stay between whole ones.
    pub real: bool,
}

/// `NAME-real[:ARGUMENT]`.
fn real_name(name: &str) -> String {
    match name.split_once(':') {
        Some((name, argument)) => format!("{name}{REAL}:{argument}"),
        None => format!("{name}{REAL}"),
    }
}

impl Spacing for Whole {
    fn name(&self) -> String {
        let name = self.spacing.name();
        if self.real { real_name(&name) } else { name }
    }

    fn per_evaluation(&self) -> bool {
        self.spacing.per_evaluation()
    }

    fn timesteps(
        &self,
        schedule: &dyn NoiseSchedule,
        span: (Timestep, Timestep),
        shares: &[f64],
    ) -> Result<Vec<Timestep>> {
        let mut timesteps = self.spacing.timesteps(schedule, span, shares)?;
        if self.real {
            return Ok(timesteps);
        }
        let (Some(&first), Some(&last)) = (timesteps.first(), timesteps.last()) else { return Ok(timesteps) };
        let there = (round(first) - round(last)) as usize + 1;
        if timesteps.len() > there {
            return Err(Error::mismatch(
                format!("{} steps do not fit on {there} whole timesteps", timesteps.len()),
                format!("Give a smaller --nfe, or --spacing {}.", real_name(&self.name())),
            ));
        }
        spread(&mut timesteps);
        Ok(timesteps)
    }
}

/// The nearest whole timestep; halves go up, also those that float64 misses by its rounding.
fn round(t: Timestep) -> Timestep {
    (t + 1e-9).round()
}

/// Rounds descending timesteps, and moves those that would coincide up, or where there is no room, down.
fn spread(timesteps: &mut [Timestep]) {
    let first = timesteps.first().map_or(0.0, |first| round(*first));
    let mut least = f64::NEG_INFINITY;
    for t in timesteps.iter_mut().rev() {
        *t = round(*t).max(least);
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
        assert_eq!(spread_out(&[999.0, 999.0 * (1.0 - 5.0 / 6.0), 0.0]), [999.0, 167.0, 0.0]);
    }
}
