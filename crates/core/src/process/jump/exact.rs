//! The exact law of a finite data set on all states, of up to [`MOST_STATES`].
//!
//! With g(x) = R(x) − out(x) = ∂ ln q(x)/∂σ (the forward equation, q̇(x) = Σ_y q(y) Q(y, x) − out(x) q(x)):
//! ∂ ln r_y/∂σ = g(y) − g(x), ∂ ln R/∂σ = Σ_y p_y g(y) − g(x), and the jump law moves by ½ Σ_y p_y |g(y) − Σ p g|
//! in total variation. Sums are of positive terms but for these differences.

use super::{Graph, Kernel};
use crate::error::{Error, Result};

/// Joint states of all positions at most: 16 bits.
pub const MOST_STATES: usize = 1 << 16;

/// The law of the data on all states, numbered with the first position as the lowest digit.
#[derive(Debug, Clone)]
pub struct Exact {
    graph: Graph,
    positions: usize,
    /// q_0.
    clean: Vec<f64>,
}

/// The law at one σ.
#[derive(Debug, Clone)]
pub struct AtSigma<'a> {
    law: &'a Exact,
    /// q of every state; 0 where it is not reached.
    pub q: Vec<f64>,
    /// R of every state per unit of σ; 0 where it is not reached.
    pub rates: Vec<f64>,
    /// g.
    growth: Vec<f64>,
}

/// An expectation over q, with what is left of its law.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expectation {
    /// The mean.
    pub mean: f64,
    /// The mean square.
    pub mean_square: f64,
    /// The 5, 50, 95 and 99.9 % quantiles.
    pub quantiles: [f64; 4],
    /// The largest over all states that are reached: the supremum.
    pub sup: f64,
}

impl Exact {
    /// Of rows of symbols, each as likely as the others.
    ///
    /// # Errors
    /// There are more than [`MOST_STATES`], or a symbol that the graph does not have.
    pub fn new<'r>(graph: Graph, rows: impl Iterator<Item = &'r [f32]>, positions: usize) -> Result<Self> {
        let states = u32::try_from(positions).ok().and_then(|n| graph.states().checked_pow(n));
        let Some(states) = states.filter(|states| *states <= MOST_STATES) else {
            return Err(Error::unsupported(
                format!("the exact law of {positions} positions of {} symbols each", graph.states()),
                format!("all states are enumerated, {MOST_STATES} at most: 16 bits, or 10 positions of 3 symbols"),
                "Use a part of the positions, or `measure` with a trained network.",
            ));
        };
        let mut law = Exact { graph, positions, clean: vec![0.0; states] };
        let mut count = 0.0;
        for row in rows {
            let state = law.state(row)?;
            law.clean[state] += 1.0;
            count += 1.0;
        }
        law.clean.iter_mut().for_each(|weight| *weight /= count);
        Ok(law)
    }

    /// The number of a state.
    ///
    /// # Errors
    /// There is a symbol that the graph does not have.
    pub fn state(&self, symbols: &[f32]) -> Result<usize> {
        let base = self.graph.states();
        symbols.iter().rev().try_fold(0, |number, &symbol| {
            if symbol >= 0.0 && symbol.fract() == 0.0 && (symbol as usize) < base {
                return Ok(number * base + symbol as usize);
            }
            let problem = format!("{symbol} is no symbol of this process, which has 0 to {}", base - 1);
            Err(Error::mismatch(problem, "Give whole numbers in that range, with --scale none."))
        })
    }

    /// Positions of a state.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// The graph of each position.
    pub fn graph(&self) -> Graph {
        self.graph
    }

    /// The law at σ.
    pub fn at(&self, sigma: f64) -> AtSigma<'_> {
        let kernel = self.graph.kernel(sigma);
        let q = (0..self.positions).fold(self.clean.clone(), |q, position| self.noised(q, position, &kernel));
        let inflow = self.inflow(&q);
        let rates: Vec<f64> =
            inflow.iter().zip(&q).map(|(inflow, q)| if *q > 0.0 { inflow / q } else { 0.0 }).collect();
        let growth = rates.iter().enumerate().map(|(x, rate)| rate - self.outflow(x)).collect();
        AtSigma { law: self, q, rates, growth }
    }

    /// q after one position was noised.
    fn noised(&self, mut q: Vec<f64>, position: usize, kernel: &Kernel) -> Vec<f64> {
        let Kernel { stays, jumps } = *kernel;
        let others = (self.graph.symbols() - 1) as f64;
        self.fibres(position, |at| match self.graph.mask() {
            Some(mask) => {
                let clean: f64 = (0..mask).map(|a| q[at(a)]).sum();
                (0..mask).for_each(|a| q[at(a)] *= stays);
                q[at(mask)] += jumps * clean;
            }
            None => {
                let before: Vec<f64> = (0..self.graph.symbols()).map(|a| q[at(a)]).collect();
                for (a, others_there) in all_but_one(&before).into_iter().enumerate() {
                    q[at(a)] = stays * before[a] + jumps / others * others_there;
                }
            }
        });
        q
    }

    /// Σ_y w(y) Q(y, x) over the y from which x is reached by one jump.
    fn inflow(&self, w: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; w.len()];
        let rate = self.graph.rate();
        for position in 0..self.positions {
            self.fibres(position, |at| match self.graph.mask() {
                Some(mask) => sums[at(mask)] += rate * (0..mask).map(|a| w[at(a)]).sum::<f64>(),
                None => {
                    let along: Vec<f64> = (0..self.graph.symbols()).map(|a| w[at(a)]).collect();
                    let others = all_but_one(&along).into_iter().enumerate();
                    others.for_each(|(a, sum)| sums[at(a)] += rate * sum);
                }
            });
        }
        sums
    }

    /// Calls `f` for the states that differ at one position only, all of them in turn: its argument gives the number of the
    /// one with a symbol there.
    fn fibres(&self, position: usize, mut f: impl FnMut(&dyn Fn(usize) -> usize)) {
        let base = self.graph.states();
        let stride = base.pow(position as u32);
        for block in (0..self.clean.len()).step_by(stride * base) {
            (block..block + stride).for_each(|first| f(&|symbol| first + symbol * stride));
        }
    }

    /// The symbol of a state at a position.
    pub fn symbol(&self, state: usize, position: usize) -> usize {
        let base = self.graph.states();
        state / base.pow(position as u32) % base
    }

    /// The rate at which the forward process leaves a state, per unit of σ.
    fn outflow(&self, state: usize) -> f64 {
        let others = (self.graph.symbols() - 1) as f64;
        match self.graph.mask() {
            Some(mask) => (0..self.positions).filter(|&position| self.symbol(state, position) != mask).count() as f64,
            None => self.positions as f64 * others * self.graph.rate(),
        }
    }
}

impl AtSigma<'_> {
    /// The jump law of a state, by position and symbol of the clean data; zeros where it cannot jump.
    pub fn jump_law(&self, state: usize) -> Vec<f64> {
        self.by_jump(state).into_iter().map(|jump| jump.map_or(0.0, |(p, _)| p)).collect()
    }

    /// Its ∂/∂σ. Under masking it is the posterior of the clean symbols, which does not move.
    pub fn jump_law_rate(&self, state: usize) -> Vec<f64> {
        let jumps = self.by_jump(state);
        if self.law.graph.mask().is_some() {
            return vec![0.0; jumps.len()];
        }
        let mean: f64 = jumps.iter().flatten().map(|(p, g)| p * g).sum();
        jumps.into_iter().map(|jump| jump.map_or(0.0, |(p, g)| p * (g - mean))).collect()
    }

    /// ½ Σ_y |∂p_y/∂σ|: its speed in total variation.
    pub fn jump_law_speed(&self, state: usize) -> f64 {
        0.5 * self.jump_law_rate(state).iter().map(|rate| rate.abs()).sum::<f64>()
    }

    /// ∂ ln R/∂σ; 0 where it cannot jump.
    pub fn log_rate_rate(&self, state: usize) -> f64 {
        if self.rates[state] == 0.0 {
            return 0.0;
        }
        self.by_jump(state).into_iter().flatten().map(|(p, g)| p * g).sum::<f64>() - self.growth[state]
    }

    /// p_y and g(y) for every symbol of the clean data at every position; `None` for the state itself, and where no jump
    /// leads.
    fn by_jump(&self, state: usize) -> Vec<Option<(f64, f64)>> {
        let Exact { graph, positions, .. } = *self.law;
        let (base, total) = (graph.states(), self.rates[state] * self.q[state]);
        let mut jumps = Vec::with_capacity(positions * graph.symbols());
        for position in 0..positions {
            let (own, stride) = (self.law.symbol(state, position), base.pow(position as u32));
            for symbol in 0..graph.symbols() {
                let leads = symbol != own && graph.mask().is_none_or(|mask| own == mask) && total > 0.0;
                let y = state - own * stride + symbol * stride;
                jumps.push(leads.then(|| (graph.rate() * self.q[y] / total, self.growth[y])));
            }
        }
        jumps
    }

    /// Mean, quantiles and supremum of a function of states over q.
    pub fn expectation(&self, f: impl Fn(usize) -> f64) -> Expectation {
        let reached = self.q.iter().enumerate().filter(|(_, q)| **q > 0.0);
        let mut values: Vec<(f64, f64)> = reached.map(|(state, q)| (f(state), *q)).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let quantile = |wanted: f64| {
            let mut below = 0.0;
            let reached = values.iter().find(|(_, q)| {
                below += q;
                below >= wanted
            });
            reached.or(values.last()).map_or(f64::NAN, |(value, _)| *value)
        };
        Expectation {
            mean: values.iter().map(|(value, q)| q * value).sum(),
            mean_square: values.iter().map(|(value, q)| q * value * value).sum(),
            quantiles: [0.05, 0.5, 0.95, 0.999].map(quantile),
            sup: values.last().map_or(f64::NAN, |(value, _)| *value),
        }
    }
}

/// For each of some numbers the sum of the others, without subtracting.
fn all_but_one(values: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; values.len()];
    let mut before = 0.0;
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = before;
        before += value;
    }
    let mut after = 0.0;
    for (sum, value) in sums.iter_mut().zip(values).rev() {
        *sum += after;
        after += value;
    }
    sums
}
