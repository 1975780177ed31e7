//! A network whose output is measured as it is: f(x, s) under a process that gives it no meaning as a noise prediction.

use super::AskedNetwork;
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::network::Condition;
use crate::of::Of;
use crate::process::{Block, ForwardProcess};
use crate::response::Response;
use crate::state::{Columns, State};
use crate::time::Timestep;
use crate::timestep_map::TimestepMap;
use tch::{Device, Kind, Tensor};

/// The network itself as a response.
pub struct PlainNetwork {
    /// The network, with what it is asked for and told.
    pub asked: AskedNetwork,
    /// How its states come about.
    pub process: Box<dyn ForwardProcess>,
}

impl PlainNetwork {
    fn output(&self, state: &State, t: &[Timestep], with_rate: bool) -> Result<Dual> {
        let x = Dual::constant(state.x.shallow_clone());
        let output = self.asked.output(&*self.process, &x, &state.condition, (t, with_rate))?;
        // One number per row is a block of one.
        if output.value.dim() > 1 { Ok(output) } else { output.linear(|rows| rows.f_view([-1, 1])) }
    }
}

impl Response for PlainNetwork {
    fn process(&self) -> &dyn ForwardProcess {
        &*self.process
    }

    fn timestep_map(&self) -> &dyn TimestepMap {
        &*self.asked.map
    }

    fn sample_shape(&self) -> &[i64] {
        &self.asked.sample_shape
    }

    fn device(&self) -> Device {
        self.asked.device
    }

    fn kind(&self) -> Kind {
        self.asked.kind
    }

    fn condition(&self, rows: i64, columns: &Columns) -> Result<Condition> {
        self.asked.condition(rows, columns)
    }

    /// All of the output, whose shape need not be that of x.
    fn blocks(&self) -> Vec<Block> {
        vec![Block { name: None, elements: 0..self.asked.sample_shape.iter().product() }]
    }

    fn value(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        Ok(self.output(state, t, false)?.value)
    }

    fn rate(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        let Dual { value, tangent } = self.output(state, t, true)?;
        tangent.map_or_else(|| value.f_zeros_like().doing("computing a rate"), Ok)
    }

    fn lacks_rate(&self) -> Option<String> {
        self.asked.lacks_rate()
    }

    fn mixes_timesteps(&self) -> bool {
        self.asked.network.mixes_timesteps()
    }

    fn network_calls(&self) -> u64 {
        self.asked.calls()
    }

    fn offers(&self) -> &'static [Of] {
        &[Of::Output]
    }

    fn asked_for(self: Box<Self>, _of: Of, _scales: &[f64]) -> Box<dyn Response> {
        self
    }
}
