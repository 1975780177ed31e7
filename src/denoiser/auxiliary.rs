//! A network under a process with auxiliary variables: ε of some of its variables.
//!
//! The output F holds a variable in C channels each. It is ε itself; or, of a network that predicts the last variable v with a
//! mixed score (CLD-SGM: s_v = −v/Σ_vv − ℓF with ℓ = 1/L_vv), and since ε_v = −L_vv s_v,
//!
//! ε_v = F + c v with c = L_vv/Σ_vv, ∂ε_v/∂t = ∂F/∂t + ċ v.

use super::{AskedNetwork, RateParts};
use crate::device::scale_rows;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::network::Condition;
use crate::of::Of;
use crate::prediction::Prediction;
use crate::process::linear_gaussian::variables;
use crate::process::{Block, ForwardProcess};
use crate::response::{Response, by_rows};
use crate::state::{Columns, State};
use crate::time::Timestep;
use crate::timestep_map::TimestepMap;
use lipscope_core::cli::args::ModuleOutput;
use lipscope_core::process::LinearGaussian;
use std::ops::Range;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// A network with a meaning for what it outputs.
pub struct AuxiliaryNetwork {
    asked: AskedNetwork,
    process: Arc<LinearGaussian>,
    /// The variables that it predicts, in the order of its blocks.
    predicted: Vec<Predicted>,
    /// Whether c v is added.
    mixed: bool,
}

/// A variable of the output.
struct Predicted {
    name: String,
    /// Its channels.
    channels: Range<i64>,
}

impl AuxiliaryNetwork {
    /// Asks the network once, to learn how many channels it answers with.
    ///
    /// # Errors
    /// Its output does not hold the variables that `output` names, all of them, or the last one alone.
    pub fn new(
        asked: AskedNetwork,
        process: Arc<LinearGaussian>,
        prediction: Prediction,
        output: Option<&ModuleOutput>,
    ) -> Result<Self> {
        let whole = AuxiliaryNetwork { asked, process, predicted: Vec::new(), mixed: prediction == Prediction::Mixed };
        let answered = whole.probe()?;
        let predicted = whole.predicted(&answered, output)?;
        if whole.mixed && !predicted.iter().map(|one| &one.name).eq(whole.process.names().last()) {
            let names: Vec<&str> = predicted.iter().map(|one| one.name.as_str()).collect();
            let problem = format!(
                "a mixed score is that of the last variable alone, and this network predicts {}",
                names.join(", ")
            );
            return Err(Error::mismatch(problem, "Use --prediction epsilon."));
        }
        Ok(AuxiliaryNetwork { predicted, ..whole })
    }

    /// The variables that it predicts, by name.
    pub fn names(&self) -> Vec<&str> {
        self.predicted.iter().map(|one| one.name.as_str()).collect()
    }

    /// The shape of its output for two samples.
    fn probe(&self) -> Result<Vec<i64>> {
        let AskedNetwork { device, kind, ref sample_shape, .. } = self.asked;
        let shape: Vec<i64> = std::iter::once(2).chain(self.process.state_shape(sample_shape)).collect();
        let x = Tensor::f_zeros(&shape[..], (kind, device)).doing("probing the network")?;
        let condition = self.asked.given.example(device, kind)?;
        let _no_grad = tch::no_grad_guard();
        let answer = self.asked.output(&self.process, &Dual::constant(x), &condition, (&[0.0, 0.0], false))?;
        Ok(answer.value.size())
    }

    /// Which channels of an output of this shape are which variable.
    fn predicted(&self, answered: &[i64], output: Option<&ModuleOutput>) -> Result<Vec<Predicted>> {
        let (names, sample) = (self.process.names(), &self.asked.sample_shape);
        let channels = sample.first().copied().unwrap_or(1);
        let named = output.map(|output| output.variables.as_slice()).unwrap_or_default();
        let has = answered.get(1).copied().unwrap_or(0);
        let refused = |problem: String| Err(Error::mismatch(problem, self.next(channels)));
        if answered.len() != sample.len() + 1 || answered[2..] != sample[1..] {
            return refused(format!(
                "the network answers two samples of shape {sample:?} with an output of shape {answered:?}"
            ));
        }
        if let Some(other) = named.iter().find(|one| !names.contains(&one.name)) {
            return refused(format!(
                "--output names `{}`, and the variables of {} are {}",
                other.name,
                self.process.name,
                names.join(", ")
            ));
        }
        let all: Vec<Predicted> = match named {
            [] if has == channels * names.len() as i64 => {
                let place = |(name, i): (&String, i64)| Predicted {
                    name: name.clone(),
                    channels: i * channels..(i + 1) * channels,
                };
                names.iter().zip(0..).map(place).collect()
            }
            // Noise enters the last variable of a Langevin process alone, and so do its trainers' networks.
            [] => names.last().map(|name| Predicted { name: name.clone(), channels: 0..has }).into_iter().collect(),
            named => {
                let place = |one: &lipscope_core::cli::args::OutputVariable| Predicted {
                    name: one.name.clone(),
                    channels: one.channels.clone().unwrap_or(0..has),
                };
                named.iter().map(place).collect()
            }
        };
        match all.iter().find(|one| one.channels.end > has || one.channels.end - one.channels.start != channels) {
            None => Ok(all),
            Some(one) => refused(format!(
                "`{}` would be channels {}:{} of an output of {has}, and a variable of {} has {channels}",
                one.name, one.channels.start, one.channels.end, self.process.name
            )),
        }
    }

    fn next(&self, channels: i64) -> String {
        let names = self.process.names();
        let each = names
            .iter()
            .enumerate()
            .map(|(i, name)| format!("{name}={}:{}", i as i64 * channels, (i as i64 + 1) * channels));
        let last = names.last().map(String::as_str).unwrap_or("v");
        format!(
            "Its output holds {channels} channels for each variable; say which with --output {last}=0 or --output {}.",
            each.collect::<Vec<_>>().join(",")
        )
    }

    /// F of the predicted variables, side by side, with its ∂/∂t where that is asked for.
    fn output(&self, state: &State, t: &[Timestep], with_rate: bool) -> Result<Dual> {
        let x = Dual::constant(state.x.shallow_clone());
        let answer = self.asked.output(&self.process, &x, &state.condition, (t, with_rate))?;
        match &self.predicted[..] {
            [one] if one.channels == (0..answer.value.size()[1]) => Ok(answer),
            all => answer.linear(|output| {
                let part =
                    |one: &Predicted| output.f_narrow(1, one.channels.start, one.channels.end - one.channels.start);
                Tensor::f_cat(&all.iter().map(part).collect::<std::result::Result<Vec<_>, _>>()?, 1)
            }),
        }
    }

    /// Adds the last variable times a factor for each row, where the score is mixed.
    fn with_last(&self, sum: Tensor, state: &State, factors: impl FnOnce() -> Vec<f64>) -> Result<Tensor> {
        if !self.mixed {
            return Ok(sum);
        }
        match variables(&state.x, self.process.variables())?.last() {
            Some(last) => sum.f_add(&scale_rows(last, &factors())?).doing("adding the linear part of a mixed score"),
            None => Ok(sum),
        }
    }

    /// c and ċ per step at every t.
    fn linear(&self, t: &[Timestep]) -> (Vec<f64>, Vec<f64>) {
        self.process.kernels(t).iter().map(|kernel| kernel.mixed()).unzip()
    }

    fn zeros(&self, state: &State) -> Result<Tensor> {
        let last = variables(&state.x, self.process.variables())?;
        let doing = "subtracting predictions";
        let parts = self.predicted.iter().zip(last.iter().cycle()).map(|(_, one)| one.f_zeros_like());
        parts.collect::<std::result::Result<Vec<_>, _>>().and_then(|all| Tensor::f_cat(&all, 1)).doing(doing)
    }
}

impl Response for AuxiliaryNetwork {
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
        let width: i64 = self.asked.sample_shape.iter().product();
        let block =
            |(one, i): (&Predicted, i64)| Block { name: Some(one.name.clone()), elements: i * width..(i + 1) * width };
        self.predicted.iter().zip(0..).map(block).collect()
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

    fn value(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        let value = self.output(state, t, false)?.value;
        self.with_last(value, state, || self.linear(self.asked.times(&state.condition, t).t).0)
    }

    fn rate(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        let Dual { value, tangent } = self.output(state, t, true)?;
        let rate = tangent.unwrap_or_else(|| value.zeros_like());
        // Where t is held, only another argument of time moves.
        if self.asked.given.clock.t_moves { self.with_last(rate, state, || self.linear(t).1) } else { Ok(rate) }
    }

    /// c′ − c is one factor. Where the network is told the same at both times its output stands still, and need not be known.
    fn change(&self, state: &State, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let moved = |t: &[Timestep], next: &[Timestep]| {
            let (here, there) = (self.linear(t).0, self.linear(next).0);
            let moves = if self.asked.given.clock.t_moves { 1.0 } else { 0.0 };
            here.iter().zip(&there).map(|(here, there)| (there - here) * moves).collect()
        };
        by_rows(
            (state, t, t_next),
            |t, next| self.asked.map.condition(t) != self.asked.map.condition(next),
            |state, t, next| {
                let held = &state.held_at(t);
                let (before, after) = (self.output(held, t, false)?.value, self.output(held, next, false)?.value);
                let change = after.f_sub(&before).doing("subtracting predictions")?;
                Ok((self.with_last(change, state, || moved(t, next))?, 2 * t.len() as u64))
            },
            |state, t, next| Ok((self.with_last(self.zeros(state)?, state, || moved(t, next))?, 0)),
        )
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
        Err("it is told apart for Gaussian noise, x_t = α x₀ + σ ε".into())
    }

    fn offers(&self) -> &'static [Of] {
        &[Of::Epsilon, Of::Output]
    }

    fn asked_for(self: Box<Self>, of: Of, _scales: &[f64]) -> Box<dyn Response> {
        let mixed = self.mixed && of.is_epsilon();
        Box::new(AuxiliaryNetwork { mixed, ..*self })
    }
}
