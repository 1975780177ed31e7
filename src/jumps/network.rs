//! A network over symbols, by what it outputs for states [B, …]:
//!
//! - log-ratios ln r_a, [B, …, V] (or V + 1 with the mask), of the states with symbol a at a position; those of x itself do
//!   not count (SEDD, Lou et al., arXiv 2310.16834). Under `flip` also [B, …], of each bit the other way;
//! - under `absorb` log p(x₀ = a | x), of which r_a = p(x₀ = a | x)/(e^σ − 1) at a mask (MDLM, Sahoo et al., arXiv
//!   2406.07524): there only the second factor moves by itself.

use super::{LogRates, OFFERS, change_of_log};
use crate::denoiser::{AskedNetwork, RateParts};
use crate::device;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::network::Condition;
use crate::of::Of;
use crate::prediction::Prediction;
use crate::process::{Block, ForwardProcess};
use crate::response::Response;
use crate::state::{Columns, State};
use crate::time::{Axis, Timestep};
use crate::timestep_map::TimestepMap;
use lipscope_core::process::jump::{Graph, Jump};
use std::sync::Arc;
use tch::{Device, Kind, TchError, Tensor};

/// What a network over symbols outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// ln r_a.
    LogRatio,
    /// log p(x₀ = a | x).
    LogX0,
}

impl Output {
    /// What `--prediction` says under a jump process: nothing, for log-ratios, or `x0`.
    ///
    /// # Errors
    /// Another prediction; `x0` under a process without a mask.
    pub fn new(asked: Option<Prediction>, jump: &Jump) -> Result<Self> {
        let next = "Leave out --prediction for log-ratios, or give --prediction x0 for log p(x0|x).";
        match asked {
            None => Ok(Output::LogRatio),
            Some(Prediction::X0) if jump.graph.mask().is_some() => Ok(Output::LogX0),
            Some(Prediction::X0) => {
                let allowed = format!("under {} the ratios do not follow from log p(x0|x) alone", jump.name);
                Err(Error::argument("--prediction", Prediction::X0, allowed, "Export a network that gives log-ratios."))
            }
            Some(other) => {
                Err(Error::argument("--prediction", other, "a network under a jump process has no such output", next))
            }
        }
    }

    /// In the words of a report.
    pub fn name(self) -> &'static str {
        match self {
            Output::LogRatio => "log-ratio",
            Output::LogX0 => "log-x0",
        }
    }
}

/// A network as the rates and jumps of a reverse jump process.
pub struct NetworkJumps {
    /// The network, with what it is asked for and told.
    pub asked: AskedNetwork,
    /// The forward process.
    pub process: Arc<Jump>,
    /// What it outputs.
    pub output: Output,
    /// What is measured of it.
    pub of: Of,
}

impl NetworkJumps {
    /// The same network, asked once about two states of the first symbol, which tells whether its output has the right shape.
    ///
    /// # Errors
    /// It has another.
    pub fn checked(self) -> Result<Self> {
        let full: Vec<i64> = std::iter::once(2).chain(self.asked.sample_shape.iter().copied()).collect();
        let x = Tensor::f_zeros(&full[..], (self.kind(), self.asked.device)).doing("making an example")?;
        let condition = self.asked.given.example(self.asked.device, self.asked.kind)?;
        let _answer = tch::no_grad(|| self.value(&State { x, condition }, &[0.0, 0.0]))?;
        Ok(self)
    }

    fn log_rates(&self, state: &State, t: &[Timestep], with_rate: bool) -> Result<LogRates> {
        let x = Dual::constant(state.x.shallow_clone());
        let output = self.asked.output(&self.process, &x, &state.condition, (t, with_rate))?;
        let own = state.x.f_flatten(1, -1).and_then(|x| x.f_to_kind(Kind::Int64)).doing("reading symbols")?;
        let by_symbol = self.by_symbol(output, &own)?;
        let moving = self.with_noise(by_symbol, t, with_rate)?;
        let leads = leads(self.process.graph, &own, moving.value.size()[2]).doing("choosing jumps")?;
        let filled = |tensor: &Tensor, with: f64| tensor.f_masked_fill(&leads.f_logical_not()?, with);
        let value = filled(&moving.value, f64::NEG_INFINITY).doing("choosing jumps")?;
        let tangent = moving.tangent.map(|tangent| filled(&tangent, 0.0)).transpose().doing("choosing jumps")?;
        LogRates::new(&Dual { value, tangent })
    }

    /// The output as [B, positions, jumps]: V symbols, or the other bit alone.
    fn by_symbol(&self, output: Dual, own: &Tensor) -> Result<Dual> {
        let graph = self.process.graph;
        let (rows, positions, symbols) = (own.size()[0], own.size()[1], graph.symbols() as i64);
        let each = output.value.numel() as i64 / (rows * positions).max(1);
        let fits = output.value.numel() as i64 == each * rows * positions
            && output.value.size().first() == Some(&rows)
            && (each == symbols || each == graph.states() as i64 || (graph == Graph::Flip && each == 1));
        if !fits {
            let size = output.value.size();
            let mut allowed = format!("[{rows}, {positions}, {symbols}]");
            if graph.mask().is_some() {
                allowed += &format!(", or {} with the mask", symbols + 1);
            } else if graph == Graph::Flip {
                allowed += &format!(", or [{rows}, {positions}] of each bit the other way");
            }
            let problem = format!("the network answers {rows} states of {positions} positions with {size:?}");
            let next = format!("Under {} it gives {allowed}.", self.process.name);
            return Err(Error::mismatch(problem, next));
        }
        // The mask is the last symbol, to which no reverse jump leads.
        output.linear(|o| o.f_reshape([rows, positions, each])?.f_narrow(2, 0, each.min(symbols)))
    }

    /// ln Q + ln r of what the network outputs: with the factor 1/(e^σ − 1) where that gives log p(x₀ | x).
    fn with_noise(&self, output: Dual, t: &[Timestep], with_rate: bool) -> Result<Dual> {
        let doing = "turning an output into rates";
        // It is the same for all jumps: their law does not move by it, and not even in the last digit.
        if self.output == Output::LogX0 && self.of == Of::Jumps {
            return Ok(output);
        }
        if self.output == Output::LogRatio {
            let rate = self.process.graph.rate().ln();
            if rate == 0.0 {
                return Ok(output);
            }
            let value = output.value.f_add_scalar(rate).doing(doing)?;
            return Ok(Dual { value, ..output });
        }
        // ln 1/(e^σ − 1), with the tangent −e^σ/(e^σ − 1) σ̇.
        let column = |numbers: Vec<f64>| device::column(&numbers, 3, output.value.device(), output.value.kind());
        let sigma = |&t: &Timestep| self.process.sigma(t);
        let factor = column(t.iter().map(|t| -sigma(t).exp_m1().ln()).collect())?;
        let value = output.value.f_add(&factor).doing(doing)?;
        if !with_rate {
            return Ok(Dual::constant(value));
        }
        let speed = |t: &Timestep| self.process.coordinate_rate(Axis::Sigma, *t).unwrap_or_default();
        let rate = column(t.iter().map(|t| speed(t) / (-sigma(t)).exp_m1()).collect())?;
        let tangent = match output.tangent {
            Some(tangent) => tangent.f_add(&rate),
            None => rate.f_expand_as(&value),
        };
        Ok(Dual::new(value, tangent.doing(doing)?))
    }
}

/// Where jumps lead from symbols [B, positions] to the `jumps` that are told, [B, positions, jumps] or broadcast to it.
fn leads(graph: Graph, own: &Tensor, jumps: i64) -> std::result::Result<Tensor, TchError> {
    let column = own.f_unsqueeze(2)?;
    match graph.mask() {
        Some(mask) => column.f_eq(mask as i64),
        None if jumps == 1 => column.f_ge(0),
        None => column.f_ne_tensor(&Tensor::f_arange(jumps, (Kind::Int64, own.device()))?),
    }
}

impl Response for NetworkJumps {
    fn process(&self) -> &dyn ForwardProcess {
        &self.process
    }

    fn timestep_map(&self) -> &dyn TimestepMap {
        &*self.asked.map
    }

    fn sample_shape(&self) -> &[i64] {
        &self.asked.sample_shape
    }

    fn blocks(&self) -> Vec<Block> {
        let elements = match self.of {
            Of::Jumps => self.asked.sample_shape.iter().product::<i64>() * self.process.graph.symbols() as i64,
            _ => 1,
        };
        vec![Block { name: None, elements: 0..elements }]
    }

    fn device(&self) -> Device {
        self.asked.device
    }

    /// Half precision would confuse symbols.
    fn kind(&self) -> Kind {
        if self.asked.kind == Kind::Double { Kind::Double } else { Kind::Float }
    }

    fn condition(&self, rows: i64, columns: &Columns) -> Result<Condition> {
        self.asked.condition(rows, columns)
    }

    fn value(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        let rates = self.log_rates(state, t, false)?;
        match self.of {
            Of::Jumps => rates.law(),
            _ => rates.log_total()?.f_exp().doing("adding up the rates of jumps"),
        }
    }

    fn rate(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        let rates = self.log_rates(state, t, true)?;
        if self.of == Of::Jumps { rates.law_rate() } else { rates.log_total_rate() }
    }

    fn change(&self, state: &State, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let (before, after) = (self.log_rates(state, t, false)?, self.log_rates(state, t_next, false)?);
        let change = match self.of {
            Of::Jumps => after.law()?.f_sub(&before.law()?).doing("subtracting jump laws")?,
            _ => change_of_log(&before.log_total()?, &after.log_total()?)?,
        };
        Ok((change, 2 * t.len() as u64))
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

    fn rate_parts(&self) -> std::result::Result<&dyn RateParts, String> {
        Err("rates of jumps are not told apart by where t enters".into())
    }

    fn offers(&self) -> &'static [Of] {
        OFFERS
    }

    fn asked_for(self: Box<Self>, of: Of, _scales: &[f64]) -> Box<dyn Response> {
        Box::new(NetworkJumps { of, ..*self })
    }
}
