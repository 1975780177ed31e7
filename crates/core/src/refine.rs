//! `--timesteps auto`: more timesteps where straight lines between those measured are not close enough to the curve.
//!
//! A gap between two timesteps is checked by measuring its middle. Where that lies further than the tolerance from the
//! line between the ends, by more than the noise of the three, both halves are checked as well, down to single steps.
//! Gaps of two steps are checked only where the curve bends on the grid so far, by its second difference.
//!
//! What is measured next follows from the first grid and the numbers alone, so that an interrupted run goes on alike.

use crate::time::Timestep;
use serde::{Deserialize, Serialize};

/// When to add timesteps, and when to stop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Refinement {
    /// Relative distance between curve and line that is close enough.
    pub tolerance: f64,
    /// Timesteps in all at most.
    pub most: usize,
    /// End of the window near 0, whose gaps come first.
    pub window: Timestep,
}

/// One measured point of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// t in steps.
    pub t: Timestep,
    /// The curve's value.
    pub mean: f64,
    /// Its standard error; 0 of a closed form.
    pub std_error: f64,
}

/// How well straight lines between the timesteps stand for the curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    /// Relative distance that counted as close enough, beyond twice the standard error.
    pub tolerance: f64,
    /// Gaps that were checked.
    pub checked: usize,
    /// How many of them lay within the tolerance.
    pub within: usize,
    /// Gaps that are known or likely to be further off and were not refined, since `most` timesteps were reached.
    pub unresolved: Vec<(Timestep, Timestep)>,
    /// The largest relative distance seen next to an unresolved gap.
    pub worst: Option<f64>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Measure these, in this order.
    Measure(Vec<Timestep>),
    /// Nothing.
    Done(Resolution),
}

/// Where a curve is below this part of its largest value, distances are taken relative to that.
const FLOOR: f64 = 0.02;
/// Standard errors that a distance may be off by.
const NOISE: f64 = 2.0;

/// A gap whose middle is to be measured, and how far off its surroundings were.
#[derive(Debug, Clone, Copy)]
struct Gap {
    from: Timestep,
    until: Timestep,
    suspicion: f64,
}

impl Gap {
    fn middle(&self) -> Timestep {
        ((self.from + self.until) / 2.0).floor()
    }
}

impl Refinement {
    /// The next step, given the first grid and what has been measured of all curves by now; `curves` ascend in t.
    pub fn next(&self, first: &[Timestep], curves: &[Vec<Known>]) -> Next {
        // Decisions rest on what was known at the time, not on what was measured since.
        let on_grid = |curve: &Vec<Known>| first.iter().filter_map(|&t| at(curve, t)).collect::<Vec<Known>>();
        let grid: Vec<Vec<Known>> = curves.iter().map(on_grid).collect();
        let floors: Vec<f64> = grid.iter().map(|curve| FLOOR * largest(curve)).collect();
        let mut gaps: Vec<Gap> = first.windows(2).filter_map(|ends| self.first_gap(ends[0], ends[1], &grid)).collect();
        let (mut count, mut checked, mut within) = (first.len(), 0, 0);
        loop {
            // Near 0 first, and what is furthest off first.
            let near = |gap: &Gap| gap.from < self.window;
            gaps.sort_by(|a, b| near(b).cmp(&near(a)).then(b.suspicion.total_cmp(&a.suspicion)));
            let unresolved = gaps.split_off(gaps.len().min(self.most.saturating_sub(count)));
            let unknown = |gap: &&Gap| curves.iter().any(|curve| !curve.iter().any(|known| known.t == gap.middle()));
            let mut missing: Vec<Timestep> = gaps.iter().filter(unknown).map(Gap::middle).collect();
            if !missing.is_empty() {
                missing.sort_by(f64::total_cmp);
                return Next::Measure(missing);
            }
            count += gaps.len();
            checked += gaps.len();
            let mut halves = Vec::new();
            for gap in &gaps {
                let distance = distance(gap, curves, &floors);
                if distance <= self.tolerance {
                    within += 1;
                    continue;
                }
                let parts = [(gap.from, gap.middle()), (gap.middle(), gap.until)];
                let wide = parts.into_iter().filter(|(from, until)| until - from >= 2.0);
                halves.extend(wide.map(|(from, until)| Gap { from, until, suspicion: distance }));
            }
            if halves.is_empty() || !unresolved.is_empty() {
                return Next::Done(self.resolution(checked, within, &[&halves[..], &unresolved].concat()));
            }
            gaps = halves;
        }
    }

    fn resolution(&self, checked: usize, within: usize, left: &[Gap]) -> Resolution {
        let mut unresolved: Vec<(Timestep, Timestep)> = left.iter().map(|gap| (gap.from, gap.until)).collect();
        unresolved.sort_by(|a, b| a.0.total_cmp(&b.0));
        let worst = left.iter().map(|gap| gap.suspicion).reduce(f64::max);
        Resolution { tolerance: self.tolerance, checked, within, unresolved, worst }
    }

    /// Wide gaps are always checked, those of two steps where the grid bends there.
    fn first_gap(&self, from: Timestep, until: Timestep, curves: &[Vec<Known>]) -> Option<Gap> {
        let bend = curves.iter().map(|curve| bend(curve, from, until)).fold(0.0, f64::max);
        let wide = until - from > 2.0;
        (wide || until - from == 2.0 && bend > self.tolerance).then_some(Gap { from, until, suspicion: bend })
    }
}

/// How far the middle lies from the line between the ends, relatively, for the worst of all curves.
fn distance(gap: &Gap, curves: &[Vec<Known>], floors: &[f64]) -> f64 {
    let of = |(curve, floor): (&Vec<Known>, &f64)| {
        let (a, m, b) = (at(curve, gap.from)?, at(curve, gap.middle())?, at(curve, gap.until)?);
        let share = (m.t - a.t) / (b.t - a.t);
        let line = a.mean + share * (b.mean - a.mean);
        let noise = [m.std_error, (1.0 - share) * a.std_error, share * b.std_error];
        let noise = NOISE * noise.iter().map(|error| error * error).sum::<f64>().sqrt();
        Some(relative((m.mean - line).abs() - noise, m.mean, *floor))
    };
    curves.iter().zip(floors).filter_map(of).fold(0.0, f64::max)
}

/// The error of a line over [from, until] that second differences at its ends suggest: |f″| h²/8.
fn bend(curve: &[Known], from: Timestep, until: Timestep) -> f64 {
    let i = curve.partition_point(|known| known.t < from);
    let h = until - from;
    let centres = [i, i + 1].into_iter().filter(|&i| i > 0 && i + 1 < curve.len());
    let bends = centres.map(|i| {
        let [a, m, b] = [curve[i - 1], curve[i], curve[i + 1]];
        let second = 2.0 * ((b.mean - m.mean) / (b.t - m.t) - (m.mean - a.mean) / (m.t - a.t)) / (b.t - a.t);
        let noise = NOISE * (a.std_error + m.std_error + b.std_error) / 4.0;
        relative(second.abs() * h * h / 8.0 - noise, m.mean, FLOOR * largest(curve))
    });
    bends.fold(0.0, f64::max)
}

fn relative(distance: f64, value: f64, floor: f64) -> f64 {
    let scale = value.max(floor);
    if scale > 0.0 { distance.max(0.0) / scale } else { 0.0 }
}

fn largest(curve: &[Known]) -> f64 {
    curve.iter().map(|known| known.mean).fold(0.0, f64::max)
}

fn at(curve: &[Known], t: Timestep) -> Option<Known> {
    let i = curve.partition_point(|known| known.t < t);
    curve.get(i).copied().filter(|known| known.t == t && known.mean.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs to the end on a known function; gives all timesteps and the resolution.
    fn run(most: usize, first: &[f64], f: impl Fn(f64) -> f64) -> (Vec<f64>, Resolution) {
        let rule = Refinement { tolerance: 0.05, most, window: 100.0 };
        let mut measured = first.to_vec();
        loop {
            measured.sort_by(f64::total_cmp);
            let known = |t: &f64| Known { t: *t, mean: f(*t), std_error: 0.0 };
            match rule.next(first, &[measured.iter().map(known).collect()]) {
                Next::Measure(more) => {
                    assert!(!more.is_empty() && more.iter().all(|t| !measured.contains(t)), "{more:?}");
                    measured.extend(more);
                }
                Next::Done(resolution) => return (measured, resolution),
            }
        }
    }

    fn first() -> Vec<f64> {
        (0..20).chain((20..=100).step_by(2)).chain((145..1000).step_by(45)).map(f64::from).collect()
    }

    /// The largest relative distance between the curve and straight lines, over every step.
    fn worst(grid: &[f64], f: &impl Fn(f64) -> f64) -> f64 {
        let error = |t: f64| {
            let i = grid.partition_point(|known| *known <= t).clamp(1, grid.len() - 1);
            let (a, b) = (grid[i - 1], grid[i]);
            ((f(a) + (f(b) - f(a)) * (t - a) / (b - a)) / f(t) - 1.0).abs()
        };
        // By the total order, in which NaN is above all, so that one is no small error.
        (0..=grid[grid.len() - 1] as u64).map(|t| error(t as f64)).max_by(f64::total_cmp).unwrap()
    }

    #[test]
    fn a_smooth_curve_costs_little_and_is_within_the_tolerance_everywhere() {
        let f = |t: f64| 1.0 / (t + 1.0).sqrt();
        let (grid, resolution) = run(1000, &first(), f);
        assert!(worst(&grid, &f) < 0.05, "{}", worst(&grid, &f));
        assert!(resolution.unresolved.is_empty() && grid.len() < first().len() + 30, "{}", grid.len());
        // Near 0 nothing was added: the grid is fine enough there.
        assert!(grid.iter().filter(|t| **t < 100.0).count() == first().iter().filter(|t| **t < 100.0).count());
    }

    #[test]
    fn a_peak_is_refined_where_it_is() {
        let f = |t: f64| 1.0 + 4.0 * (-((t - 400.0) / 25.0).powi(2)).exp();
        let (grid, resolution) = run(1000, &first(), f);
        assert!(worst(&grid, &f) < 0.055 && resolution.unresolved.is_empty(), "{}", worst(&grid, &f));
        let between = |lo: f64, hi: f64| grid.iter().filter(|t| (lo..hi).contains(*t)).count();
        assert!(between(350.0, 450.0) > 4 * between(650.0, 750.0), "{grid:?}");
    }

    #[test]
    fn an_oscillation_near_zero_gets_every_step() {
        let f = |t: f64| 1.0 + if t < 101.0 { t.sin().abs() } else { 0.0 };
        let (grid, _) = run(1000, &first(), f);
        let measured = (20..100).filter(|t| grid.contains(&f64::from(*t))).count();
        // Few gaps look straight by chance.
        assert!(measured > 70, "{measured}");
    }

    #[test]
    fn what_is_not_resolved_is_said() {
        let f = |t: f64| 1.0 + t.sin().abs();
        let (grid, resolution) = run(150, &first(), f);
        assert!(grid.len() <= 150 && !resolution.unresolved.is_empty());
        assert!(resolution.worst.unwrap() > 0.05 && resolution.within < resolution.checked);
        // The window near 0 comes first.
        assert!(resolution.unresolved.iter().all(|gap| gap.0 >= 100.0), "{:?}", resolution.unresolved);
    }

    #[test]
    fn noise_is_no_reason_to_refine() {
        let rule = Refinement { tolerance: 0.05, most: 1000, window: 100.0 };
        let noisy = |t: f64| Known { t, mean: 1.0 + 0.1 * (t * 7.3).sin(), std_error: 0.1 };
        let curve: Vec<Known> = [0.0, 10.0, 20.0, 30.0, 40.0].map(noisy).into();
        let Next::Done(resolution) = rule.next(&[0.0, 20.0, 40.0], &[curve]) else { panic!("nothing is missing") };
        assert_eq!((resolution.checked, resolution.within), (2, 2));
    }

    #[test]
    fn zeros_and_missing_values_are_no_reason_either() {
        let rule = Refinement { tolerance: 0.05, most: 1000, window: 100.0 };
        let zero = |t: f64| Known { t, mean: if t == 20.0 { f64::NAN } else { 0.0 }, std_error: 0.0 };
        let curve: Vec<Known> = [0.0, 10.0, 20.0, 30.0, 40.0].map(zero).into();
        assert!(matches!(rule.next(&[0.0, 20.0, 40.0], &[curve]), Next::Done(_)));
    }

    fn known(t: f64, mean: f64, std_error: f64) -> Known {
        Known { t, mean, std_error }
    }

    /// f = 96 + t² at 0, 2, 4: f″ h²/8 = 1 of f(2) = 100.
    #[test]
    fn the_bend_of_a_parabola_is_its_error_between_two_points() {
        let curve: Vec<Known> = [0.0, 2.0, 4.0].map(|t| known(t, 96.0 + t * t, 0.0)).into();
        assert_eq!([bend(&curve, 0.0, 2.0), bend(&curve, 2.0, 4.0)], [0.01, 0.01]);
        // Twice (0.1 + 0.2 + 0.1)/4 may be noise.
        let noisy: Vec<Known> = curve.iter().zip([0.1, 0.2, 0.1]).map(|(k, e)| known(k.t, k.mean, e)).collect();
        assert!((bend(&noisy, 0.0, 2.0) - 0.008).abs() < 1e-15);
    }

    #[test]
    fn a_distance_is_relative_and_beyond_the_noise_of_all_three_points() {
        let gap = Gap { from: 0.0, until: 4.0, suspicion: 0.0 };
        let of = |errors: [f64; 3], floor: f64| {
            let curve = vec![known(0.0, 10.0, errors[0]), known(2.0, 12.0, errors[1]), known(4.0, 10.0, errors[2])];
            distance(&gap, &[curve], &[floor])
        };
        assert_eq!(of([0.0; 3], 0.0), 2.0 / 12.0);
        // Below the floor it is relative to the floor.
        assert_eq!(of([0.0; 3], 20.0), 0.1);
        // Twice the root of (0.3/2)² + 0² + (0.4/2)² is 0.5, and twice 0.25 at the middle as well.
        for errors in [[0.3, 0.0, 0.4], [0.0, 0.25, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.5]] {
            assert!((of(errors, 0.0) - 1.5 / 12.0).abs() < 1e-15, "{errors:?}: {}", of(errors, 0.0));
        }
        // Noise above the distance leaves nothing of it.
        assert_eq!(of([0.0, 9.0, 0.0], 0.0), 0.0);
    }

    #[test]
    fn unresolved_gaps_ascend_and_the_worst_is_the_furthest_off() {
        let rule = Refinement { tolerance: 0.05, most: 10, window: 100.0 };
        let gap = |from: f64, suspicion: f64| Gap { from, until: from + 2.0, suspicion };
        let found = rule.resolution(7, 3, &[gap(8.0, 0.1), gap(2.0, 0.3), gap(4.0, 0.2)]);
        assert_eq!((found.unresolved, found.worst), (vec![(2.0, 4.0), (4.0, 6.0), (8.0, 10.0)], Some(0.3)));
        assert_eq!(rule.resolution(7, 7, &[]).worst, None);
    }
}
