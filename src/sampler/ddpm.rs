//! Ancestral sampling (Ho et al., arXiv 2006.11239, eq. 7 and algorithm 2), on any grid: x_next ~ N(μ̃(x, x̂₀), Σ) with
//! the mean of q(x_next | x, x₀).
//!
//! Σ is β̃, the variance of that posterior (`small`, right for data of a single point), or that of q(x | x_next) (`large`,
//! right for data of unit variance). The last step, to x̂₀, adds no noise.

use super::batch::{Batch, combine};
use super::ddim::Transition;
use super::{Member, Parameters, Sampler, Step};
use crate::error::{Error, Result};
use tch::Tensor;

pub(super) const MEMBER: Member = Member {
    name: "ddpm",
    parameters: &[("variance", "small")],
    about: "ancestral, with the posterior variance small or large (arXiv 2006.11239)",
    build,
};

#[derive(Debug)]
struct Ddpm {
    large: bool,
}

fn build(parameters: &Parameters) -> Result<Box<dyn Sampler>> {
    let large = match parameters.text("variance") {
        "small" => false,
        "large" => true,
        other => {
            let next = "Such as ddpm:variance=large.";
            return Err(Error::argument("the sampler's variance", other, "it is small or large", next));
        }
    };
    Ok(Box::new(Ddpm { large }))
}

impl Sampler for Ddpm {
    fn name(&self) -> String {
        if self.large { "ddpm:variance=large".into() } else { "ddpm".into() }
    }

    fn order(&self) -> Option<u32> {
        None
    }

    fn step(&self, batch: &mut Batch, x: &Tensor, step: &Step) -> Result<Tensor> {
        let schedule = batch.schedule();
        let Step { t_cur, t_next, .. } = *step;
        let x0 = batch.predict(x, t_cur)?.x0;
        let noise = batch.noise(t_cur)?;
        let Transition { forward, posterior } = Transition::new(schedule, t_cur, t_next);
        let (alpha_next, sigma_next, sigma) = (schedule.alpha(t_next), schedule.sigma(t_next), schedule.sigma(t_cur));
        let variance = if self.large { forward } else { posterior };
        // μ̃ = (α_next σ²_{t|next}/σ²) x̂₀ + ((α/α_next) σ_next²/σ²) x
        let of_x0 = alpha_next * forward / (sigma * sigma);
        let of_x = schedule.alpha(t_cur) / alpha_next * (sigma_next / sigma).powi(2);
        combine(&[(of_x0, &x0), (of_x, x), (variance.sqrt(), &noise)])
    }
}
