//! f(t) = t: a plain diffusion model.

use super::TimestepMap;
use crate::time::Timestep;

/// f(t) = t.
#[derive(Debug, Clone, Copy)]
pub struct Identity;

impl TimestepMap for Identity {
    fn condition(&self, t: Timestep) -> Timestep {
        t
    }

    fn rate(&self, _t: Timestep) -> f64 {
        1.0
    }

    fn boundaries(&self) -> &[Timestep] {
        &[]
    }
}
