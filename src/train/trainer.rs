//! The training loop's state, and one step of it.

use super::bands::{Bands, Row, Window};
use super::loss::{channels_last, loss};
use super::optimiser::{Average, Optimiser};
use super::ranks::{Collective, World};
use super::{Batch, Plan, Run};
use crate::checkpoint::WeightSet;
use crate::error::{Doing, Error, Result};
use crate::libtorch::{AdamW, Autocast, autocast};
use crate::network::Network;
use std::sync::mpsc::Receiver;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// AdamW's usual moments; all else is in the plan.
const BETAS: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;

/// Steps between two looks at the numbers: a GPU is not to wait for each.
const LOOK_EVERY_CPU: usize = 1;
const LOOK_EVERY_GPU: usize = 20;

/// A network in training.
pub struct Trainer {
    pub(super) plan: Plan,
    run: Run,
    network: Box<dyn Network>,
    device: Device,
    bands: Bands,
    pub(super) names: Vec<String>,
    pub(super) parameters: Vec<Tensor>,
    pub(super) optimiser: Optimiser,
    pub(super) averages: Vec<Average>,
    /// Steps done.
    pub(super) step: u64,
    pub(super) window: Window,
    pending: Vec<Pending>,
}

/// A step whose numbers are still on the device.
struct Pending {
    step: u64,
    t: Vec<usize>,
    objective: Tensor,
    errors: Tensor,
    norm: Tensor,
}

impl Trainer {
    /// Puts a network, which is on `device` in the plan's dtype, into training.
    pub fn new(plan: Plan, network: Box<dyn Network>, device: Device) -> Result<Self> {
        let doing = "preparing the weights for training";
        let run = plan.run()?;
        let (names, mut parameters): (Vec<String>, Vec<Tensor>) = network.parameters().into_iter().unzip();
        for parameter in &mut parameters {
            if plan.channels_last {
                let laid = channels_last(&parameter.detach()).doing(doing)?;
                parameter.f_set_data(&laid).doing(doing)?;
            }
            let _ = parameter.f_requires_grad_(true).doing(doing)?;
        }
        let averages = plan.ema.iter().map(|decay| Average::new(*decay, &parameters)).collect::<Result<_>>()?;
        let optimiser = Optimiser::new(&parameters, device, plan.autocast == Some(Autocast::F16))?;
        let bands = Bands::new(plan.until, run.levels.len());
        Ok(Trainer {
            plan,
            run,
            network,
            device,
            bands,
            names,
            parameters,
            optimiser,
            averages,
            step: 0,
            window: Window::default(),
            pending: Vec::new(),
        })
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// T of the schedule.
    pub fn timesteps(&self) -> usize {
        self.run.levels.len()
    }

    /// Columns of losses by band.
    pub fn band_names(&self) -> Vec<String> {
        self.bands.names()
    }

    /// One optimiser step on the next `accumulate` batches, of which this process has its rows.
    ///
    /// # Errors
    /// Where a loss or a gradient is not finite, with the step; on a GPU up to 20 steps later. Or a sample cannot be read:
    /// nothing has changed then.
    pub fn take_step(&mut self, batches: &Receiver<Result<Batch>>, world: &World) -> Result<()> {
        let began = Instant::now();
        let parts = self.plan.accumulate;
        let (mut gradients, mut objective, mut errors, mut t): (Option<Vec<Tensor>>, _, Vec<Tensor>, Vec<usize>) =
            (None, Tensor::from(0f32).to_kind(self.plan.kind()).to_device(self.device), Vec::new(), Vec::new());
        for _ in 0..parts {
            let batch = batches.recv().map_err(|_| Error::mismatch("the batches ended", "Report this."))??;
            let part = autocast(self.device, self.plan.autocast, || {
                loss(&*self.network, &self.plan, &self.run, &batch, self.device)
            })?;
            let share = part.objective.f_div_scalar(parts as f64).doing("averaging the loss")?;
            let share = self.of_all(world, share, batch.t.len())?;
            let scaled = self.optimiser.scaled(&share)?;
            let new = Tensor::f_run_backward(&[scaled], &self.parameters, false, false).doing("computing gradients")?;
            gradients = Some(add(gradients, new)?);
            objective = objective.f_add(&share.detach()).doing("averaging the loss")?;
            errors.push(part.errors);
            t.extend(batch.t);
        }
        let gradients = gradients.unwrap_or_default();
        // In the order in which the backward pass makes them.
        world.in_buckets(Collective::Sum, &gradients.iter().rev().collect::<Vec<_>>())?;
        let norm = self.update(&gradients)?;
        let errors = Tensor::f_cat(&errors, 0).doing("gathering losses")?;
        let (objective, errors, t) = self.numbers_of_all(world, objective, errors, t)?;
        self.pending.push(Pending { step: self.step, t, objective, errors, norm });
        // The numbers of several processes are there already, and all are to see them at the same step.
        let look_every = if self.device == Device::Cpu || world.of() > 1 { LOOK_EVERY_CPU } else { LOOK_EVERY_GPU };
        if self.pending.len() >= look_every {
            self.look()?;
        }
        self.window.seconds += began.elapsed().as_secs_f64();
        Ok(())
    }

    /// What a mean over the `rows` samples of this process adds to the mean over those of all.
    fn of_all(&self, world: &World, mean: Tensor, rows: usize) -> Result<Tensor> {
        if world.of() == 1 {
            return Ok(mean);
        }
        let size = self.plan.batch / self.plan.accumulate;
        mean.f_mul_scalar(rows as f64 / size as f64).doing("averaging the loss")
    }

    /// Objective, errors and timesteps of the whole batch, in its order: every process adds those of its rows.
    fn numbers_of_all(
        &self,
        world: &World,
        objective: Tensor,
        errors: Tensor,
        t: Vec<usize>,
    ) -> Result<(Tensor, Tensor, Vec<usize>)> {
        if world.of() == 1 {
            return Ok((objective, errors, t));
        }
        let doing = "gathering losses";
        let own = errors.f_to_kind(Kind::Double).and_then(|e| e.f_to_device(Device::Cpu)).doing(doing)?;
        let own = Vec::<f64>::try_from(own).doing(doing)?;
        let (size, batch) = ((self.plan.batch / self.plan.accumulate) as usize, self.plan.batch as usize);
        let rows = world.rows(size as u64);
        let places =
            (0..self.plan.accumulate as usize).flat_map(|part| rows.clone().map(move |row| part * size + row as usize));
        let mut numbers = vec![0.0; 1 + 2 * batch];
        numbers[0] = objective.double_value(&[]);
        for ((place, t), error) in places.zip(&t).zip(&own) {
            (numbers[1 + place], numbers[1 + batch + place]) = (*t as f64, *error);
        }
        let numbers = Tensor::from_slice(&numbers);
        world.together(Collective::Sum, &numbers)?;
        let t = Vec::<f64>::try_from(numbers.narrow(0, 1, batch as i64)).doing(doing)?;
        let errors = numbers.narrow(0, 1 + batch as i64, batch as i64);
        Ok((numbers.select(0, 0), errors, t.into_iter().map(|t| t as usize).collect()))
    }

    fn update(&mut self, gradients: &[Tensor]) -> Result<Tensor> {
        let _no_grad = tch::no_grad_guard();
        let settings = AdamW {
            rate: self.plan.rate(self.step),
            beta1: BETAS.0,
            beta2: BETAS.1,
            weight_decay: self.plan.weight_decay,
            epsilon: EPSILON,
        };
        let norm = self.optimiser.step(&self.parameters, gradients, self.plan.clip_norm, &settings)?;
        self.step += 1;
        for average in &mut self.averages {
            average.update(&self.parameters, self.step)?;
        }
        Ok(norm)
    }

    /// Fetches the numbers of the last steps and checks them. To be called before anything is saved.
    pub fn look(&mut self) -> Result<()> {
        for pending in std::mem::take(&mut self.pending) {
            let (loss, norm) = (pending.objective.double_value(&[]), pending.norm.double_value(&[]));
            // Under a loss scale a step with infinite gradients is void, and the scale is lowered.
            let bad_norm = !norm.is_finite() && self.optimiser.scale.is_none();
            if !loss.is_finite() || bad_norm {
                return Err(diverged(pending.step, loss, norm));
            }
            let flat = pending.errors.f_to_device(Device::Cpu).and_then(|e| e.f_to_kind(Kind::Double));
            let mut errors = vec![0f64; pending.t.len()];
            flat.and_then(|e| e.f_copy_data(&mut errors, pending.t.len())).doing("reading losses")?;
            let errors: Vec<(usize, f64)> = pending.t.into_iter().zip(errors).collect();
            self.window.add(&self.bands, loss, if norm.is_finite() { norm } else { 0.0 }, &errors);
        }
        Ok(())
    }

    /// Closes the current window of `train.csv`.
    pub fn row(&mut self) -> Result<Option<Row>> {
        self.look()?;
        let rate = self.plan.rate(self.step.saturating_sub(1));
        Ok(self.window.row(self.step, rate))
    }

    /// All sets of weights: the averages in their order, then the raw ones.
    pub fn weight_sets(&self) -> Vec<WeightSet> {
        // Checkpoints are in float32, in which they are used.
        let set = |name: String, tensors: &[Tensor]| WeightSet {
            name,
            tensors: self.names.iter().cloned().zip(tensors.iter().map(|t| t.detach().to_kind(Kind::Float))).collect(),
        };
        let averages = self.averages.iter().map(|average| set(average_name(average.decay), &average.weights));
        averages.chain(std::iter::once(set("raw".into(), &self.parameters))).collect()
    }
}

/// Name of an average in checkpoints.
pub(super) fn average_name(decay: f64) -> String {
    format!("ema-{decay}")
}

/// Sums gradients of the parts of a batch.
fn add(sum: Option<Vec<Tensor>>, new: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let Some(mut sum) = sum else { return Ok(new) };
    for (total, part) in sum.iter_mut().zip(&new) {
        let _ = total.f_add_(part).doing("adding gradients")?;
    }
    Ok(sum)
}

fn diverged(step: u64, loss: f64, norm: f64) -> Error {
    Error::mismatch(
        format!("at step {step} the loss was {loss} and the gradients' norm {norm}"),
        "Training has diverged. Try a lower --lr, a longer --warmup, --clip-norm 1, --weighting min-snr, or float32 \
         instead of --autocast.",
    )
}
