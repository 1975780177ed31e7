//! Which timesteps are measured: `auto | all | 0..100 | 0..1000/10 | log:60 | 0,1,2,5 | 0..100,120..1000/40`.

use crate::error::{Error, Result};
use crate::time::Timestep;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// `--timesteps` as typed.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum TimestepSpec {
    /// Every step up to a fifth of the window near 0, every second one in the rest of it (the fastest sinusoid of a
    /// time embedding has a period of 2π steps), both sides of every boundary, and twenty beyond: the first grid, to
    /// which [`crate::refine`] adds.
    #[default]
    Auto,
    /// Every step of the grid.
    All,
    /// `from..until/step`, `until` excluded.
    Range {
        /// First timestep.
        from: Timestep,
        /// End, excluded.
        until: Timestep,
        /// Distance.
        step: Timestep,
    },
    /// So many integers evenly spaced in log(t + 1).
    Log(u64),
    /// As listed; fractions lie between grid indices.
    List(Vec<Timestep>),
    /// Ranges, and single timesteps between them.
    Several(Vec<TimestepSpec>),
}

/// What a spec is resolved against.
#[derive(Debug, Clone, Copy)]
pub struct Grid<'a> {
    /// T.
    pub timesteps: usize,
    /// Distance to t′ where a secant is measured, else 0.
    pub reach: f64,
    /// End of the window near 0.
    pub window: f64,
    /// Boundaries of shared sub-intervals.
    pub boundaries: &'a [Timestep],
}

const BEYOND: usize = 20;

/// Timesteps of a range at most.
const MOST_IN_RANGE: usize = 1_000_000;

impl TimestepSpec {
    /// Ascending, distinct timesteps, and how many of a range were left out because they have no t′ on the grid. A
    /// listed timestep off the grid is an error.
    pub fn resolve(&self, grid: &Grid) -> Result<(Vec<Timestep>, usize)> {
        let mut sorted = self.wanted(grid)?;
        sorted.sort_by(f64::total_cmp);
        sorted.dedup();
        let before = sorted.len();
        sorted.retain(|t| *t <= grid.last());
        if sorted.is_empty() {
            return Err(off_grid(&self.to_string(), grid));
        }
        let left_out = if *self == TimestepSpec::Auto { 0 } else { before - sorted.len() };
        Ok((sorted, left_out))
    }

    /// What is named, in any order; of a range also what has no t′ on the grid.
    fn wanted(&self, grid: &Grid) -> Result<Vec<Timestep>> {
        Ok(match self {
            TimestepSpec::Auto => auto(grid),
            TimestepSpec::All => (0..grid.timesteps).map(|t| t as f64).collect(),
            TimestepSpec::Range { from, until, step } => {
                if *until > grid.timesteps as f64 {
                    return Err(off_grid(&self.to_string(), grid));
                }
                // What rounding puts just before the end is the end.
                let end = until - 1e-9 * step;
                (0..MOST_IN_RANGE).map(|i| from + i as f64 * step).take_while(|t| *t < end).collect()
            }
            TimestepSpec::Log(count) => log_spaced(*count as usize, grid.last()),
            TimestepSpec::List(list) => {
                if let Some(t) = list.iter().find(|t| !(**t >= 0.0 && **t <= grid.last())) {
                    return Err(off_grid(&format!("{t}"), grid));
                }
                list.clone()
            }
            TimestepSpec::Several(parts) => {
                let each: Vec<Vec<Timestep>> = parts.iter().map(|part| part.wanted(grid)).collect::<Result<_>>()?;
                each.concat()
            }
        })
    }
}

impl Grid<'_> {
    /// The last t whose t′ is on the grid.
    fn last(&self) -> f64 {
        (self.timesteps - 1) as f64 - self.reach
    }
}

fn auto(grid: &Grid) -> Vec<Timestep> {
    let end = grid.timesteps as u64;
    let window = (grid.window as u64).min(end);
    let dense = (window / 5).max(20).min(window);
    let mut wanted: BTreeSet<u64> = (0..dense).chain((dense..=window).step_by(2)).collect();
    let beyond = (1..=BEYOND as u64).map(|i| window + (end - 1 - window.min(end - 1)) * i / BEYOND as u64);
    wanted.extend(beyond);
    let mut timesteps: Vec<Timestep> = wanted.into_iter().map(|t| t as f64).collect();
    // A secant crosses the boundary b from every t in [b − reach, b); both ends of that and their outer neighbours.
    for boundary in grid.boundaries {
        let around = [boundary - grid.reach - 1.0, boundary - grid.reach, boundary - 1.0, *boundary];
        timesteps.extend(around.into_iter().filter(|t| *t >= 0.0));
    }
    let last = grid.last();
    timesteps.iter_mut().for_each(|t| *t = t.min(last.max(0.0)));
    timesteps
}

fn log_spaced(count: usize, last: f64) -> Vec<Timestep> {
    let top = last.floor().max(0.0).ln_1p();
    let at = |i: usize| (top * i as f64 / (count.max(2) - 1) as f64).exp_m1().round();
    (0..count).map(at).collect()
}

fn off_grid(seen: &str, grid: &Grid) -> Error {
    let reach = if grid.reach > 0.0 { format!(" with --dt {}", grid.reach) } else { String::new() };
    Error::argument(
        "--timesteps",
        seen,
        format!(
            "the schedule has T = {} timesteps, of which 0 … {} can be measured{reach}",
            grid.timesteps,
            grid.last()
        ),
        "Choose timesteps in that range, `auto` or `all`.",
    )
}

impl FromStr for TimestepSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::argument(
                "--timesteps",
                text,
                "it is auto, all, FROM..UNTIL, FROM..UNTIL/STEP, log:COUNT, or a list of numbers and ranges such as 0,1,2,10..100/10; fractions lie between steps",
                "For example `--timesteps 0..1000/10`.",
            )
        };
        let number = |word: &str| word.parse::<u64>().map_err(|_| bad());
        match text {
            "auto" => return Ok(TimestepSpec::Auto),
            "all" => return Ok(TimestepSpec::All),
            _ => {}
        }
        if let Some(count) = text.strip_prefix("log:") {
            return number(count)
                .and_then(|n| if (1..=1_000_000).contains(&n) { Ok(TimestepSpec::Log(n)) } else { Err(bad()) });
        }
        if text.contains("..") {
            let part = |word: &str| match word.split_once("..") {
                Some((from, rest)) => range(from, rest),
                None => word.parse().ok().filter(|t: &f64| t.is_finite()).map(|t| TimestepSpec::List(vec![t])),
            };
            let parts: Option<Vec<TimestepSpec>> = text.split(',').map(|word| part(word.trim())).collect();
            let mut parts = parts.ok_or_else(bad)?;
            return Ok(if parts.len() == 1 { parts.remove(0) } else { TimestepSpec::Several(parts) });
        }
        let list: Option<Vec<f64>> = text.split(',').map(|word| word.trim().parse().ok()).collect();
        list.filter(|list| list.iter().all(|t| t.is_finite())).map(TimestepSpec::List).ok_or_else(bad)
    }
}

/// `from..until/step`, cut at the dots.
fn range(from: &str, rest: &str) -> Option<TimestepSpec> {
    let (until, step) = rest.split_once('/').unwrap_or((rest, "1"));
    let finite = |word: &str| word.parse::<f64>().ok().filter(|t| t.is_finite());
    let (from, until, step) = (finite(from)?, finite(until)?, finite(step)?);
    let few = (until - from) / step <= MOST_IN_RANGE as f64;
    let sound = step > 0.0 && from >= 0.0 && from < until && few;
    sound.then_some(TimestepSpec::Range { from, until, step })
}

impl fmt::Display for TimestepSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimestepSpec::Auto => f.write_str("auto"),
            TimestepSpec::All => f.write_str("all"),
            TimestepSpec::Range { from, until, step } if *step == 1.0 => write!(f, "{from}..{until}"),
            TimestepSpec::Range { from, until, step } => write!(f, "{from}..{until}/{step}"),
            TimestepSpec::Log(count) => write!(f, "log:{count}"),
            TimestepSpec::List(list) => {
                let words: Vec<String> = list.iter().map(f64::to_string).collect();
                f.write_str(&words.join(","))
            }
            TimestepSpec::Several(parts) => {
                let words: Vec<String> = parts.iter().map(TimestepSpec::to_string).collect();
                f.write_str(&words.join(","))
            }
        }
    }
}

/// At most `most` of some ascending timesteps, evenly spaced in log(t + 1) as far as they go: the action is near t = 0.
pub fn spread(timesteps: &[Timestep], most: usize) -> Vec<Timestep> {
    let (Some(first), Some(last)) = (timesteps.first(), timesteps.last()) else { return Vec::new() };
    if timesteps.len() <= most.max(2) {
        return timesteps.to_vec();
    }
    let position = |t: Timestep| (t - first + 1.0).ln();
    let nearest = |wanted: f64| {
        let distance = |t: &&Timestep| (position(**t) - wanted).abs();
        timesteps.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).copied()
    };
    let targets = (0..most.max(2)).map(|k| position(*last) * k as f64 / (most.max(2) - 1) as f64);
    let mut chosen: Vec<Timestep> = targets.filter_map(nearest).collect();
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(boundaries: &[f64]) -> Grid<'_> {
        Grid { timesteps: 1000, reach: 1.0, window: 100.0, boundaries }
    }

    fn resolve(text: &str) -> Result<(Vec<f64>, usize)> {
        text.parse::<TimestepSpec>()?.resolve(&grid(&[]))
    }

    #[test]
    fn specs_mean_what_the_contract_says() {
        assert_eq!(resolve("5,0,2,2").unwrap().0, [0.0, 2.0, 5.0]);
        assert_eq!(resolve("0..3").unwrap().0, [0.0, 1.0, 2.0]);
        let tens = resolve("0..1000/10").unwrap().0;
        assert_eq!((tens.len(), tens[99]), (100, 990.0));
        assert_eq!(resolve("all").unwrap(), ((0..999).map(f64::from).collect(), 1));
        assert_eq!(resolve("990..1000").unwrap().1, 1);
        let log = resolve("log:60").unwrap().0;
        assert_eq!((log[0], log[1], log[log.len() - 1]), (0.0, 1.0, 998.0));
        assert_eq!(resolve("0.5,1.25").unwrap().0, [0.5, 1.25]);
        let quarters = resolve("1..8/0.25").unwrap().0;
        assert_eq!((quarters.len(), quarters[1], quarters[27]), (28, 1.25, 7.75));
        // 0.7 + 3 · 0.1 is a little less than 1, which is excluded.
        assert_eq!(resolve("0.7..1/0.1").unwrap().0.len(), 3);
        assert_eq!(resolve("7,0..3,2..9/4,990..1000/8").unwrap(), (vec![0.0, 1.0, 2.0, 6.0, 7.0, 990.0, 998.0], 0));
        assert_eq!(resolve("0..2,998..1000").unwrap(), (vec![0.0, 1.0, 998.0], 1));
        for text in ["1..8/0.25", "0..3", "0..1000/10", "0..102,110,140..999/40"] {
            assert_eq!(text.parse::<TimestepSpec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn auto_is_dense_near_zero_and_holds_both_sides_of_every_boundary() {
        let boundaries = [0.0, 33.0, 67.0, 100.0];
        let (auto, left_out) = TimestepSpec::Auto.resolve(&grid(&boundaries)).unwrap();
        for t in (0..20).chain([31, 32, 33, 65, 66, 67, 98, 99, 100, 998]) {
            assert!(auto.contains(&f64::from(t)), "{t}");
        }
        assert!(auto.windows(2).all(|pair| pair[1] > 100.0 || pair[1] - pair[0] <= 2.0));
        assert!(left_out == 0 && auto.len() < 110, "{}", auto.len());
    }

    #[test]
    fn auto_fits_any_grid() {
        for timesteps in [2, 3, 10, 50, 4000] {
            let grid = Grid { timesteps, reach: 1.0, window: (timesteps / 10).max(1) as f64, boundaries: &[] };
            let (auto, _) = TimestepSpec::Auto.resolve(&grid).unwrap();
            assert!(auto.iter().all(|t| *t >= 0.0 && *t <= timesteps as f64 - 2.0), "{timesteps}: {auto:?}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "5000",
            "-1",
            "0..5000",
            "999",
            "a",
            "",
            "3..2",
            "0..5/0",
            "0..5/-1",
            "-2..3",
            "0..5/1e-9",
            "0..inf",
            "log:0",
            "nan",
            "0..",
            "0..3,",
            "0..3,all",
            "0..3,2000",
            "0..3,5..2",
            "log:x",
        ] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }

    #[test]
    fn few_timesteps_are_chosen_and_most_near_zero() {
        let all: Vec<f64> = (0..999).map(f64::from).collect();
        let chosen = spread(&all, 12);
        assert!(chosen.len() <= 12 && chosen.windows(2).all(|pair| pair[0] < pair[1]), "{chosen:?}");
        assert_eq!((chosen[0], chosen[1], chosen[chosen.len() - 1]), (0.0, 1.0, 998.0));
        assert!(chosen.iter().filter(|t| **t < 100.0).count() >= 6, "{chosen:?}");
        assert_eq!(spread(&[3.0, 7.0], 12), [3.0, 7.0]);
    }
}
