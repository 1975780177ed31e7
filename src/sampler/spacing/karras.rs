//! Equal steps in s^(1/ρ), s = σ/α, with ρ = 7 (Karras et al., arXiv 2206.00364, eq. 5): between log-SNR (ρ → ∞) and s.

use super::{Member, Spacing};
use crate::error::Result;
use crate::sampler::log_snr::{half_log_snr, time_of};
use crate::schedule::NoiseSchedule;
use crate::time::Timestep;

pub(super) const MEMBER: Member =
    Member { name: "karras", argument: "", about: "equal steps in (σ/α)^(1/7)", build: |_| Ok(Box::new(Karras)) };

/// ρ.
const RHO: f64 = 7.0;

#[derive(Debug)]
struct Karras;

impl Spacing for Karras {
    fn name(&self) -> String {
        MEMBER.name.into()
    }

    fn timesteps(
        &self,
        schedule: &dyn NoiseSchedule,
        (first, last): (Timestep, Timestep),
        shares: &[f64],
    ) -> Result<Vec<Timestep>> {
        // Where α = 0, s is infinite, and the other steps begin one timestep further.
        let noisiest = if schedule.alpha(first) > 0.0 { first } else { first - 1.0 };
        // s^(1/ρ) = e^(−λ/ρ)
        let [from, until] = [noisiest, last].map(|t| (-half_log_snr(schedule, t) / RHO).exp());
        let place = |&share: &f64| match share {
            0.0 => first,
            1.0 => last,
            share => time_of(schedule, -RHO * (from + (until - from) * share).ln(), (noisiest, last)),
        };
        Ok(shares.iter().map(place).collect())
    }
}
