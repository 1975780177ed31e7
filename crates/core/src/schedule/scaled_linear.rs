//! β linear in its square root: β_t = (√β_start + (√β_end − √β_start)·t/(T−1))².
//!
//! The same formula goes by two names with two ranges: `quadratic` on DDPM's range, and `scaled-linear` on that of
//! latent diffusion (Rombach et al., arXiv 2112.10752).

use super::linear::linspace;
use super::{Built, Member, Parameters, Table};
use crate::error::Result;

pub(super) const QUADRATIC: Member = Member {
    name: "quadratic",
    parameters: &[("beta-start", "0.0001"), ("beta-end", "0.02")],
    about: "√β linear in t, on DDPM's range",
    build,
};

pub(super) const MEMBER: Member = Member {
    name: "scaled-linear",
    parameters: &[("beta-start", "0.00085"), ("beta-end", "0.012")],
    about: "√β linear in t, on latent diffusion's range",
    build,
};

fn build(parameters: &Parameters) -> Result<Built> {
    let (start, end) = (parameters.number("beta-start")?, parameters.number("beta-end")?);
    let roots = linspace(start.sqrt(), end.sqrt(), parameters.timesteps()?);
    let betas: Vec<f64> = roots.into_iter().map(|root| root * root).collect();
    Ok(Built::Table(Table::from_betas(&betas)?))
}
