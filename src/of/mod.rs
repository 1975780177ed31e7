//! What is measured of a model: ε, or something that follows from the same evaluation of its network.
//!
//! ε = a·o + b·x is affine in the network's output o, with factors of t alone ([`Prediction`]), and so is everything here:
//! f = A·o + B·x, hence ∂f/∂t = Ȧ·o + Ḃ·x + A·∂o/∂t, exact. Where the network is told the same at t and t′, o is the same
//! and f(t′) − f(t) = (A′ − A)·o + (B′ − B)·x, an exact zero where the factors stand still.
//!
//! A new member is one file that implements [`Member`] and one line in [`member`].

mod excess;
mod guidance;
mod output;
mod score;
#[cfg(test)]
mod tests;
mod x0;

use crate::denoiser::Denoiser;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::network::Condition;
use crate::prediction::{Affine, Prediction};
use crate::process::ForwardProcess;
use crate::response::{Response, affine, by_rows};
use crate::schedule::Level;
use crate::state::{Columns, State};
use crate::time::Timestep;
use crate::timestep_map::TimestepMap;
use tch::{Device, Kind, Tensor};

pub use lipscope_core::of::Of;

/// f as an affine function of a network's output and x.
trait Member {
    /// A and B at a level.
    ///
    /// # Errors
    /// f does not exist there.
    fn factors(&self, prediction: Prediction, level: &Level) -> Result<Affine>;

    /// Ȧ and Ḃ per step.
    fn rates(&self, prediction: Prediction, level: &Level) -> Result<Affine>;

    /// o, with its ∂/∂t where that is asked for.
    fn answer(&self, denoiser: &dyn Denoiser, state: &State, t: &[Timestep], with_rate: bool) -> Result<Dual> {
        denoiser.answer(state, t, with_rate)
    }
}

/// The member for each; `None` for ε, which a denoiser is by itself.
fn member(of: Of) -> Option<&'static dyn Member> {
    match of {
        Of::Epsilon => None,
        Of::Score => Some(&score::Score),
        Of::X0 => Some(&x0::X0),
        Of::Output => Some(&output::Output),
        Of::Excess => Some(&excess::Excess),
        Of::Guidance => Some(&guidance::Guidance),
    }
}

/// What is asked for of a model.
pub fn response(of: Of, denoiser: Box<dyn Denoiser>) -> Box<dyn Response> {
    match member(of) {
        None => denoiser,
        Some(member) => Box::new(Converted { of, member, denoiser }),
    }
}

/// Why it does not exist at t for this model; `None` where it does.
pub fn undefined_at(of: Of, denoiser: &dyn Denoiser, t: Timestep) -> Option<String> {
    let level = denoiser.schedule().level(t);
    let factors = match member(of)?.factors(denoiser.prediction(), &level) {
        Ok(factors) => factors,
        Err(error) => return Some(error.problem()),
    };
    let finite = factors.output.is_finite() && factors.x.is_finite();
    (!finite).then(|| format!("{of} is infinite at t = {t}, where α = {} and σ = {}", level.alpha, level.sigma))
}

/// A and B of f = A ε + B x at a level, and their rates per step.
///
/// # Errors
/// f does not exist there.
pub fn of_epsilon(of: Of, level: &Level) -> Result<(Affine, Affine)> {
    match member(of) {
        None => Ok((Affine { output: 1.0, x: 0.0 }, Affine { output: 0.0, x: 0.0 })),
        Some(member) => Ok((member.factors(Prediction::Epsilon, level)?, member.rates(Prediction::Epsilon, level)?)),
    }
}

/// Refuses what does not exist for some models, or is not the same thing for all of them.
///
/// # Errors
/// `--of guidance` of a model without a condition ∅; `--of output` of models that output different things.
pub fn check<'a>(of: Of, models: impl Iterator<Item = (&'a str, &'a dyn Denoiser)>) -> Result<()> {
    let models: Vec<_> = models.collect();
    match of {
        Of::Guidance => match models.iter().find(|(_, denoiser)| !denoiser.has_null()) {
            None => Ok(()),
            Some((label, _)) => Err(Error::unsupported(
                format!("--of guidance for {label}, which has no condition"),
                "ε(x, t, c) − ε(x, t, ∅) is there for conditional networks",
                "Use --of epsilon.",
            )),
        },
        Of::Output => match models.windows(2).find(|pair| pair[0].1.prediction() != pair[1].1.prediction()) {
            None => Ok(()),
            Some(pair) => Err(Error::mismatch(
                format!(
                    "{} outputs {} and {} outputs {}: with --of output they would be compared in different things",
                    pair[0].0,
                    pair[0].1.prediction(),
                    pair[1].0,
                    pair[1].1.prediction()
                ),
                "Use --of epsilon, to which both are converted.",
            )),
        },
        _ => Ok(()),
    }
}

/// A model of which something else than ε is asked.
struct Converted {
    of: Of,
    member: &'static dyn Member,
    denoiser: Box<dyn Denoiser>,
}

impl Converted {
    fn level(&self, t: Timestep) -> Level {
        self.denoiser.schedule().level(t)
    }

    fn factors(&self, t: &[Timestep]) -> Result<Vec<Affine>> {
        t.iter().map(|&t| self.member.factors(self.denoiser.prediction(), &self.level(t))).collect()
    }

    fn answer(&self, state: &State, t: &[Timestep], with_rate: bool) -> Result<Dual> {
        self.member.answer(&*self.denoiser, state, t, with_rate)
    }

    /// Where o moves. B′ − B is one factor: what x adds at both times does not have to cancel in rounded numbers.
    fn change_of_answer(&self, state: &State, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let (before, after) = (self.factors(t)?, self.factors(t_next)?);
        let of_x: Vec<f64> = before.iter().zip(&after).map(|(before, after)| after.x - before.x).collect();
        let next = after.iter().zip(of_x).map(|(after, x)| Affine { output: after.output, x });
        let next = affine(&self.answer(state, t_next, false)?.value, &state.x, &next.collect::<Vec<_>>())?;
        let here: Vec<Affine> = before.iter().map(|before| Affine { x: 0.0, ..*before }).collect();
        let here = affine(&self.answer(state, t, false)?.value, &state.x, &here)?;
        Ok((next.f_sub(&here).doing("subtracting predictions")?, 2 * t.len() as u64))
    }

    /// Where o is the same at both times.
    fn change_of_conversion(&self, state: &State, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let (before, after) = (self.factors(t)?, self.factors(t_next)?);
        let moved = before.iter().zip(&after).map(|(a, b)| Affine { output: b.output - a.output, x: b.x - a.x });
        let moved: Vec<Affine> = moved.collect();
        if moved.iter().all(|moved| *moved == Affine { output: 0.0, x: 0.0 }) {
            return Ok((state.x.f_zeros_like().doing("subtracting predictions")?, 0));
        }
        Ok((affine(&self.answer(state, t, false)?.value, &state.x, &moved)?, t.len() as u64))
    }
}

impl Response for Converted {
    fn process(&self) -> &dyn ForwardProcess {
        self.denoiser.process()
    }

    fn timestep_map(&self) -> &dyn TimestepMap {
        self.denoiser.timestep_map()
    }

    fn sample_shape(&self) -> &[i64] {
        self.denoiser.sample_shape()
    }

    fn device(&self) -> Device {
        self.denoiser.device()
    }

    fn kind(&self) -> Kind {
        self.denoiser.kind()
    }

    fn of(&self) -> Of {
        self.of
    }

    fn condition(&self, rows: i64, columns: &Columns) -> Result<Condition> {
        self.denoiser.condition(rows, columns)
    }

    fn value(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        affine(&self.answer(state, t, false)?.value, &state.x, &self.factors(t)?)
    }

    /// Ȧ·o + Ḃ·x + A·∂o/∂t.
    fn rate(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        let answer = self.answer(state, t, true)?;
        let prediction = self.denoiser.prediction();
        let rates: Result<Vec<Affine>> = t.iter().map(|&t| self.member.rates(prediction, &self.level(t))).collect();
        let moving = affine(&answer.value, &state.x, &rates?)?;
        let Some(tangent) = answer.tangent else { return Ok(moving) };
        let carried: Vec<Affine> = self.factors(t)?.into_iter().map(|factor| Affine { x: 0.0, ..factor }).collect();
        moving.f_add(&affine(&tangent, &state.x, &carried)?).doing("adding the parts of the derivative")
    }

    fn change(&self, state: &State, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        by_rows(
            (state, t, t_next),
            |t, next| !self.denoiser.answers_the_same(t, next),
            |state, t, next| self.change_of_answer(state, t, next),
            |state, t, next| self.change_of_conversion(state, t, next),
        )
    }

    fn lacks_rate(&self) -> Option<String> {
        self.denoiser.lacks_rate()
    }

    fn mixes_timesteps(&self) -> bool {
        self.denoiser.mixes_timesteps()
    }

    fn network_calls(&self) -> u64 {
        self.denoiser.network_calls()
    }
}

/// The refusal of something that is divided by σ where σ = 0.
fn no_noise(of: Of) -> Error {
    Error::mismatch(
        format!("the {of} does not exist where σ = 0: x holds no noise"),
        "Leave that timestep out with --timesteps.",
    )
}
