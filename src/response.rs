//! What estimators see of a model: f(x, t | condition), its change and its rate in t, under a forward process.
//!
//! A [`Denoiser`] is a response whose value is ε; it adds what samplers and Jacobians need.

use crate::denoiser::Denoiser;
use crate::draws::Columns;
use crate::error::{Doing, Result};
use crate::network::Condition;
use crate::process::{Block, ForwardProcess};
use crate::state::State;
use crate::time::Timestep;
use crate::timestep_map::TimestepMap;
use tch::{Device, Kind, Tensor};

/// f(x, t) for a batch, one timestep per row.
pub trait Response {
    /// How x_t comes from x₀.
    fn process(&self) -> &dyn ForwardProcess;

    /// The map from t to the network's condition.
    fn timestep_map(&self) -> &dyn TimestepMap;

    /// Shape of one clean sample, without the batch axis.
    fn sample_shape(&self) -> &[i64];

    /// The parts of its values that have a norm each, in the order of their elements.
    fn blocks(&self) -> Vec<Block> {
        self.process().blocks(self.sample_shape())
    }

    /// Where the arithmetic runs.
    fn device(&self) -> Device;

    /// dtype of x and f.
    fn kind(&self) -> Kind;

    /// What `rows` samples are conditional on, from what was drawn with them.
    ///
    /// # Errors
    /// The model needs a column that the data does not have.
    fn condition(&self, _rows: i64, _columns: &Columns) -> Result<Condition> {
        Ok(Condition::default())
    }

    /// f, [B, …], for B timesteps in steps.
    fn value(&self, state: &State, t: &[Timestep]) -> Result<Tensor>;

    /// ∂f/∂t per step at fixed state, exact, of the shape of f.
    fn rate(&self, state: &State, t: &[Timestep]) -> Result<Tensor>;

    /// f(x, t′) − f(x, t), [B, …], and how many network evaluations it took.
    fn change(&self, state: &State, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let change = self.value(state, t_next)?.f_sub(&self.value(state, t)?).doing("subtracting predictions")?;
        Ok((change, 2 * t.len() as u64))
    }

    /// Whether [`Response::rate`] can be computed; if not, why, as the end of "… is not available for".
    fn lacks_rate(&self) -> Option<String> {
        None
    }

    /// Whether a batch may hold rows of several timesteps.
    fn mixes_timesteps(&self) -> bool {
        true
    }

    /// Network evaluations that one evaluation of f takes: two with guidance.
    fn network_calls(&self) -> u64 {
        1
    }

    /// The same model as a denoiser, where it is one.
    fn as_denoiser(&self) -> Option<&dyn Denoiser> {
        None
    }
}
