//! Timestep maps f(t): the timestep that the network is asked about when the state is at t.
//!
//! Only the condition is mapped; x_t keeps its true α_t and σ_t. A new map is one file and one line in [`parse`].

mod identity;
mod remap;
mod sharing;

pub use identity::Identity;
pub use remap::Remap;
pub use sharing::Sharing;

use crate::error::Result;
use crate::time::Timestep;
use std::sync::Arc;

/// f(t) and where it jumps.
pub trait TimestepMap: std::fmt::Debug + Send + Sync {
    /// f(t), in steps.
    fn condition(&self, t: Timestep) -> Timestep;

    /// df/dt where f is differentiable.
    fn rate(&self, t: Timestep) -> f64;

    /// Boundaries t₀ < … < t_n of the shared sub-intervals; empty where nothing is shared.
    fn boundaries(&self) -> &[Timestep];

    /// Whether f jumps at t, so that no derivative along t exists there. At 0, where time ends, it is one-sided.
    fn jumps_at(&self, t: Timestep) -> bool {
        self.boundaries().iter().any(|&boundary| boundary == t && boundary > 0.0)
    }
}

/// The map that `--share` names: `none`, `remap-until=100`, or sharing as [`Sharing::parse`] takes it, on a grid of
/// `timesteps`.
pub fn parse(text: &str, timesteps: usize) -> Result<Arc<dyn TimestepMap>> {
    match text.split_once('=') {
        None if text == "none" => Ok(Arc::new(Identity)),
        Some(("remap-until", until)) => Ok(Arc::new(Remap::new(until.parse().unwrap_or(f64::NAN))?)),
        _ => Ok(Arc::new(Sharing::parse(text, timesteps)?)),
    }
}
