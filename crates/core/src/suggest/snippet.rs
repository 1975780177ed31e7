//! Python to paste into a diffusers training loop and sampler.

use crate::time::Timestep;

/// A module with `shared(t)`, `training_loss` and `sample` for whole boundaries.
pub fn python(boundaries: &[Timestep]) -> String {
    let list: Vec<String> = boundaries.iter().map(f64::to_string).collect();
    include_str!("shared_timesteps.py").replace("[0, 1]", &format!("[{}]", list.join(", ")))
}
