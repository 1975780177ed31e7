//! Heun's method on the probability flow (Karras et al., arXiv 2206.00364, algorithm 1 without churn): with y = x/α and
//! s = σ/α the flow of every schedule is dy/ds = ε(α y, t(s)).
//!
//! Two evaluations a step; one that is left over is an Euler step at the end.

use super::batch::{Batch, combine};
use super::dpm_solver::deal_second;
use super::{Member, Sampler, Step};
use crate::error::Result;
use tch::Tensor;

pub(super) const MEMBER: Member = Member {
    name: "heun",
    parameters: &[],
    about: "second order in σ/α, 2 evaluations a step (arXiv 2206.00364)",
    build: |_| Ok(Box::new(Heun)),
};

#[derive(Debug)]
struct Heun;

impl Sampler for Heun {
    fn name(&self) -> String {
        MEMBER.name.into()
    }

    fn order(&self) -> Option<u32> {
        Some(2)
    }

    fn deal(&self, budget: usize) -> Vec<usize> {
        deal_second(budget)
    }

    fn starts_without_signal(&self) -> bool {
        false
    }

    fn clips_by_default(&self) -> bool {
        false
    }

    fn step(&self, batch: &mut Batch, x: &Tensor, step: &Step) -> Result<Tensor> {
        let schedule = batch.schedule();
        let Step { t_cur, t_next, evaluations } = *step;
        let (alpha, alpha_next) = (schedule.alpha(t_cur), schedule.alpha(t_next));
        // s_next − s, below 0
        let ds = schedule.sigma(t_next) / alpha_next - schedule.sigma(t_cur) / alpha;
        let d_cur = batch.predict(x, t_cur)?.epsilon;
        // y_next = y + (s_next − s) d
        let x_next = combine(&[(alpha_next / alpha, x), (alpha_next * ds, &d_cur)])?;
        if evaluations == 1 {
            return Ok(x_next);
        }
        // y_next = y + (s_next − s) (d + d′)/2
        let d_next = batch.predict(&x_next, t_next)?.epsilon;
        let half = 0.5 * alpha_next * ds;
        combine(&[(alpha_next / alpha, x), (half, &d_cur), (half, &d_next)])
    }
}
