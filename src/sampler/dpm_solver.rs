//! DPM-Solver-1, -2 and -3 (Lu et al., arXiv 2206.00927, eq. 3.7 and algorithms 1 and 2): the linear part of the
//! probability flow is solved exactly in λ = ln(α/σ), and ε̂ is expanded in it. With h = λ_next − λ_cur a step of order k
//! takes k evaluations, the inner ones at the real timesteps of λ_cur + r h.
//!
//! Where the evaluations cannot be divided by k the last steps are of lower order, and so are the last two of order 3
//! where they can, as the authors have it: 9 are 3 + 3 + 2 + 1.

use super::batch::{Batch, Predicted, combine};
use super::log_snr::{half_log_snr, time_of};
use super::{Member, Parameters, Sampler, Step};
use crate::error::Result;
use crate::schedule::NoiseSchedule;
use crate::time::Timestep;
use tch::Tensor;

pub(super) const FIRST: Member = Member {
    name: "dpm-solver-1",
    parameters: &[],
    about: "first order in log-SNR; the same as ddim (arXiv 2206.00927)",
    build: |_: &Parameters| Ok(Box::new(DpmSolver { order: 1 })),
};

pub(super) const SECOND: Member = Member {
    name: "dpm-solver-2",
    parameters: &[],
    about: "second order in log-SNR, 2 evaluations a step (arXiv 2206.00927)",
    build: |_: &Parameters| Ok(Box::new(DpmSolver { order: 2 })),
};

pub(super) const THIRD: Member = Member {
    name: "dpm-solver-3",
    parameters: &[],
    about: "third order in log-SNR, 3 evaluations a step (arXiv 2206.00927)",
    build: |_: &Parameters| Ok(Box::new(DpmSolver { order: 3 })),
};

#[derive(Debug)]
struct DpmSolver {
    order: u32,
}

/// A step in λ.
struct Span<'a> {
    schedule: &'a dyn NoiseSchedule,
    t_cur: Timestep,
    t_next: Timestep,
    /// h = λ_next − λ_cur, above 0.
    h: f64,
}

impl<'a> Span<'a> {
    fn new(schedule: &'a dyn NoiseSchedule, step: &Step) -> Self {
        let Step { t_cur, t_next, .. } = *step;
        let h = half_log_snr(schedule, t_next) - half_log_snr(schedule, t_cur);
        Span { schedule, t_cur, t_next, h }
    }

    /// The timestep of λ_cur + r h.
    fn inner(&self, r: f64) -> Timestep {
        let lambda = half_log_snr(self.schedule, self.t_cur) + r * self.h;
        time_of(self.schedule, lambda, (self.t_cur, self.t_next))
    }

    /// (α_t/α_cur) x − σ_t (e^{rh} − 1) ε − σ_t Σ factor · D, at the timestep t of λ_cur + r h.
    fn at(&self, t: Timestep, r: f64, x: &Tensor, epsilon: &Tensor, more: &[(f64, &Tensor)]) -> Result<Tensor> {
        let (alpha, sigma) = (self.schedule.alpha(t), self.schedule.sigma(t));
        let mut terms = vec![(alpha / self.schedule.alpha(self.t_cur), x), (-sigma * (r * self.h).exp_m1(), epsilon)];
        terms.extend(more.iter().map(|(factor, tensor)| (-sigma * factor, *tensor)));
        combine(&terms)
    }
}

/// (e^{rh} − 1)/(rh) − 1.
fn phi(rh: f64) -> f64 {
    rh.exp_m1() / rh - 1.0
}

/// Algorithm 1 with r₁ = 1/2: x_next = (α_next/α_cur) x − σ_next (e^h − 1) ε(u, s₁).
fn second(batch: &mut Batch, span: &Span, x: &Tensor, epsilon: &Tensor) -> Result<Tensor> {
    let s1 = span.inner(0.5);
    let u = span.at(s1, 0.5, x, epsilon, &[])?;
    let Predicted { epsilon: epsilon_1, .. } = batch.predict(&u, s1)?;
    span.at(span.t_next, 1.0, x, &epsilon_1, &[])
}

/// Algorithm 2 with r₁ = 1/3, r₂ = 2/3.
fn third(batch: &mut Batch, span: &Span, x: &Tensor, epsilon: &Tensor) -> Result<Tensor> {
    let (r1, r2, h) = (1.0 / 3.0, 2.0 / 3.0, span.h);
    let (s1, s2) = (span.inner(r1), span.inner(r2));
    let u1 = span.at(s1, r1, x, epsilon, &[])?;
    // D₁ = ε(u₁, s₁) − ε
    let d1 = combine(&[(1.0, &batch.predict(&u1, s1)?.epsilon), (-1.0, epsilon)])?;
    // u₂ = … − σ_{s₂} (r₂/r₁) ((e^{r₂h} − 1)/(r₂h) − 1) D₁
    let u2 = span.at(s2, r2, x, epsilon, &[(r2 / r1 * phi(r2 * h), &d1)])?;
    // D₂ = ε(u₂, s₂) − ε
    let d2 = combine(&[(1.0, &batch.predict(&u2, s2)?.epsilon), (-1.0, epsilon)])?;
    // x_next = … − (σ_next/r₂) ((e^h − 1)/h − 1) D₂
    span.at(span.t_next, 1.0, x, epsilon, &[(phi(h) / r2, &d2)])
}

/// Steps of 3, then what is left as lower orders: 3k as … 2 1, 3k + 1 as … 1, 3k + 2 as … 2.
fn deal_third(budget: usize) -> Vec<usize> {
    let (whole, end): (usize, &[usize]) = match budget % 3 {
        0 if budget == 0 => (0, &[]),
        0 => (budget / 3 - 1, &[2, 1]),
        1 => (budget / 3, &[1]),
        _ => (budget / 3, &[2]),
    };
    std::iter::repeat_n(3, whole).chain(end.iter().copied()).collect()
}

/// Steps of 2, and one of 1 at the end where one is left.
pub(super) fn deal_second(budget: usize) -> Vec<usize> {
    std::iter::repeat_n(2, budget / 2).chain(std::iter::repeat_n(1, budget % 2)).collect()
}

impl Sampler for DpmSolver {
    fn name(&self) -> String {
        format!("dpm-solver-{}", self.order)
    }

    fn order(&self) -> Option<u32> {
        Some(self.order)
    }

    fn deal(&self, budget: usize) -> Vec<usize> {
        match self.order {
            1 => vec![1; budget],
            2 => deal_second(budget),
            _ => deal_third(budget),
        }
    }

    fn starts_without_signal(&self) -> bool {
        false
    }

    fn clips_by_default(&self) -> bool {
        self.order == 1
    }

    fn step(&self, batch: &mut Batch, x: &Tensor, step: &Step) -> Result<Tensor> {
        let span = Span::new(batch.schedule(), step);
        let epsilon = batch.predict(x, step.t_cur)?.epsilon;
        match step.evaluations {
            1 => span.at(step.t_next, 1.0, x, &epsilon, &[]),
            2 => second(batch, &span, x, &epsilon),
            _ => third(batch, &span, x, &epsilon),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_dealt_as_the_authors_do() {
        let third: Vec<Vec<usize>> = (0..8).map(deal_third).collect();
        let expected: [&[usize]; 8] = [&[], &[1], &[2], &[2, 1], &[3, 1], &[3, 2], &[3, 2, 1], &[3, 3, 1]];
        assert_eq!(third, expected);
        assert_eq!((deal_second(4), deal_second(5), deal_second(0)), (vec![2, 2], vec![2, 2, 1], vec![]));
    }
}
