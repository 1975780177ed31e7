//! Boundaries on the grid of timesteps.

use crate::time::Timestep;

/// Rounded, and then at least one step apart, with both ends where they were.
pub(super) fn on_grid(times: impl Iterator<Item = Timestep>) -> Vec<Timestep> {
    let mut boundaries: Vec<Timestep> = times.map(f64::round).collect();
    let until = boundaries.last().copied().unwrap_or(0.0);
    let n = boundaries.len() - 1;
    for i in 1..=n {
        let most = until - (n - i) as f64;
        boundaries[i] = boundaries[i].max(boundaries[i - 1] + 1.0).min(most);
    }
    boundaries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_whole_and_apart() {
        assert_eq!(on_grid([0.0, 0.1, 0.2, 0.3, 10.0].into_iter()), [0.0, 1.0, 2.0, 3.0, 10.0]);
        assert_eq!(on_grid([0.0, 9.6, 9.8, 10.0].into_iter()), [0.0, 8.0, 9.0, 10.0]);
        assert_eq!(on_grid([0.0, 2.4, 4.6, 7.0].into_iter()), [0.0, 2.0, 5.0, 7.0]);
        assert_eq!(on_grid([0.0, 0.0, 0.0, 3.0].into_iter()), [0.0, 1.0, 2.0, 3.0]);
    }
}
