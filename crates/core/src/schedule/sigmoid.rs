//! Two schedules that go by the name of the logistic function S.
//!
//! `sigmoid` (Jabri et al., arXiv 2212.11972): ᾱ(u) = (S(end/τ) − S((start + u(end − start))/τ))/(S(end/τ) − S(start/τ)),
//! discretised through clipped β like the cosine. `sigmoid-beta` (GeoDiff, as in diffusers): β_t itself is
//! logistic, β_t = S(−6 … 6)·(β_end − β_start) + β_start.

use super::cosine::betas_of;
use super::linear::linspace;
use super::{Built, Member, Parameters, Table};
use crate::error::Result;

pub(super) const MEMBER: Member = Member {
    name: "sigmoid",
    parameters: &[("start", "-3"), ("end", "3"), ("tau", "1"), ("max-beta", "0.999")],
    about: "ᾱ logistic in t (Jabri et al.)",
    build,
};

pub(super) const BETAS: Member = Member {
    name: "sigmoid-beta",
    parameters: &[("beta-start", "0.0001"), ("beta-end", "0.02")],
    about: "β logistic in t (GeoDiff; `sigmoid` in diffusers)",
    build: build_betas,
};

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn build(parameters: &Parameters) -> Result<Built> {
    let (start, end) = (parameters.number("start")?, parameters.number("end")?);
    let (tau, max_beta) = (parameters.number("tau")?, parameters.number("max-beta")?);
    let (low, high) = (logistic(start / tau), logistic(end / tau));
    let alpha_bar = |u: f64| (high - logistic((start + u * (end - start)) / tau)) / (high - low);
    Ok(Built::Table(Table::from_betas(&betas_of(alpha_bar, parameters.timesteps()?, max_beta))?))
}

fn build_betas(parameters: &Parameters) -> Result<Built> {
    let (start, end) = (parameters.number("beta-start")?, parameters.number("beta-end")?);
    let betas: Vec<f64> =
        linspace(-6.0, 6.0, parameters.timesteps()?).into_iter().map(|x| logistic(x) * (end - start) + start).collect();
    Ok(Built::Table(Table::from_betas(&betas)?))
}
