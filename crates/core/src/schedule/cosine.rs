//! Cosine ᾱ (Nichol & Dhariwal, arXiv 2102.09672, eq. 17): f(u) = cos²((u + s)/(1 + s)·π/2), β_t = 1 − f((t+1)/T)/f(t/T),
//! clipped at `max-beta`.

use super::{Built, Member, Parameters, Table};
use crate::error::Result;
use std::f64::consts::FRAC_PI_2;

pub(super) const MEMBER: Member = Member {
    name: "cosine",
    parameters: &[("s", "0.008"), ("max-beta", "0.999")],
    about: "ᾱ a squared cosine, β clipped (improved DDPM)",
    build,
};

fn build(parameters: &Parameters) -> Result<Built> {
    let (s, max_beta, timesteps) = (parameters.number("s")?, parameters.number("max-beta")?, parameters.timesteps()?);
    let f = |u: f64| ((u + s) / (1.0 + s) * FRAC_PI_2).cos().powi(2);
    Ok(Built::Table(Table::from_betas(&betas_of(f, timesteps, max_beta))?))
}

/// β_t = min(1 − f((t+1)/T)/f(t/T), max_beta) for a decreasing f on [0, 1].
pub(super) fn betas_of(f: impl Fn(f64) -> f64, timesteps: usize, max_beta: f64) -> Vec<f64> {
    let at = |t: usize| f(t as f64 / timesteps as f64);
    (0..timesteps).map(|t| (1.0 - at(t + 1) / at(t)).min(max_beta)).collect()
}
