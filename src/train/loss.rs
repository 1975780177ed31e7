//! One batch's loss: x_t = α x₀ + σ ε, the network asked about its condition, and the error of its output.

use super::{Batch, Plan, Run};
use crate::device::{column, upload, upload_integers, upload_numbers};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::network::{Condition, Network};
use tch::{Device, Kind, TchError, Tensor};

/// What one batch comes to.
pub(super) struct Loss {
    /// What is minimised: a scalar in the dtype of the weights.
    pub objective: Tensor,
    /// mean((output − target)²) of every sample, unweighted, `[B]`, without gradients.
    pub errors: Tensor,
}

/// The loss of a network on a batch.
pub(super) fn loss(network: &dyn Network, plan: &Plan, run: &Run, batch: &Batch, device: Device) -> Result<Loss> {
    let doing = "computing the training loss";
    let rows = Rows { plan, device, kind: plan.kind() };
    let (x0, noise) = (rows.samples(&batch.x0)?, rows.samples(&batch.noise)?);
    let level = |t: &usize| &run.levels[*t];
    let mix = |factors: &dyn Fn(&usize) -> (f64, f64)| -> Result<Tensor> {
        let (a, b): (Vec<f64>, Vec<f64>) = batch.t.iter().map(factors).unzip();
        let (a, b) = (rows.column(&a)?, rows.column(&b)?);
        x0.f_mul(&a).and_then(|x0| x0.f_add(&noise.f_mul(&b)?)).doing(doing)
    };
    let x_t = rows.layout(mix(&|t| (level(t).alpha, level(t).sigma))?).doing(doing)?;
    let target = mix(&|t| plan.prediction.target(level(t)))?;
    let conditions: Vec<f64> = batch.t.iter().map(|t| run.conditions[*t]).collect();
    // What the network sees: c_in x_t.
    let seen = match batch.t.iter().map(|t| Some(plan.prediction.input(level(t))?.value)).collect::<Option<Vec<_>>>() {
        None => x_t,
        Some(c_in) => x_t.f_mul(&rows.column(&c_in)?).doing(doing)?,
    };
    let output = rows.ask(network, &seen, &conditions)?;
    let errors = output.f_sub(&target).and_then(|e| mean_square(&e, rows.kind)).doing(doing)?;
    let weights: Vec<f64> = batch.t.iter().map(|t| plan.weighting.weight(plan.prediction, level(t))).collect();
    let weighted = errors.f_mul(&rows.vector(&weights)?).and_then(|e| e.f_mean(rows.kind));
    let mut objective = weighted.doing(doing)?;
    if let Some(penalty) = rows.penalty(network, run, batch, [&seen, &output])? {
        objective = objective.f_add(&penalty).doing(doing)?;
    }
    Ok(Loss { objective, errors: errors.detach() })
}

/// mean over all axes but the first of e².
fn mean_square(e: &Tensor, kind: Kind) -> std::result::Result<Tensor, TchError> {
    e.f_square()?.f_flatten(1, -1)?.f_mean_dim([1i64].as_slice(), false, kind)
}

/// Numbers per sample on their way to the device.
struct Rows<'a> {
    plan: &'a Plan,
    device: Device,
    kind: Kind,
}

impl Rows<'_> {
    /// [B, …] from B · D numbers.
    fn samples(&self, values: &[f32]) -> Result<Tensor> {
        let shape: Vec<i64> = std::iter::once(-1).chain(self.plan.shape.iter().copied()).collect();
        upload(values, &shape, self.device, self.kind)
    }

    fn vector(&self, values: &[f64]) -> Result<Tensor> {
        upload_numbers(values, self.device, self.kind)
    }

    /// [B, 1, …], to broadcast over samples.
    fn column(&self, values: &[f64]) -> Result<Tensor> {
        column(values, self.plan.shape.len() + 1, self.device, self.kind)
    }

    fn layout(&self, x: Tensor) -> std::result::Result<Tensor, TchError> {
        if self.plan.channels_last { channels_last(&x) } else { Ok(x) }
    }

    /// The network's output in the dtype of the weights.
    fn ask(&self, network: &dyn Network, x: &Tensor, conditions: &[f64]) -> Result<Tensor> {
        let t = self.vector(conditions)?;
        let x = Dual::constant(x.shallow_clone());
        let output = network.forward(&x, &Dual::constant(t), &Condition::default())?;
        output.value.f_to_kind(self.kind).doing("computing the training loss")
    }

    /// weight · mean over the batch of mean((ε(x_t, t+1) − ε(x_t, t))²)·[t < until], the difference taken of the output,
    /// which is ε up to the factor of the prediction type at t.
    fn penalty(
        &self,
        network: &dyn Network,
        run: &Run,
        batch: &Batch,
        [seen, output]: [&Tensor; 2],
    ) -> Result<Option<Tensor>> {
        let Some(penalty) = self.plan.recipe.penalty else { return Ok(None) };
        let doing = "computing the penalty";
        let last = run.levels.len() - 1;
        let near: Vec<usize> = (0..batch.t.len()).filter(|&row| batch.t[row] < penalty.until.min(last)).collect();
        if near.is_empty() {
            return Ok(None);
        }
        let index: Vec<i64> = near.iter().map(|row| *row as i64).collect();
        let index = upload_integers(&index, self.device)?;
        let conditions: Vec<f64> = near.iter().map(|&row| run.conditions[batch.t[row] + 1]).collect();
        let next = self.ask(network, &seen.f_index_select(0, &index).doing(doing)?, &conditions)?;
        let factors = near.iter().map(|&row| self.plan.prediction.epsilon(&run.levels[batch.t[row]]));
        let factors: Vec<f64> = factors.map(|affine| affine.map(|affine| affine.output)).collect::<Result<_>>()?;
        let difference = next.f_sub(&output.f_index_select(0, &index).doing(doing)?).doing(doing)?;
        let quotient = difference.f_mul(&self.column(&factors)?).doing(doing)?;
        let sum = mean_square(&quotient, self.kind).and_then(|e| e.f_sum(self.kind)).doing(doing)?;
        sum.f_mul_scalar(penalty.weight / batch.t.len() as f64).doing(doing).map(Some)
    }
}

/// The same image tensor [B, C, H, W] with channels last in memory.
pub(super) fn channels_last(x: &Tensor) -> std::result::Result<Tensor, TchError> {
    if x.dim() != 4 {
        return Ok(x.shallow_clone());
    }
    x.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
}
