//! What estimators see of a model: f(x, t | condition), its change and its rate in t, under a forward process.
//!
//! A [`Denoiser`] is a response whose value is ε; it adds what samplers and Jacobians need.

use crate::denoiser::RateParts;
use crate::device::{scale_rows, upload_integers};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::ideal::IdealJumps;
use crate::network::Condition;
use crate::of::{self, Of};
use crate::prediction::{Affine, Prediction};
use crate::process::{Block, ForwardProcess};
use crate::schedule::NoiseSchedule;
use crate::state::{Columns, State};
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
        let held = &state.held_at(t);
        let change = self.value(held, t_next)?.f_sub(&self.value(held, t)?).doing("subtracting predictions")?;
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

    /// The same model where its rate can be told apart; if not, why.
    fn rate_parts(&self) -> std::result::Result<&dyn RateParts, String> {
        Err("a closed form has no places where t enters".into())
    }

    /// What can be measured of it; the first is what is measured where nothing is said.
    fn offers(&self) -> &'static [Of];

    /// The same model, of which `of` is measured, one of [`Response::offers`]; under each of several guidance `scales` a block
    /// of its own.
    fn asked_for(self: Box<Self>, of: Of, scales: &[f64]) -> Box<dyn Response>;

    /// The same model where its expectations can be had exactly, by enumerating all states.
    fn by_enumeration(&self) -> Option<&IdealJumps> {
        None
    }

    /// The same model as a denoiser, where it is one.
    fn as_denoiser(&self) -> Option<&dyn Denoiser> {
        None
    }
}

/// A response whose value is the predicted noise ε, [B, …] of the shape of x.
pub trait Denoiser: Response {
    /// The schedule of its process.
    fn schedule(&self) -> &dyn NoiseSchedule;

    /// Predicted noise, [B, …], for B timesteps in steps.
    fn epsilon(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        self.value(state, t)
    }

    /// What its network outputs; ε itself for one without a network.
    fn prediction(&self) -> Prediction {
        Prediction::Epsilon
    }

    /// The network's output, [B, …] of the shape of x, and with `with_rate` its exact ∂/∂t per step.
    fn answer(&self, state: &State, t: &[Timestep], with_rate: bool) -> Result<Dual> {
        let value = self.epsilon(state, t)?;
        let tangent = if with_rate { Some(self.rate(state, t)?) } else { None };
        Ok(Dual { value, tangent })
    }

    /// Whether the output at both times is the same for every x, whatever the network computes.
    fn answers_the_same(&self, t: Timestep, next: Timestep) -> bool {
        self.timestep_map().condition(t) == self.timestep_map().condition(next)
    }

    /// Whether t is held in changes and rates, so that only other arguments of time move.
    fn holds_t(&self) -> bool {
        false
    }

    /// Whether it knows a condition ∅, so that [`Denoiser::answers`] exist.
    fn has_null(&self) -> bool {
        false
    }

    /// The network's outputs under the condition and under ∅, with their ∂/∂t where that is asked for.
    ///
    /// # Errors
    /// There is no condition ∅.
    fn answers(&self, _state: &State, _t: &[Timestep], _with_rate: bool) -> Result<(Dual, Dual)> {
        Err(Error::unsupported(
            "guidance of a model without conditions",
            "ε(x, t, c) and ε(x, t, ∅) are there for conditional networks",
            "Use --of epsilon, without --guidance.",
        ))
    }

    /// Whether some of its inputs are random, so that [`Denoiser::answers_of_draws`] exist.
    fn is_random(&self) -> bool {
        false
    }

    /// The network's outputs for two draws of its random inputs, with their ∂/∂t where that is asked for.
    ///
    /// # Errors
    /// Nothing of it is drawn.
    fn answers_of_draws(&self, _state: &State, _t: &[Timestep], _with_rate: bool) -> Result<(Dual, Dual)> {
        Err(of::no_random_input("this model"))
    }

    /// (∂ε/∂x)·v, and with `with_time` also ∂ε/∂t per step, exact, of the shape of x.
    fn along(&self, state: &State, v: &Tensor, with_time: bool, t: &[Timestep]) -> Result<Tensor>;

    /// (∂ε/∂x)ᵀ·u, of the shape of x.
    fn transposed(&self, state: &State, u: &Tensor, t: &[Timestep]) -> Result<Tensor> {
        transposed(&state.x, u, |x| self.epsilon(&state.with_x(x.shallow_clone()), t))
    }

    /// Whether derivatives in x can be computed; if not, why, as the end of "… is not available for".
    fn lacks_jacobian(&self) -> Option<String> {
        None
    }

    /// Whether it is the ideal denoiser of a finite data set, so that [`Denoiser::own_weights`] exist.
    fn is_of_rows(&self) -> bool {
        false
    }

    /// The posterior weight of the point that each row of x came from, float64 `[B]`, and ∂ε/∂t; `origins` are the rows of
    /// the data that these points are.
    ///
    /// # Errors
    /// It is no ideal denoiser of a finite data set, or the rows are not of its data.
    fn own_weights(&self, _state: &State, _origins: &[usize], _t: &[Timestep]) -> Result<(Tensor, Tensor)> {
        Err(Error::unsupported("weighing points", "only a finite data set has points", "Measure theory --data FILE."))
    }

    /// Predicted clean sample, [B, …].
    fn x0(&self, state: &State, t: &[Timestep]) -> Result<Tensor>;

    /// Predicted clean sample at t, [B, …], of a network that is asked about the timesteps `asked`: its condition is theirs,
    /// while α and σ stay those of t.
    fn x0_asked(&self, state: &State, t: &[Timestep], asked: &[Timestep]) -> Result<Tensor> {
        let epsilon = self.epsilon(state, asked)?;
        convert(&epsilon, &state.x, t, |t| Prediction::Epsilon.x0(&self.schedule().level(t)))
    }

    /// Whether [`Denoiser::x0`] is defined where α = 0, so that sampling can start from noise without any signal.
    fn predicts_without_signal(&self) -> bool {
        false
    }
}

/// (∂f/∂x)ᵀ·u in reverse mode, also where gradients are switched off around it.
pub(crate) fn transposed(x: &Tensor, u: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let doing = "differentiating in x";
    tch::with_grad(|| {
        let x = x.f_detach().and_then(|mut x| x.f_requires_grad_(true)).doing(doing)?;
        let product = f(&x)?.f_mul(u).and_then(|product| product.f_sum(x.kind())).doing(doing)?;
        let gradients = Tensor::f_run_backward(&[product], &[&x], false, false).doing(doing)?;
        Ok(gradients.into_iter().next().map_or_else(|| x.zeros_like(), |gradient| gradient.detach()))
    })
}

/// output·a + x·b with one pair of factors per row.
pub(crate) fn convert(
    output: &Tensor,
    x: &Tensor,
    t: &[Timestep],
    f: impl Fn(Timestep) -> Result<Affine>,
) -> Result<Tensor> {
    affine(output, x, &t.iter().map(|&t| f(t)).collect::<Result<Vec<Affine>>>()?)
}

/// The same with the pairs themselves.
pub(crate) fn affine(output: &Tensor, x: &Tensor, factors: &[Affine]) -> Result<Tensor> {
    if factors.iter().all(|factor| *factor == Affine { output: 1.0, x: 0.0 }) {
        return Ok(output.shallow_clone());
    }
    let (of_output, of_x): (Vec<f64>, Vec<f64>) = factors.iter().map(|factor| (factor.output, factor.x)).unzip();
    scale_rows(output, &of_output)?.f_add(&scale_rows(x, &of_x)?).doing("converting the prediction")
}

/// A change whose rows are of two kinds: those for which `moves` holds are computed by `moving`, the others by `resting`.
pub(crate) fn by_rows(
    (state, t, t_next): (&State, &[Timestep], &[Timestep]),
    moves: impl Fn(Timestep, Timestep) -> bool,
    moving: impl Fn(&State, &[Timestep], &[Timestep]) -> Result<(Tensor, u64)>,
    resting: impl Fn(&State, &[Timestep], &[Timestep]) -> Result<(Tensor, u64)>,
) -> Result<(Tensor, u64)> {
    let doing = "subtracting predictions";
    let kinds: Vec<bool> = t.iter().zip(t_next).map(|(&t, &next)| moves(t, next)).collect();
    if kinds.iter().all(|moves| *moves) {
        return moving(state, t, t_next);
    }
    if !kinds.contains(&true) {
        return resting(state, t, t_next);
    }
    let mut change: Option<Tensor> = None;
    let mut evaluations = 0;
    for kind in [true, false] {
        let index: Vec<i64> = (0..t.len() as i64).filter(|&row| kinds[row as usize] == kind).collect();
        let times = |all: &[Timestep]| index.iter().map(|&row| all[row as usize]).collect::<Vec<Timestep>>();
        let (here, here_next) = (times(t), times(t_next));
        let index = upload_integers(&index, state.x.device())?;
        let rows = state.select(&index)?;
        let (part, spent) = if kind { moving(&rows, &here, &here_next)? } else { resting(&rows, &here, &here_next)? };
        let shape: Vec<i64> = std::iter::once(t.len() as i64).chain(part.size().into_iter().skip(1)).collect();
        let whole = match change {
            Some(whole) => whole,
            None => Tensor::f_zeros(&shape[..], (part.kind(), part.device())).doing(doing)?,
        };
        change = Some(whole.f_index_copy(0, &index, &part).doing(doing)?);
        evaluations += spent;
    }
    // Both kinds are there.
    let none = || state.x.f_zeros_like().doing(doing);
    Ok((change.map_or_else(none, Ok)?, evaluations))
}
