//! DPM-Solver++(2M) (Lu et al., arXiv 2211.01095, algorithm 2): second order with one evaluation a step. It expands x̂₀
//! instead of ε̂, in λ = ln(α/σ), and takes the slope from the step before; the first step is of first order.

use super::batch::{Batch, combine};
use super::log_snr::half_log_snr;
use super::{Member, Sampler, Step};
use crate::error::Result;
use tch::Tensor;

pub(super) const MEMBER: Member = Member {
    name: "dpm-solver++-2m",
    parameters: &[],
    about: "second order, 1 evaluation a step, from x̂₀ of two steps (arXiv 2211.01095)",
    build: |_| Ok(Box::new(DpmSolverPlusPlus2M)),
};

#[derive(Debug)]
struct DpmSolverPlusPlus2M;

impl Sampler for DpmSolverPlusPlus2M {
    fn name(&self) -> String {
        MEMBER.name.into()
    }

    fn order(&self) -> Option<u32> {
        Some(2)
    }

    fn clips_by_default(&self) -> bool {
        false
    }

    fn step(&self, batch: &mut Batch, x: &Tensor, step: &Step) -> Result<Tensor> {
        let schedule = batch.schedule();
        let Step { t_cur, t_next, .. } = *step;
        let x0 = batch.predict(x, t_cur)?.x0;
        let lambda = half_log_snr(schedule, t_cur);
        let h = half_log_snr(schedule, t_next) - lambda;
        // D = (1 + 1/(2r)) x̂₀ − 1/(2r) x̂₀_prev, r = h_prev/h; at λ = −∞ both h are infinite only where r is not needed.
        let slope = match &batch.previous {
            Some((t_prev, x0_prev)) => {
                let part = h / (2.0 * (lambda - half_log_snr(schedule, *t_prev)));
                combine(&[(1.0 + part, &x0), (-part, x0_prev)])?
            }
            None => x0.shallow_clone(),
        };
        batch.previous = Some((t_cur, x0));
        // x_next = (σ_next/σ_cur) x − α_next (e^{−h} − 1) D
        let (alpha_next, sigma_next) = (schedule.alpha(t_next), schedule.sigma(t_next));
        combine(&[(sigma_next / schedule.sigma(t_cur), x), (-alpha_next * (-h).exp_m1(), &slope)])
    }
}
