//! Lipschitz mass: ∫K dt, how much a noise prediction changes over a stretch of time at most.
//!
//! K(t, t+1) is the mass of the step [t, t+1), jumps of a shared timestep included, and Σ K(s, s+1) over [t, t′) bounds
//! E‖ε(x, t) − ε(x, t′)‖ as far as the x_s of the steps between have the x of t. Steps that were not measured take the
//! straight line between their neighbours; within a step the mass grows evenly.

use crate::error::{Error, Result};
use crate::time::Timestep;

/// As many as a schedule may have.
const MOST_STEPS: f64 = 1e6;

/// The mass of the whole steps from the first measured timestep on.
#[derive(Debug, Clone, PartialEq)]
pub struct LipschitzMass {
    /// The first measured timestep.
    from: Timestep,
    /// Mass of each step, and whether it was measured.
    steps: Vec<(f64, bool)>,
    /// Σ of the steps before index i; one entry more than steps.
    before: Vec<f64>,
}

impl LipschitzMass {
    /// From pairs (t, K(t, t+1)) in ascending order of whole t, K per step; others are left out.
    ///
    /// # Errors
    ///
    /// There is no such pair, or a K that is negative or not finite.
    pub fn new(points: &[(Timestep, f64)]) -> Result<Self> {
        let known: Vec<(f64, f64)> = points.iter().copied().filter(|point| point.0.fract() == 0.0).collect();
        if known.iter().any(|point| !(point.1.is_finite() && point.1 >= 0.0)) {
            return Err(Error::mismatch("the curve holds a K that is negative or not finite", "Measure it again."));
        }
        let Some(&(from, _)) = known.first() else {
            return Err(Error::mismatch("the curve has no point at a whole timestep", "Measure with --dt 1."));
        };
        let last = known.last().map_or(from, |last| last.0);
        let ascends = known.windows(2).all(|pair| pair[0].0 < pair[1].0);
        // A file may claim any number; each step between takes memory.
        if !ascends || last - from > MOST_STEPS {
            let problem = format!(
                "the curve's timesteps do not ascend, or reach from {from} to {last}; they span up to {MOST_STEPS} steps"
            );
            return Err(Error::mismatch(problem, "Take the report as lipscope wrote it, or measure again."));
        }
        let mut steps = Vec::new();
        for pair in known.windows(2) {
            let ((left, at_left), (right, at_right)) = (pair[0], pair[1]);
            let between = |i: u64| at_left + (at_right - at_left) * i as f64 / (right - left);
            steps.extend((0..(right - left) as u64).map(|i| (between(i), i == 0)));
        }
        steps.extend(known.last().map(|last| (last.1, true)));
        let mut before = vec![0.0];
        for (mass, _) in &steps {
            before.push(before[before.len() - 1] + mass);
        }
        Ok(LipschitzMass { from, steps, before })
    }

    /// The first and the last time for which the mass is known.
    pub fn span(&self) -> (Timestep, Timestep) {
        (self.from, self.from + self.steps.len() as f64)
    }

    /// Mass between the beginning of the span and t, which is held within the span.
    pub fn until(&self, t: Timestep) -> f64 {
        let steps = (t - self.from).clamp(0.0, self.steps.len() as f64);
        let whole = steps.floor() as usize;
        let part = self.steps.get(whole).map_or(0.0, |(mass, _)| mass * steps.fract());
        self.before[whole] + part
    }

    /// Mass of [from, until), held within the span.
    pub fn between(&self, from: Timestep, until: Timestep) -> f64 {
        self.until(until) - self.until(from)
    }

    /// Whether every step of [from, until) was measured; `false` where the span does not hold it.
    pub fn is_measured(&self, from: Timestep, until: Timestep) -> bool {
        let (first, last) = self.span();
        let index = |t: Timestep| (t - first) as usize;
        first <= from && until <= last && self.steps[index(from)..index(until.ceil())].iter().all(|(_, known)| *known)
    }

    /// The first t with so much mass before it, between the ends of the span.
    pub fn time_of(&self, mass: f64) -> Timestep {
        let after = self.before.partition_point(|before| *before < mass);
        if after == 0 {
            return self.from;
        }
        let Some((step, _)) = self.steps.get(after - 1) else { return self.span().1 };
        self.from + (after - 1) as f64 + (mass - self.before[after - 1]) / step
    }

    /// Descending times between `first` and `last`: one for each share, with that share of the mass in between above it.
    ///
    /// # Errors
    ///
    /// There is no mass in between.
    pub fn descending(&self, first: Timestep, last: Timestep, shares: &[f64]) -> Result<Vec<Timestep>> {
        let total = self.between(last, first);
        if total <= 0.0 {
            let problem = format!("K is 0 between t = {last} and {first}, so that no steps can share it");
            return Err(Error::mismatch(problem, "Choose another --spacing."));
        }
        let place = |&share: &f64| match share {
            0.0 => first,
            1.0 => last,
            share => self.time_of(self.until(last) + total * (1.0 - share)).clamp(last, first),
        };
        Ok(shares.iter().map(place).collect())
    }

    /// `parts + 1` times that cut [from, until) into parts of equal mass.
    pub fn equal_parts(&self, from: Timestep, until: Timestep, parts: usize) -> Vec<Timestep> {
        let (first, total) = (self.until(from), self.between(from, until));
        let inner = (1..parts).map(|i| self.time_of(first + total * i as f64 / parts as f64).clamp(from, until));
        std::iter::once(from).chain(inner).chain(std::iter::once(until)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// K = t at 0, 3, 4, 9: the steps between lie on the line.
    fn line() -> LipschitzMass {
        LipschitzMass::new(&[0, 3, 4, 9].map(|t| (f64::from(t), f64::from(t)))).unwrap()
    }

    #[test]
    fn steps_that_were_not_measured_lie_on_a_line() {
        let mass = line();
        assert_eq!(mass.span(), (0.0, 10.0));
        assert_eq!((mass.until(10.0), mass.between(3.0, 5.0), mass.until(2.5)), (45.0, 7.0, 2.0));
        assert!(mass.is_measured(3.0, 5.0) && !mass.is_measured(0.0, 5.0) && !mass.is_measured(9.0, 11.0));
    }

    #[test]
    fn times_and_masses_invert_each_other() {
        let mass = line();
        for t in [0.5, 1.0, 3.25, 9.0, 10.0] {
            let found = mass.time_of(mass.until(t));
            // The first step has no mass: its end is where mass begins.
            assert!((found - if t <= 1.0 { 0.0 } else { t }).abs() < 1e-12, "{t}: {found}");
        }
    }

    #[test]
    fn parts_have_equal_mass() {
        let parts = line().equal_parts(1.0, 10.0, 5);
        assert_eq!((parts.len(), parts[0], parts[5]), (6, 1.0, 10.0));
        for pair in parts.windows(2) {
            assert!((line().between(pair[0], pair[1]) - 9.0).abs() < 1e-12, "{parts:?}");
        }
    }

    #[test]
    fn shares_are_taken_from_above() {
        let shares = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
        let times = line().descending(10.0, 1.0, &shares).unwrap();
        let mut parts = line().equal_parts(1.0, 10.0, 5);
        parts.reverse();
        assert!(times.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-12), "{times:?} {parts:?}");
        assert!(LipschitzMass::new(&[(0.0, 0.0), (9.0, 0.0)]).unwrap().descending(9.0, 0.0, &shares).is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(LipschitzMass::new(&[]).is_err());
        assert!(LipschitzMass::new(&[(0.0, f64::NAN)]).is_err());
        assert!(LipschitzMass::new(&[(0.5, 1.0)]).is_err());
    }
}
