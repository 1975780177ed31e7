//! E-TSDM (arXiv 2306.11251, section 4): [0, t̃) is split into n sub-intervals 0 = t₀ < … < t_n = t̃, and
//! f(t) = t_{i−1} for t in [t_{i−1}, t_i), f(t) = t for t ≥ t̃.

use super::TimestepMap;
use crate::error::{Error, Result};
use crate::time::Timestep;

/// Shared timesteps near t = 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Sharing {
    boundaries: Vec<Timestep>,
}

impl Sharing {
    /// n equal sub-intervals of [0, until); boundaries are rounded to the grid, so that the network is only ever
    /// asked about timesteps that exist.
    pub fn uniform(n: usize, until: usize) -> Result<Self> {
        if n == 0 || n > until {
            return Err(bad(&format!("n={n},until={until}"), "n lies between 1 and until"));
        }
        let boundary = |i: usize| (i as f64 * until as f64 / n as f64).round();
        Sharing::with_boundaries((0..=n).map(boundary).collect())
    }

    /// Sub-intervals between given boundaries, which start at 0 and increase.
    pub fn with_boundaries(boundaries: Vec<Timestep>) -> Result<Self> {
        let increasing = boundaries.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = boundaries.iter().all(|boundary| boundary.is_finite());
        if boundaries.len() < 2 || boundaries[0] != 0.0 || !increasing || !finite {
            return Err(bad(&format!("{boundaries:?}"), "the boundaries start at 0 and increase strictly"));
        }
        Ok(Sharing { boundaries })
    }

    /// `n=5,until=100`, or `boundaries=0-20-50-100`, on a grid of `timesteps`.
    pub fn parse(text: &str, timesteps: usize) -> Result<Self> {
        let (mut n, mut until, mut boundaries) = (None, None, None);
        for pair in text.split(',') {
            match pair.split_once('=') {
                Some(("n", value)) => n = value.parse().ok(),
                Some(("until", value)) => until = value.parse().ok(),
                Some(("boundaries", value)) => {
                    boundaries = value.split('-').map(|t| t.parse().ok()).collect::<Option<Vec<f64>>>();
                }
                _ => return Err(bad(text, &format!("`{pair}` is not one of its keys"))),
            }
        }
        let sharing = match (n, until, boundaries) {
            (Some(n), Some(until), None) => Sharing::uniform(n, until)?,
            (None, None, Some(boundaries)) => Sharing::with_boundaries(boundaries)?,
            _ => return Err(bad(text, "it takes whole numbers n and until, or boundaries")),
        };
        let until = sharing.boundaries[sharing.boundaries.len() - 1];
        if until > timesteps as f64 {
            return Err(bad(text, &format!("sharing ends at {until}, beyond the schedule's T = {timesteps}")));
        }
        Ok(sharing)
    }

    /// The sub-interval [t_{i−1}, t_i) that holds t.
    fn interval(&self, t: Timestep) -> Option<(Timestep, Timestep)> {
        self.boundaries.windows(2).map(|pair| (pair[0], pair[1])).find(|(from, until)| *from <= t && t < *until)
    }
}

fn bad(seen: &str, problem: &str) -> Error {
    Error::argument("--share", seen, problem, "Give `n=5,until=100`, `boundaries=0-20-50-100`, or `none`.")
}

impl TimestepMap for Sharing {
    fn condition(&self, t: Timestep) -> Timestep {
        self.interval(t).map_or(t, |(from, _)| from)
    }

    fn rate(&self, t: Timestep) -> f64 {
        if self.interval(t).is_some() { 0.0 } else { 1.0 }
    }

    fn boundaries(&self) -> &[Timestep] {
        &self.boundaries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_default_shares_0_20_40_60_80() {
        let map = Sharing::parse("n=5,until=100", 1000).unwrap();
        let conditions: Vec<f64> =
            [0.0, 19.0, 19.9, 20.0, 39.0, 40.0, 99.0, 100.0, 999.0].map(|t| map.condition(t)).into();
        assert_eq!(conditions, [0.0, 0.0, 0.0, 20.0, 20.0, 40.0, 80.0, 100.0, 999.0]);
        assert_eq!((map.rate(5.0), map.rate(100.0)), (0.0, 1.0));
    }

    #[test]
    fn uneven_splits_stay_on_the_grid() {
        let map = Sharing::parse("n=3,until=100", 1000).unwrap();
        assert_eq!(map.boundaries(), [0.0, 33.0, 67.0, 100.0]);
        let given = Sharing::parse("boundaries=0-5-20-100", 1000).unwrap();
        assert_eq!(given.condition(19.0), 5.0);
    }

    #[test]
    fn before_zero_nothing_is_shared() {
        assert_eq!(Sharing::uniform(5, 100).unwrap().condition(-0.5), -0.5);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "n=0,until=10",
            "n=11,until=10",
            "n=5",
            "until=5",
            "n=5,until=2000",
            "boundaries=1-2",
            "m=3",
            "boundaries=0-9-9",
            "n=2,until=4,boundaries=0-1",
        ] {
            assert!(Sharing::parse(text, 1000).is_err(), "{text}");
        }
    }
}
