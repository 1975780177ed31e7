//! The rows that are sampled together: the model that they ask, and their random streams.

use super::Which;
use crate::denoiser::Denoiser;
use crate::device::upload;
use crate::error::{Doing, Error, Result};
use crate::network::Condition;
use crate::random::{Purpose, fill_normal, stream};
use crate::schedule::NoiseSchedule;
use crate::state::Columns;
use crate::state::State;
use crate::time::Timestep;
use std::ops::Range;
use tch::{Kind, Tensor};

/// What a model predicts of x at one timestep.
#[derive(Debug)]
pub struct Predicted {
    /// x̂₀, clamped where that was asked for.
    pub x0: Tensor,
    /// ε̂ = (x − α x̂₀)/σ.
    pub epsilon: Tensor,
}

/// A batch on its way.
pub struct Batch<'a> {
    denoiser: &'a dyn Denoiser,
    clip: Option<f64>,
    seed: u64,
    samples: Range<u64>,
    /// What the samples are conditional on.
    condition: Condition,
    progress: &'a mut dyn FnMut() -> bool,
    stopped: bool,
    /// Timestep and x̂₀ of the step before, for samplers that look back.
    pub previous: Option<(Timestep, Tensor)>,
}

impl<'a> Batch<'a> {
    /// A batch before its first step.
    pub(super) fn new(
        denoiser: &'a dyn Denoiser,
        clip: Option<f64>,
        Which { seed, samples, labels }: Which,
        progress: &'a mut dyn FnMut() -> bool,
    ) -> Result<Self> {
        if let Some(clip) = clip.filter(|clip| !(clip.is_finite() && *clip > 0.0)) {
            return Err(Error::argument("--clip", clip, "it is a number above 0", "Such as --clip 1, or none."));
        }
        let rows = samples.end.saturating_sub(samples.start) as i64;
        let condition = denoiser.condition(rows, &Columns::of_samples(labels, seed, samples.clone()))?;
        Ok(Batch { denoiser, clip, seed, samples, condition, progress, stopped: false, previous: None })
    }

    /// The schedule by which x is noised.
    pub fn schedule(&self) -> &'a dyn NoiseSchedule {
        self.denoiser.schedule()
    }

    /// dtype of x between the evaluations: a network in half precision is asked in its own, and x keeps float32.
    fn kind(&self) -> Kind {
        match self.denoiser.kind() {
            Kind::Half | Kind::BFloat16 => Kind::Float,
            kind => kind,
        }
    }

    /// Whether sampling was interrupted.
    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    /// One network evaluation at x [B, …]; where x̂₀ is clamped, ε̂ is that of the clamped one.
    pub fn predict(&mut self, x: &Tensor, t: Timestep) -> Result<Predicted> {
        let x0 = self.x0(x, t)?;
        let x0 = self.clamped(x0)?;
        let epsilon = self.epsilon(x, &x0, t)?;
        Ok(Predicted { x0, epsilon })
    }

    /// The same with the network's own ε̂, whatever becomes of x̂₀.
    pub fn predict_own(&mut self, x: &Tensor, t: Timestep) -> Result<Predicted> {
        let x0 = self.x0(x, t)?;
        let epsilon = self.epsilon(x, &x0, t)?;
        Ok(Predicted { x0: self.clamped(x0)?, epsilon })
    }

    fn x0(&mut self, x: &Tensor, t: Timestep) -> Result<Tensor> {
        let doing = "predicting a clean sample";
        let asked = x.f_to_kind(self.denoiser.kind()).doing(doing)?;
        let state = State { x: asked, condition: self.condition.shallow_clone() };
        let x0 = self.denoiser.x0(&state, &vec![t; x.size()[0] as usize])?;
        self.stopped |= !(self.progress)();
        x0.f_to_kind(self.kind()).doing(doing)
    }

    fn clamped(&self, x0: Tensor) -> Result<Tensor> {
        let clamp = |clip: f64| x0.f_clamp(-clip, clip).doing("clamping a predicted sample");
        self.clip.map_or_else(|| Ok(x0.shallow_clone()), clamp)
    }

    /// ε̂ = (x − α x̂₀)/σ
    fn epsilon(&self, x: &Tensor, x0: &Tensor, t: Timestep) -> Result<Tensor> {
        let (alpha, sigma) = (self.schedule().alpha(t), self.schedule().sigma(t));
        combine(&[(1.0, x), (-alpha, x0)])?.f_div_scalar(sigma).doing("predicting the noise")
    }

    /// The state at `t` that sampling starts from, [B, …]: what the process makes of samples without a signal.
    pub(super) fn start(&self, t: Timestep) -> Result<Tensor> {
        self.denoiser.process().start(&self.normal(Purpose::Start, 0.0)?, t)
    }

    /// The noise that is added in a step from `t`, [B, …].
    pub fn noise(&self, t: Timestep) -> Result<Tensor> {
        self.normal(Purpose::Ancestral, t)
    }

    fn normal(&self, purpose: Purpose, t: Timestep) -> Result<Tensor> {
        let shape = self.denoiser.sample_shape();
        let dim: i64 = shape.iter().product();
        let rows = self.samples.end.saturating_sub(self.samples.start);
        let mut values = vec![0.0f32; rows as usize * dim as usize];
        for (row, sample) in values.chunks_exact_mut((dim as usize).max(1)).zip(self.samples.clone()) {
            fill_normal(&mut stream(self.seed, purpose, t, sample), row);
        }
        let full: Vec<i64> = std::iter::once(rows as i64).chain(shape.iter().copied()).collect();
        upload(&values, &full, self.denoiser.device(), self.kind())
    }
}

/// Σ factor · tensor, in the order of the terms.
pub(super) fn combine(terms: &[(f64, &Tensor)]) -> Result<Tensor> {
    let doing = "taking a sampling step";
    let mut sum: Option<Tensor> = None;
    for &(factor, tensor) in terms {
        let term = if factor == 1.0 { tensor.shallow_clone() } else { tensor.f_mul_scalar(factor).doing(doing)? };
        sum = Some(match sum {
            Some(sum) => sum.f_add(&term).doing(doing)?,
            None => term,
        });
    }
    sum.ok_or_else(|| Error::mismatch("a sampling step has no terms", "Please report this."))
}
