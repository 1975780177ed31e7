//! Network + process + timestep map + prediction type = ε(x, t).

use crate::device::scale_rows;

use super::asked::Times;
use super::{AskedNetwork, RateParts};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::guidance::Guidance;
use crate::network::{Condition, Entrance};
use crate::of::{self, Of};
use crate::prediction::{Affine, Prediction};
use crate::process::{self, ForwardProcess};
use crate::response::{Denoiser, Response, by_rows, convert};
use crate::schedule::{Level, NoiseSchedule};
use crate::state::{Columns, State};
use crate::time::Timestep;
use crate::timestep_map::TimestepMap;
use tch::{Device, Kind, Tensor};

/// A network with everything that gives its output a meaning.
pub struct NetworkDenoiser {
    /// The network, with the numbers that it is told for t and its conditions.
    pub asked: AskedNetwork,
    /// The process that it was trained on.
    pub process: process::Gaussian,
    /// What it outputs.
    pub prediction: Prediction,
    /// Guidance towards its condition; each evaluation then is two of the network's.
    pub guidance: Option<Guidance>,
}

/// Where the tangents of t come from.
#[derive(Clone, Copy)]
pub(super) struct Entering<'a> {
    /// Whether the number that the network is told for t has one.
    pub through_t: bool,
    /// Whether the scaled input has one.
    pub through_input: bool,
    /// Where that of t enters; `None` for everywhere.
    pub by: Option<&'a Entrance>,
}

impl Entering<'_> {
    /// From everywhere, or from nowhere.
    fn all(with_tangent: bool) -> Self {
        Entering { through_t: with_tangent, through_input: with_tangent, by: None }
    }
}

/// What the network is asked at: where x is, and the timesteps that it is told.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    /// t of x: α, σ and the scale of the input.
    t: &'a [Timestep],
    /// The timesteps that the network is told, before the timestep map.
    told: Times<'a>,
}

impl<'a> At<'a> {
    pub fn new(t: &'a [Timestep]) -> Self {
        At { t, told: Times::all(t) }
    }
}

impl NetworkDenoiser {
    fn level(&self, t: Timestep) -> Level {
        self.process.schedule.level(t)
    }

    /// At t, where what does not move is held.
    fn at<'a>(&self, condition: &'a Condition, t: &'a [Timestep]) -> At<'a> {
        let told = self.asked.times(condition, t);
        At { t: told.t, told }
    }

    /// The network's own output for the mapped timesteps; with a tangent of ones on t, its derivative along t.
    pub(super) fn output(&self, state: &State, at: At, with_tangent: bool) -> Result<Dual> {
        self.entered(state, at, Entering::all(with_tangent))
    }

    /// The same with the tangents that enter as `entering` says.
    pub(super) fn entered(&self, state: &State, at: At, entering: Entering) -> Result<Dual> {
        self.output_along(&Dual::constant(state.x.shallow_clone()), &state.condition, at, entering)
    }

    /// The same where x has a tangent of its own; guided where there is guidance.
    fn output_along(&self, x: &Dual, condition: &Condition, at: At, entering: Entering) -> Result<Dual> {
        match (self.both(x, condition, at, entering)?, &self.guidance) {
            ((with, Some(without)), Some(guidance)) => guidance.combine(&with, &without),
            ((with, _), _) => Ok(with),
        }
    }

    /// The network's output, and that under ∅ where there is guidance.
    fn both(&self, x: &Dual, condition: &Condition, at: At, entering: Entering) -> Result<(Dual, Option<Dual>)> {
        let (asked, t_moves) = (&self.asked, self.asked.given.clock.t_moves);
        let told = asked.told(&self.process, at.told, entering.through_t)?;
        let seen = self.scaled(x, at.t, entering.through_input && t_moves)?;
        let input = seen.as_ref().unwrap_or(x);
        let ask = |condition: &Condition| self.first_half(asked.ask(input, &told, condition, entering.by)?, &x.value);
        let rows = at.t.len() as i64;
        let null = |guidance: &Guidance| ask(&guidance.without(condition, rows, asked.device, asked.kind)?);
        Ok((ask(condition)?, self.guidance.as_ref().map(null).transpose()?))
    }

    /// c_in x, with the tangent c_in ẋ, and with `with_time` also ċ_in x; `None` where the network sees x itself.
    fn scaled(&self, x: &Dual, t: &[Timestep], with_time: bool) -> Result<Option<Dual>> {
        let doing = "scaling the input";
        let factors: Option<Vec<_>> = t.iter().map(|&t| self.prediction.input(&self.level(t))).collect();
        let Some(factors) = factors else { return Ok(None) };
        let (c_in, rates): (Vec<f64>, Vec<f64>) = factors.iter().map(|factor| (factor.value, factor.rate)).unzip();
        let value = scale_rows(&x.value, &c_in)?;
        let moved = x.tangent.as_ref().map(|tangent| scale_rows(tangent, &c_in)).transpose()?;
        let scaled = if with_time { Some(scale_rows(&x.value, &rates)?) } else { None };
        let tangent = match (moved, scaled) {
            (Some(a), Some(b)) => Some(a.f_add(&b).doing(doing)?),
            (one, other) => one.or(other),
        };
        Ok(Some(Dual { value, tangent }))
    }

    /// Networks that also learn the variance give twice the channels; the first half is the prediction.
    fn first_half(&self, output: Dual, x: &Tensor) -> Result<Dual> {
        let (wanted, got) = (x.size(), output.value.size());
        if got == wanted {
            return Ok(output);
        }
        let learned_variance = got.len() == wanted.len()
            && got.len() > 1
            && got[1] == 2 * wanted[1]
            && got[0] == wanted[0]
            && got[2..] == wanted[2..];
        if learned_variance {
            return output.linear(|both| both.f_narrow(1, 0, wanted[1]));
        }
        Err(Error::mismatch(
            format!("the network answers x of shape {wanted:?} with an output of shape {got:?}"),
            "Its output must have the shape of x, or twice the channels where it learns the variance too.",
        ))
    }

    /// ε from the network's output at t.
    fn to_epsilon(&self, output: &Tensor, x: &Tensor, t: &[Timestep]) -> Result<Tensor> {
        convert(output, x, t, |t| self.prediction.epsilon(&self.level(t)))
    }

    /// ȧ·output + ḃ·x, where ε = a·output + b·x.
    pub(super) fn moving(&self, output: &Tensor, x: &Tensor, t: &[Timestep]) -> Result<Tensor> {
        convert(output, x, t, |t| self.prediction.epsilon_rate(&self.level(t)))
    }

    /// The same; `None` where t is held.
    fn conversion_moves(&self, output: &Tensor, x: &Tensor, t: &[Timestep]) -> Result<Option<Tensor>> {
        (!self.holds_t()).then(|| self.moving(output, x, t)).transpose()
    }

    /// a, where ε = a·output + b·x.
    pub(super) fn output_factor(&self, t: Timestep) -> Result<Affine> {
        self.prediction.epsilon(&self.level(t)).map(|factor| Affine { x: 0.0, ..factor })
    }

    /// Whether the network gets the same input at two timesteps of one x.
    fn sees_the_same(&self, t: Timestep, next: Timestep) -> bool {
        let (map, input_rests) = (&self.asked.map, !self.prediction.scales_input() || self.holds_t());
        map.condition(t) == map.condition(next) && input_rests
    }

    fn change_of_output(&self, state: &State, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let held = &state.held_at(t);
        let change = self.value(held, t_next)?.f_sub(&self.value(held, t)?).doing("subtracting predictions")?;
        Ok((change, 2 * t.len() as u64))
    }

    /// The change of ε where the network sees the same at both times: its output is the same, and only what turns it into
    /// ε moves.
    fn change_of_conversion(&self, state: &State, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let (doing, x) = ("subtracting predictions", &state.x);
        if self.prediction == Prediction::Epsilon || self.holds_t() {
            return Ok((x.f_zeros_like().doing(doing)?, 0));
        }
        let output = self.output(state, At::new(t), false)?.value;
        let change = self.to_epsilon(&output, x, t_next)?.f_sub(&self.to_epsilon(&output, x, t)?).doing(doing)?;
        Ok((change, t.len() as u64))
    }
}

impl Response for NetworkDenoiser {
    fn process(&self) -> &dyn ForwardProcess {
        &self.process
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

    fn value(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        let at = self.at(&state.condition, t);
        let output = self.output(state, at, false)?.value;
        self.to_epsilon(&output, &state.x, at.t)
    }

    fn rate(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        let doing = "adding the parts of the derivative";
        let output = self.output(state, At::new(t), true)?;
        // ε = a·output + b·x  ⇒  ∂ε/∂t = ȧ·output + ḃ·x + a·∂output/∂t, the first two where t moves
        let moving = self.conversion_moves(&output.value, &state.x, t)?;
        match (moving, self.carried(output.tangent, &state.x, t)?) {
            (Some(moving), Some(carried)) => moving.f_add(&carried).doing(doing),
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => state.x.f_zeros_like().doing(doing),
        }
    }

    /// Rows at whose two times the network sees the same are exact zeros where it answers with ε itself, and cost nothing.
    fn change(&self, state: &State, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        by_rows(
            (state, t, t_next),
            |t, next| !self.sees_the_same(t, next),
            |state, t, next| self.change_of_output(state, t, next),
            |state, t, next| self.change_of_conversion(state, t, next),
        )
    }

    fn lacks_rate(&self) -> Option<String> {
        let network = &self.asked.network;
        if network.carries_tangents() && self.prediction.scales_input() && !network.carries_x_tangents() {
            return Some(format!("{} whose input is scaled by c_in(t)", network.architecture()));
        }
        self.asked.lacks_rate()
    }

    fn mixes_timesteps(&self) -> bool {
        self.asked.network.mixes_timesteps()
    }

    fn network_calls(&self) -> u64 {
        (1 + u64::from(self.guidance.is_some())) * self.asked.calls()
    }

    fn offers(&self) -> &'static [Of] {
        of::GAUSSIAN
    }

    fn asked_for(mut self: Box<Self>, of: Of, scales: &[f64]) -> Box<dyn Response> {
        if of == Of::Spread {
            self.asked.given.draw_twice();
        }
        of::response(of, scales, self)
    }

    fn as_denoiser(&self) -> Option<&dyn Denoiser> {
        Some(self)
    }

    fn rate_parts(&self) -> std::result::Result<&dyn RateParts, String> {
        match self.asked.network.inside() {
            Some(_) => Ok(self),
            None => Err(format!("the places where t enters a {} cannot be reached", self.asked.network.architecture())),
        }
    }
}

impl Denoiser for NetworkDenoiser {
    fn schedule(&self) -> &dyn NoiseSchedule {
        &*self.process.schedule
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    fn answer(&self, state: &State, t: &[Timestep], with_rate: bool) -> Result<Dual> {
        self.output(state, self.at(&state.condition, t), with_rate)
    }

    fn holds_t(&self) -> bool {
        !self.asked.given.clock.t_moves
    }

    fn answers_the_same(&self, t: Timestep, next: Timestep) -> bool {
        self.sees_the_same(t, next)
    }

    fn has_null(&self) -> bool {
        self.guidance.is_some()
    }

    fn answers(&self, state: &State, t: &[Timestep], with_rate: bool) -> Result<(Dual, Dual)> {
        let x = Dual::constant(state.x.shallow_clone());
        match self.both(&x, &state.condition, self.at(&state.condition, t), Entering::all(with_rate))? {
            (with, Some(without)) => Ok((with, without)),
            (_, None) => {
                let next = "Give --guidance, or leave out --of guidance.";
                Err(Error::mismatch("this network was not given a condition ∅", next))
            }
        }
    }

    fn is_random(&self) -> bool {
        self.asked.given.is_random()
    }

    fn answers_of_draws(&self, state: &State, t: &[Timestep], with_rate: bool) -> Result<(Dual, Dual)> {
        let places = self.asked.given.random();
        let one = |draw| {
            let condition = state.condition.shallow_clone().draw(&places, draw)?;
            let x = Dual::constant(state.x.shallow_clone());
            self.output_along(&x, &condition, self.at(&state.condition, t), Entering::all(with_rate))
        };
        Ok((one(0)?, one(1)?))
    }

    fn along(&self, state: &State, v: &Tensor, with_time: bool, t: &[Timestep]) -> Result<Tensor> {
        let x = &state.x;
        let seeded = Dual::new(x.shallow_clone(), v.shallow_clone());
        let output = self.output_along(&seeded, &state.condition, At::new(t), Entering::all(with_time))?;
        let tangent = output.tangent.unwrap_or_else(|| x.zeros_like());
        // ε = a·output + b·x  ⇒  dε = a·d output + b·v, and with time ȧ·output + ḃ·x
        let along = self.to_epsilon(&tangent, v, t)?;
        let moving = if with_time { self.conversion_moves(&output.value, x, t)? } else { None };
        match moving {
            Some(moving) => along.f_add(&moving).doing("adding the parts of the derivative"),
            None => Ok(along),
        }
    }

    fn lacks_jacobian(&self) -> Option<String> {
        (!self.asked.network.carries_x_tangents()).then(|| self.asked.network.architecture())
    }

    fn x0(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        self.x0_asked(state, t, t)
    }

    fn x0_asked(&self, state: &State, t: &[Timestep], asked: &[Timestep]) -> Result<Tensor> {
        let output = self.output(state, At { t, told: Times::all(asked) }, false)?.value;
        convert(&output, &state.x, t, |t| self.prediction.x0(&self.level(t)))
    }

    fn predicts_without_signal(&self) -> bool {
        !self.prediction.is_noise()
    }
}
