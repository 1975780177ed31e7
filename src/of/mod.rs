//! What is measured of a model: ε, or something that follows from the same evaluation of its network.
//!
//! ε = a·o + b·x is affine in the network's output o, with factors of t alone ([`Prediction`]), and so is everything here:
//! f = A·o + B·x, hence ∂f/∂t = Ȧ·o + Ḃ·x + A·∂o/∂t, exact. Where the network is told the same at t and t′, o is the same
//! and f(t′) − f(t) = (A′ − A)·o + (B′ − B)·x, an exact zero where the factors stand still.
//!
//! A new member is one file that implements `Member` and one line in `member`.

mod epsilon;
mod excess;
mod guidance;
mod output;
mod score;
mod spread;
#[cfg(test)]
mod tests;
mod x0;

use crate::denoiser::Denoiser;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::network::Condition;
use crate::prediction::{Affine, Prediction};
use crate::process::{Block, ForwardProcess};
use crate::response::{Response, affine, by_rows};
use crate::schedule::Level;
use crate::state::{Columns, State};
use crate::time::Timestep;
use crate::timestep_map::TimestepMap;
use tch::{Device, Kind, Tensor};

pub use lipscope_core::of::Of;

/// What can be measured of a model under Gaussian noise.
pub const GAUSSIAN: &[Of] = &[Of::Epsilon, Of::Score, Of::X0, Of::Output, Of::Excess, Of::Guidance, Of::Spread];

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

/// The member for each; what belongs to other processes is refused by [`check`].
fn member(of: Of) -> &'static dyn Member {
    match of {
        Of::Epsilon | Of::Rate | Of::Jumps => &epsilon::Epsilon,
        Of::Score => &score::Score,
        Of::X0 => &x0::X0,
        Of::Output => &output::Output,
        Of::Excess => &excess::Excess,
        Of::Guidance => &guidance::Guidance,
        Of::Spread => &spread::Spread,
    }
}

/// What is asked for of a model; under each of several guidance scales a block of its own, and all of them from one set of
/// evaluations. Without scales it is the model's own.
pub fn response(of: Of, scales: &[f64], denoiser: Box<dyn Denoiser>) -> Box<dyn Response> {
    if of.is_epsilon() && scales.is_empty() {
        return denoiser;
    }
    Box::new(Converted { member: member(of), denoiser, scales: scales.to_vec() })
}

/// The name of the block of a guidance scale.
pub fn scale_name(scale: f64) -> String {
    format!("w = {scale}")
}

/// What is asked for, or what is measured of a model where nothing is said.
pub fn asked(of: Option<Of>, model: Option<&dyn Response>) -> Of {
    of.or_else(|| model?.offers().first().copied()).unwrap_or_default()
}

/// Why it does not exist at t for this model; `None` where it does.
pub fn undefined_at(of: Of, response: &dyn Response, t: Timestep) -> Option<String> {
    let denoiser = response.as_denoiser().filter(|_| !of.is_epsilon())?;
    let level = denoiser.schedule().level(t);
    let factors = match member(of).factors(denoiser.prediction(), &level) {
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
    let member = member(of);
    Ok((member.factors(Prediction::Epsilon, level)?, member.rates(Prediction::Epsilon, level)?))
}

/// Refuses what does not exist for some models, or is not the same thing for all of them.
///
/// # Errors
/// A model that has no such thing; `--of guidance` of a model without a condition ∅; `--of spread` of one without random inputs; `--of output` of models that output
/// different things.
pub fn check<'a>(of: Of, models: impl Iterator<Item = (&'a str, &'a dyn Response)>) -> Result<()> {
    let models: Vec<_> = models.collect();
    if let Some((label, response)) = models.iter().find(|(_, response)| !response.offers().contains(&of)) {
        let names: Vec<&str> = response.offers().iter().map(|of| of.name()).collect();
        let allowed = format!("under its forward process there is {}", names.join(", "));
        return Err(Error::unsupported(
            format!("--of {of} for {label}"),
            allowed,
            "Choose one of them, or leave out --of.",
        ));
    }
    let denoisers = models.into_iter().filter_map(|(label, response)| Some((label, response.as_denoiser()?)));
    let models: Vec<_> = denoisers.collect();
    match of {
        Of::Spread => match models.iter().find(|(_, denoiser)| !denoiser.is_random()) {
            None => Ok(()),
            Some((label, _)) => Err(no_random_input(label)),
        },
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

/// The refusal of `--of spread` for a model of which nothing is drawn.
pub(crate) fn no_random_input(label: &str) -> Error {
    Error::unsupported(
        format!("--of spread for {label}, which has no random input,"),
        "it is the distance of two draws",
        "Name one with --inputs, such as x,t,eta=normal, or use --of epsilon.",
    )
}

/// A model of which something else than ε is asked.
struct Converted {
    member: &'static dyn Member,
    denoiser: Box<dyn Denoiser>,
    /// w of each block; empty for one block of the model's own.
    scales: Vec<f64>,
}

impl Converted {
    fn level(&self, t: Timestep) -> Level {
        self.denoiser.schedule().level(t)
    }

    fn factors(&self, t: &[Timestep]) -> Result<Vec<Affine>> {
        t.iter().map(|&t| self.member.factors(self.denoiser.prediction(), &self.level(t))).collect()
    }

    /// t of x and of A and B at the second time: the first where t is held.
    fn own<'a>(&self, t: &'a [Timestep], t_next: &'a [Timestep]) -> &'a [Timestep] {
        if self.denoiser.holds_t() { t } else { t_next }
    }

    /// o of every block: (1 + w) o(x, t, c) − w o(x, t, ∅).
    fn answers(&self, state: &State, t: &[Timestep], with_rate: bool) -> Result<Vec<Dual>> {
        if self.scales.is_empty() {
            return Ok(vec![self.member.answer(&*self.denoiser, state, t, with_rate)?]);
        }
        let (with, without) = self.denoiser.answers(state, t, with_rate)?;
        self.scales.iter().map(|&scale| guidance::combined(scale, &with, &without)).collect()
    }

    /// A·o + B·x of every block, side by side.
    fn together(&self, outputs: &[Tensor], x: &Tensor, factors: &[Affine]) -> Result<Tensor> {
        let parts = outputs.iter().map(|output| affine(output, x, factors)).collect::<Result<Vec<Tensor>>>()?;
        match &parts[..] {
            [one] => Ok(one.shallow_clone()),
            all => {
                let flat = all.iter().map(|part| part.f_flatten(1, -1)).collect::<std::result::Result<Vec<_>, _>>();
                flat.and_then(|flat| Tensor::f_cat(&flat, 1)).doing("laying guidance scales side by side")
            }
        }
    }

    /// The same of the values alone.
    fn values(&self, answers: &[Dual], x: &Tensor, factors: &[Affine]) -> Result<Tensor> {
        let outputs: Vec<Tensor> = answers.iter().map(|answer| answer.value.shallow_clone()).collect();
        self.together(&outputs, x, factors)
    }

    /// Where o moves. B′ − B is one factor: what x adds at both times does not have to cancel in rounded numbers.
    fn change_of_answer(&self, state: &State, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let (before, after) = (self.factors(t)?, self.factors(self.own(t, t_next))?);
        let state = &state.held_at(t);
        let of_x: Vec<f64> = before.iter().zip(&after).map(|(before, after)| after.x - before.x).collect();
        let next = after.iter().zip(of_x).map(|(after, x)| Affine { output: after.output, x });
        let next = self.values(&self.answers(state, t_next, false)?, &state.x, &next.collect::<Vec<_>>())?;
        let here: Vec<Affine> = before.iter().map(|before| Affine { x: 0.0, ..*before }).collect();
        let here = self.values(&self.answers(state, t, false)?, &state.x, &here)?;
        Ok((next.f_sub(&here).doing("subtracting predictions")?, 2 * t.len() as u64))
    }

    /// Where o is the same at both times.
    fn change_of_conversion(&self, state: &State, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let (before, after) = (self.factors(t)?, self.factors(self.own(t, t_next))?);
        let moved = before.iter().zip(&after).map(|(a, b)| Affine { output: b.output - a.output, x: b.x - a.x });
        let moved: Vec<Affine> = moved.collect();
        if moved.iter().all(|moved| *moved == Affine { output: 0.0, x: 0.0 }) {
            let zeros = state.x.f_zeros_like().doing("subtracting predictions")?;
            let blocks: Vec<Tensor> = (0..self.scales.len().max(1)).map(|_| zeros.shallow_clone()).collect();
            return Ok((self.together(&blocks, &zeros, &vec![Affine { output: 1.0, x: 0.0 }; t.len()])?, 0));
        }
        Ok((self.values(&self.answers(state, t, false)?, &state.x, &moved)?, t.len() as u64))
    }
}

impl Response for Converted {
    fn offers(&self) -> &'static [Of] {
        GAUSSIAN
    }

    fn asked_for(self: Box<Self>, of: Of, scales: &[f64]) -> Box<dyn Response> {
        response(of, scales, self.denoiser)
    }

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

    fn blocks(&self) -> Vec<Block> {
        let own = self.denoiser.blocks();
        let width = own.last().map_or(0, |block| block.elements.end);
        let scales = self.scales.iter().enumerate();
        let block = |(i, scale): (usize, &f64)| Block {
            name: Some(scale_name(*scale)),
            elements: i as i64 * width..(i as i64 + 1) * width,
        };
        if self.scales.is_empty() { own } else { scales.map(block).collect() }
    }

    fn condition(&self, rows: i64, columns: &Columns) -> Result<Condition> {
        self.denoiser.condition(rows, columns)
    }

    fn value(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        self.values(&self.answers(state, t, false)?, &state.x, &self.factors(t)?)
    }

    /// Ȧ·o + Ḃ·x + A·∂o/∂t.
    fn rate(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        let answers = self.answers(state, t, true)?;
        let prediction = self.denoiser.prediction();
        let rate = |&t: &Timestep| match self.denoiser.holds_t() {
            true => Ok(Affine { output: 0.0, x: 0.0 }),
            false => self.member.rates(prediction, &self.level(t)),
        };
        let rates: Result<Vec<Affine>> = t.iter().map(rate).collect();
        let moving = self.values(&answers, &state.x, &rates?)?;
        let tangents: Option<Vec<Tensor>> = answers.into_iter().map(|answer| answer.tangent).collect();
        let Some(tangents) = tangents else { return Ok(moving) };
        let carried: Vec<Affine> = self.factors(t)?.into_iter().map(|factor| Affine { x: 0.0, ..factor }).collect();
        moving.f_add(&self.together(&tangents, &state.x, &carried)?).doing("adding the parts of the derivative")
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
