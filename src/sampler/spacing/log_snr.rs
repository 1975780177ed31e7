//! Equal steps in log-SNR (DPM-Solver's choice, Lu et al., arXiv 2206.00927, section 3.3).
//!
//! Where the path starts at α = 0, and so at a log-SNR of −∞, its first step goes to where the others begin: one timestep
//! further, as seen from there.

use super::{Member, Spacing};
use crate::error::Result;
use crate::sampler::log_snr::{half_log_snr, time_of};
use crate::schedule::NoiseSchedule;
use crate::time::Timestep;

pub(super) const MEMBER: Member =
    Member { name: "log-snr", argument: "", about: "equal steps in ln(α/σ)", build: |_| Ok(Box::new(LogSnr)) };

#[derive(Debug)]
struct LogSnr;

impl Spacing for LogSnr {
    fn name(&self) -> String {
        MEMBER.name.into()
    }

    fn timesteps(
        &self,
        schedule: &dyn NoiseSchedule,
        (first, last): (Timestep, Timestep),
        shares: &[f64],
    ) -> Result<Vec<Timestep>> {
        let noisiest = if schedule.alpha(first) > 0.0 { first } else { first - 1.0 };
        let (from, until) = (half_log_snr(schedule, noisiest), half_log_snr(schedule, last));
        let place = |&share: &f64| match share {
            0.0 => first,
            1.0 => last,
            share => time_of(schedule, from + (until - from) * share, (noisiest, last)),
        };
        Ok(shares.iter().map(place).collect())
    }
}
