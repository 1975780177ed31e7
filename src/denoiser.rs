//! A denoiser: network + schedule + timestep map + prediction type = ε(x, t), the only contract that estimators and
//! samplers see.

use crate::device::scale_rows;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::guidance::{Asked, Guidance};
use crate::network::Network;
use crate::prediction::{Affine, Prediction};
use crate::process::{self, ForwardProcess};
use crate::schedule::NoiseSchedule;
use crate::time::{Conditioning, Timestep};
use crate::timestep_map::TimestepMap;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// ε(x, t) for a batch, one timestep per row.
pub trait Denoiser {
    /// How x_t comes from x₀.
    fn process(&self) -> &dyn ForwardProcess;

    /// The schedule of its process.
    fn schedule(&self) -> &dyn NoiseSchedule;

    /// The map from t to the network's condition.
    fn timestep_map(&self) -> &dyn TimestepMap;

    /// Shape of one sample, without the batch axis.
    fn sample_shape(&self) -> &[i64];

    /// Where the arithmetic runs.
    fn device(&self) -> Device;

    /// dtype of x and ε.
    fn kind(&self) -> Kind;

    /// Predicted noise, [B, …], for x [B, …] and B timesteps in steps.
    fn epsilon(&self, x: &Tensor, t: &[Timestep]) -> Result<Tensor>;

    /// ∂ε/∂t per step at fixed x, exact, of the same shape.
    fn epsilon_rate(&self, x: &Tensor, t: &[Timestep]) -> Result<Tensor>;

    /// (∂ε/∂x)·v, and with `with_time` also ∂ε/∂t per step, exact, of the shape of x.
    fn epsilon_along(&self, x: &Tensor, v: &Tensor, with_time: bool, t: &[Timestep]) -> Result<Tensor>;

    /// (∂ε/∂x)ᵀ·u, of the shape of x.
    fn epsilon_transposed(&self, x: &Tensor, u: &Tensor, t: &[Timestep]) -> Result<Tensor> {
        transposed(x, u, |x| self.epsilon(x, t))
    }

    /// Whether derivatives in x can be computed; if not, why, as the end of "… is not available for".
    fn lacks_jacobian(&self) -> Option<String> {
        None
    }

    /// Whether [`Denoiser::epsilon_rate`] can be computed; if not, why, as the end of "… is not available for".
    fn lacks_rate(&self) -> Option<String> {
        None
    }

    /// Whether a batch may hold rows of several timesteps.
    fn mixes_timesteps(&self) -> bool {
        true
    }

    /// Network evaluations that one evaluation of ε takes: two with guidance.
    fn network_calls(&self) -> u64 {
        1
    }

    /// Predicted clean sample, [B, …].
    fn x0(&self, x: &Tensor, t: &[Timestep]) -> Result<Tensor>;

    /// Predicted clean sample at t, [B, …], of a network that is asked about the timesteps `asked`: its condition is theirs,
    /// while α and σ stay those of t.
    fn x0_asked(&self, x: &Tensor, t: &[Timestep], asked: &[Timestep]) -> Result<Tensor> {
        let epsilon = self.epsilon(x, asked)?;
        convert(&epsilon, x, t, |t| Prediction::Epsilon.x0(&self.schedule().level(t)))
    }

    /// Whether [`Denoiser::x0`] is defined where α = 0, so that sampling can start from noise without any signal.
    fn predicts_without_signal(&self) -> bool {
        false
    }

    /// ε(x, t′) − ε(x, t), [B, …], and how many network evaluations it took.
    fn epsilon_change(&self, x: &Tensor, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let change = self.epsilon(x, t_next)?.f_sub(&self.epsilon(x, t)?).doing("subtracting predictions")?;
        Ok((change, 2 * t.len() as u64))
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

/// A network with everything that gives its output a meaning.
pub struct NetworkDenoiser {
    /// The network, on its device and in its dtype.
    pub network: Box<dyn Network>,
    /// The process that it was trained on.
    pub process: process::Gaussian,
    /// The timestep map laid over it.
    pub map: Arc<dyn TimestepMap>,
    /// What it outputs.
    pub prediction: Prediction,
    /// Which number it gets for t.
    pub conditioning: Conditioning,
    /// What it is asked for, where it is conditional.
    pub asked: Asked,
    /// Guidance towards that; each evaluation then is two of the network's.
    pub guidance: Option<Guidance>,
    /// Shape of one sample.
    pub sample_shape: Vec<i64>,
    /// Where it runs.
    pub device: Device,
    /// Its dtype.
    pub kind: Kind,
}

impl NetworkDenoiser {
    /// The network's own output for the mapped timesteps; with a tangent of ones on t, its derivative along t.
    fn output(&self, x: &Tensor, t: &[Timestep], with_tangent: bool) -> Result<Dual> {
        self.output_along(&Dual::constant(x.shallow_clone()), t, with_tangent)
    }

    /// The same where x has a tangent of its own.
    fn output_along(&self, x: &Dual, t: &[Timestep], with_tangent: bool) -> Result<Dual> {
        let schedule = self.schedule();
        let coordinate = |&t: &Timestep| self.conditioning.coordinate(schedule, self.map.condition(t));
        let value = self.per_row(t, coordinate)?;
        let time = if with_tangent {
            let rate = |&t: &Timestep| self.conditioning.rate(schedule, self.map.condition(t)) * self.map.rate(t);
            Dual::new(value, self.per_row(t, rate)?)
        } else {
            Dual::constant(value)
        };
        let ask = |asked: &Asked| {
            let condition = asked.batch(t.len() as i64, self.device, self.kind)?;
            self.first_half(self.network.forward(x, &time, &condition)?, &x.value)
        };
        let output = ask(&self.asked)?;
        match &self.guidance {
            None => Ok(output),
            Some(guidance) => guidance.combine(&output, &ask(&guidance.without)?),
        }
    }

    /// One number per row, float32 even for half-precision networks unless the network's time has a dtype of its own; a
    /// shared number is filled in on the device.
    fn per_row(&self, t: &[Timestep], f: impl Fn(&Timestep) -> f64) -> Result<Tensor> {
        let default = if self.kind == Kind::Double { Kind::Double } else { Kind::Float };
        let kind = self.network.time_kind().unwrap_or(default);
        let doing = "filling in the timesteps";
        match t.split_first() {
            Some((first, rest)) if rest.iter().all(|other| other == first) => {
                Tensor::f_full([t.len() as i64], f(first), (kind, self.device)).doing(doing)
            }
            _ => {
                let values: Vec<f64> = t.iter().map(f).collect();
                Tensor::from_slice(&values).f_to_kind(kind).and_then(|v| v.f_to_device(self.device)).doing(doing)
            }
        }
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

    /// The change of ε where both times share one condition: the network's output is the same, and only what turns it into
    /// ε moves.
    fn change_of_conversion(&self, x: &Tensor, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let doing = "subtracting predictions";
        if self.prediction == Prediction::Epsilon {
            return Ok((x.f_zeros_like().doing(doing)?, 0));
        }
        let output = self.output(x, t, false)?.value;
        let to_epsilon = |times: &[Timestep]| {
            convert(&output, x, times, |t| self.prediction.epsilon(&self.process.schedule.level(t)))
        };
        Ok((to_epsilon(t_next)?.f_sub(&to_epsilon(t)?).doing(doing)?, t.len() as u64))
    }
}

/// output·a + x·b with one pair of factors per row.
fn convert(output: &Tensor, x: &Tensor, t: &[Timestep], f: impl Fn(Timestep) -> Result<Affine>) -> Result<Tensor> {
    let factors = t.iter().map(|&t| f(t)).collect::<Result<Vec<Affine>>>()?;
    if factors.iter().all(|factor| *factor == Affine { output: 1.0, x: 0.0 }) {
        return Ok(output.shallow_clone());
    }
    let (of_output, of_x): (Vec<f64>, Vec<f64>) = factors.iter().map(|factor| (factor.output, factor.x)).unzip();
    scale_rows(output, &of_output)?.f_add(&scale_rows(x, &of_x)?).doing("converting the prediction")
}

impl Denoiser for NetworkDenoiser {
    fn process(&self) -> &dyn ForwardProcess {
        &self.process
    }

    fn schedule(&self) -> &dyn NoiseSchedule {
        &*self.process.schedule
    }

    fn timestep_map(&self) -> &dyn TimestepMap {
        &*self.map
    }

    fn sample_shape(&self) -> &[i64] {
        &self.sample_shape
    }

    fn device(&self) -> Device {
        self.device
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn epsilon(&self, x: &Tensor, t: &[Timestep]) -> Result<Tensor> {
        let output = self.output(x, t, false)?.value;
        convert(&output, x, t, |t| self.prediction.epsilon(&self.process.schedule.level(t)))
    }

    fn epsilon_along(&self, x: &Tensor, v: &Tensor, with_time: bool, t: &[Timestep]) -> Result<Tensor> {
        let doing = "adding the parts of the derivative";
        let output = self.output_along(&Dual::new(x.shallow_clone(), v.shallow_clone()), t, with_time)?;
        let tangent = output.tangent.unwrap_or_else(|| x.zeros_like());
        // ε = a·output + b·x  ⇒  dε = a·d output + b·v, and with time ȧ·output + ḃ·x
        let along = convert(&tangent, v, t, |t| self.prediction.epsilon(&self.process.schedule.level(t)))?;
        if !with_time {
            return Ok(along);
        }
        let moving = convert(&output.value, x, t, |t| self.prediction.epsilon_rate(&self.process.schedule.level(t)))?;
        along.f_add(&moving).doing(doing)
    }

    fn lacks_jacobian(&self) -> Option<String> {
        (!self.network.carries_x_tangents()).then(|| self.network.architecture())
    }

    fn epsilon_rate(&self, x: &Tensor, t: &[Timestep]) -> Result<Tensor> {
        let output = self.output(x, t, true)?;
        // ε = a·output + b·x  ⇒  ∂ε/∂t = ȧ·output + ḃ·x + a·∂output/∂t
        let moving = convert(&output.value, x, t, |t| self.prediction.epsilon_rate(&self.process.schedule.level(t)))?;
        let Some(tangent) = output.tangent else { return Ok(moving) };
        let carried = convert(&tangent, x, t, |t| {
            self.prediction.epsilon(&self.process.schedule.level(t)).map(|factor| Affine { x: 0.0, ..factor })
        })?;
        moving.f_add(&carried).doing("adding the parts of the derivative")
    }

    fn lacks_rate(&self) -> Option<String> {
        (!self.network.carries_tangents()).then(|| self.network.architecture())
    }

    fn mixes_timesteps(&self) -> bool {
        self.network.mixes_timesteps()
    }

    fn network_calls(&self) -> u64 {
        1 + u64::from(self.guidance.is_some())
    }

    fn x0(&self, x: &Tensor, t: &[Timestep]) -> Result<Tensor> {
        self.x0_asked(x, t, t)
    }

    fn x0_asked(&self, x: &Tensor, t: &[Timestep], asked: &[Timestep]) -> Result<Tensor> {
        let output = self.output(x, asked, false)?.value;
        convert(&output, x, t, |t| self.prediction.x0(&self.process.schedule.level(t)))
    }

    fn predicts_without_signal(&self) -> bool {
        self.prediction != Prediction::Epsilon
    }

    /// Rows whose two times share one condition are exact zeros where the network answers with ε itself, and cost nothing.
    fn epsilon_change(&self, x: &Tensor, t: &[Timestep], t_next: &[Timestep]) -> Result<(Tensor, u64)> {
        let doing = "subtracting predictions";
        let moves = |(&t, &next): (&Timestep, &Timestep)| self.map.condition(t) != self.map.condition(next);
        let moving: Vec<bool> = t.iter().zip(t_next).map(moves).collect();
        let rows = moving.iter().filter(|moves| **moves).count() as u64;
        if rows == t.len() as u64 {
            let change = self.epsilon(x, t_next)?.f_sub(&self.epsilon(x, t)?).doing(doing)?;
            return Ok((change, 2 * rows));
        }
        if rows == 0 {
            return self.change_of_conversion(x, t, t_next);
        }
        let mut change = x.f_zeros_like().doing(doing)?;
        let mut evaluations = 0;
        for part in [true, false] {
            let index: Vec<i64> = (0..t.len() as i64).filter(|&row| moving[row as usize] == part).collect();
            let times = |all: &[Timestep]| index.iter().map(|&row| all[row as usize]).collect::<Vec<Timestep>>();
            let index = Tensor::f_from_slice(&index).and_then(|v| v.f_to_device(self.device)).doing(doing)?;
            let here = x.f_index_select(0, &index).doing(doing)?;
            let (part, spent) = self.epsilon_change(&here, &times(t), &times(t_next))?;
            change = change.f_index_copy(0, &index, &part).doing(doing)?;
            evaluations += spent;
        }
        Ok((change, evaluations))
    }
}
