//! The remap of arXiv 2306.11251 (its alternatives to sharing): the network's condition is a smooth re-parametrisation
//! of t that starts flat, f(t) = t²(2 − t/t̃)/t̃ for t in [0, t̃), and t from t̃ on.
//!
//! f and f' are continuous, f'(0) = 0 and f'(t̃) = 1, so that ∂ε/∂t = f'(t)·∂ε/∂f is damped near 0 by the map alone. A
//! source gives no formula for the paper's own remap; this one has the properties that its text names.

use super::TimestepMap;
use crate::error::{Error, Result};
use crate::time::Timestep;

/// A smooth map that starts flat.
#[derive(Debug, Clone, PartialEq)]
pub struct Remap {
    until: Timestep,
}

impl Remap {
    /// The map that is the identity from `until` on.
    pub fn new(until: Timestep) -> Result<Self> {
        if until > 0.0 && until.is_finite() {
            return Ok(Remap { until });
        }
        Err(Error::argument("--share", format!("remap-until={until}"), "it lies above 0", "Such as remap-until=100."))
    }
}

impl TimestepMap for Remap {
    fn condition(&self, t: Timestep) -> Timestep {
        if (0.0..self.until).contains(&t) { t * t * (2.0 - t / self.until) / self.until } else { t }
    }

    fn rate(&self, t: Timestep) -> f64 {
        if (0.0..self.until).contains(&t) { t * (4.0 - 3.0 * t / self.until) / self.until } else { 1.0 }
    }

    fn boundaries(&self) -> &[Timestep] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_flat_and_joins_the_identity_smoothly() {
        let map = Remap::new(100.0).unwrap();
        assert_eq!((map.condition(0.0), map.rate(0.0)), (0.0, 0.0));
        assert_eq!((map.condition(100.0), map.rate(100.0), map.condition(500.0)), (100.0, 1.0, 500.0));
        // One-sided limits at t̃: 1e-9 away, the slope is 1.
        assert!((map.condition(100.0 - 1e-9) - 100.0).abs() < 1e-8 && (map.rate(100.0 - 1e-9) - 1.0).abs() < 1e-8);
        let h = 1e-5;
        for t in [3.0, 50.0, 99.0] {
            let central = (map.condition(t + h) - map.condition(t - h)) / (2.0 * h);
            assert!((central - map.rate(t)).abs() < 1e-8, "{t}");
        }
        assert!(Remap::new(0.0).is_err() && Remap::new(f64::NAN).is_err());
    }
}
