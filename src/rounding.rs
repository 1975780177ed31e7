//! How much of ∂ε/∂t and of ε(t′) − ε(t) is rounding: the same weights on the same x in every dtype of the network and of
//! its time embedding, against float64 throughout.
//!
//! For a vector v of one sample and its float64 reference r the error is ‖v − r‖/‖r‖. All x_t are rounded to bfloat16 once,
//! so that every combination sees the same numbers, and what rounding x costs is not in the error. The weights are rounded
//! to the dtype of the network, and that is in it.

use crate::denoiser::{Denoiser, NetworkDenoiser};
use crate::device::dtype_name;
use crate::draws::{Draw, Draws};
use crate::error::{Doing, Result};
use crate::estimator::{Norm, Quantity, row_norms};
use crate::model::widened;
use crate::network::Probe;
use crate::report::{NoRounding, Rounding, RoundingRow};
use crate::response::Response;
use crate::state::{Columns, State};
use crate::stats::median;
use crate::time::Timestep;
use crate::timesteps::spread;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// The dtypes that are told apart. The first is the reference; each holds all numbers of the next, so that weights can go
/// down this list.
const DTYPES: [Kind; 3] = [Kind::Double, Kind::Float, Kind::BFloat16];
/// The secant first: it always exists.
const QUANTITIES: [Quantity; 2] = [Quantity::Secant, Quantity::Derivative];

/// Timesteps and samples at most, and bytes of all reference vectors together.
const TIMESTEPS: usize = 12;
const SAMPLES: u64 = 16;
const REFERENCE_BYTES: u64 = 1 << 30;

/// Where and how finely it is looked at.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Timesteps t, ascending.
    pub timesteps: Vec<Timestep>,
    /// t′ − t of the secant in steps.
    pub dt: f64,
    /// Samples per timestep.
    pub samples: u64,
    /// Samples per network call.
    pub batch: u64,
}

impl Settings {
    /// At most 12 of a plan's `timesteps`, and at most 16 samples, or as few as the plan has, or as fit into memory.
    pub fn new(timesteps: &[Timestep], dt: f64, samples: Option<u64>, batch: u64, sample_shape: &[i64]) -> Self {
        let elements: i64 = sample_shape.iter().product();
        let bytes_per_sample = (TIMESTEPS * QUANTITIES.len() * size_of::<f64>()) as u64 * elements.max(1) as u64;
        let most = SAMPLES.min(REFERENCE_BYTES / bytes_per_sample);
        let samples = samples.unwrap_or(most).min(most).max(1);
        Settings { timesteps: spread(timesteps, TIMESTEPS), dt, samples, batch: batch.max(1) }
    }
}

/// A network whose rounding can be measured.
pub struct Subject {
    denoiser: NetworkDenoiser,
    /// dtypes of the time embedding; `None` alone where they cannot be varied.
    times: Vec<Option<Kind>>,
    /// What they apply to, or why they cannot be varied.
    time_embedding: String,
    /// Why there is no ∂ε/∂t.
    no_rate: Option<String>,
}

/// One timestep's samples in bfloat16, and their reference vectors by quantity: float64 [B, …] in main memory.
struct At {
    t: Timestep,
    x: Tensor,
    columns: Columns,
    references: [Option<Tensor>; 2],
}

impl Subject {
    /// A network as it was loaded, moved to float64.
    pub fn new(mut denoiser: NetworkDenoiser) -> Self {
        let (times, time_embedding) = match denoiser.asked.network.set_time_kind(Some(DTYPES[0])) {
            Ok(words) => (DTYPES.map(Some).to_vec(), words.to_string()),
            Err(error) => (vec![None], format!("not varied: {}", error.problem())),
        };
        let probes = denoiser.asked.conditioning.probes(&*denoiser.process.schedule);
        let (device, kind) = (denoiser.asked.device, DTYPES[0]);
        let prepared = denoiser.asked.given.example(device, kind).and_then(|condition| {
            let beside = denoiser.asked.given.channels_beside();
            let sample_shape = &widened(&denoiser.asked.sample_shape, beside);
            let moving = &denoiser.asked.given.moving();
            let probe = Probe {
                sample_shape,
                times: probes,
                condition: &condition,
                device,
                kind,
                beside,
                moving,
                answers_x: true,
            };
            denoiser.asked.network.prepare_rate(&probe)
        });
        Subject { denoiser, times, time_embedding, no_rate: prepared.err().map(|error| error.problem()) }
    }

    /// How often `advance` of [`Subject::measure`] is called at most.
    pub fn steps(&self, settings: &Settings) -> u64 {
        (DTYPES.len() * self.times.len() * QUANTITIES.len() * settings.timesteps.len()) as u64
    }

    /// Measures every combination; `None` once `advance` gives `false`. `label` is the model's name in the result.
    ///
    /// # Errors
    /// Where the float64 secant cannot be computed. What else cannot be is listed in the result.
    pub fn measure(
        mut self,
        label: &str,
        draws: &Draws,
        settings: &Settings,
        advance: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Rounding>> {
        let _no_grad = tch::no_grad_guard();
        let began = Instant::now();
        let mut result = self.empty(label, settings);
        let mut inputs = self.inputs(draws, settings)?;
        for network in DTYPES {
            self.denoiser.asked.network.to(self.denoiser.asked.device, network)?;
            self.denoiser.asked.kind = network;
            for time in self.times.clone() {
                if time.is_some() {
                    self.denoiser.asked.network.set_time_kind(time)?;
                }
                if !self.combination(settings, &mut inputs, &mut result, advance)? {
                    return Ok(None);
                }
            }
        }
        result.wall_seconds = began.elapsed().as_secs_f64();
        Ok(Some(result))
    }

    fn empty(&self, label: &str, settings: &Settings) -> Rounding {
        let no_rate = self.no_rate.iter().map(|reason| self.lacks(Quantity::Derivative, reason.clone()));
        Rounding {
            model: label.into(),
            time_embedding: self.time_embedding.clone(),
            samples: settings.samples,
            dt: settings.dt,
            rows: Vec::new(),
            unavailable: no_rate.collect(),
            wall_seconds: 0.0,
        }
    }

    /// The same x_t for every combination.
    fn inputs(&self, draws: &Draws, settings: &Settings) -> Result<Vec<At>> {
        let at = |&t: &Timestep| {
            let wanted: Vec<Draw> = (0..settings.samples).map(|sample| Draw { t, sample }).collect();
            let rows = draws.rows(&wanted)?;
            let pairs = draws.to_device(&rows, self.denoiser.asked.device, Kind::Double)?;
            let x = pairs.x_t(self.denoiser.process(), &vec![t; wanted.len()])?;
            let x = x.f_to_kind(Kind::BFloat16).doing("rounding samples")?;
            Ok(At { t, x, columns: rows.columns, references: [None, None] })
        };
        settings.timesteps.iter().map(at).collect()
    }

    /// All quantities in the denoiser's present dtypes. `false` once `advance` says so.
    fn combination(
        &self,
        settings: &Settings,
        inputs: &mut [At],
        result: &mut Rounding,
        advance: &mut dyn FnMut() -> bool,
    ) -> Result<bool> {
        let available = if self.no_rate.is_some() { 1 } else { QUANTITIES.len() };
        for (which, quantity) in QUANTITIES.into_iter().enumerate().take(available) {
            match self.quantity(which, settings, inputs, &mut result.rows, advance) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) if self.is_reference() && quantity == Quantity::Secant => return Err(error),
                Err(error) => result.unavailable.push(self.lacks(quantity, error.problem())),
            }
        }
        Ok(true)
    }

    /// One quantity at all timesteps; in the first combination it becomes the reference. `false` once `advance` says so.
    fn quantity(
        &self,
        which: usize,
        settings: &Settings,
        inputs: &mut [At],
        rows: &mut Vec<RoundingRow>,
        advance: &mut dyn FnMut() -> bool,
    ) -> Result<bool> {
        let last = (self.denoiser.schedule().timesteps() - 1) as f64;
        for at in inputs {
            let t_next = (QUANTITIES[which] == Quantity::Secant).then_some(at.t + settings.dt);
            let on_grid = t_next.is_none_or(|next| next <= last);
            if on_grid && (self.is_reference() || at.references[which].is_some()) {
                let change = self.change(at, t_next, settings.batch)?;
                let reference = at.references[which].get_or_insert_with(|| change.shallow_clone());
                let errors = Errors::of(&change, reference)?;
                rows.push(self.row(QUANTITIES[which], at.t, t_next, &errors));
            }
            if !advance() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// ε(t′) − ε(t) where there is a t′, else ∂ε/∂t, as the curves have them: float64 [B, …] in main memory.
    fn change(&self, at: &At, t_next: Option<Timestep>, batch: u64) -> Result<Tensor> {
        let doing = "computing differences";
        let mut parts = Vec::new();
        let mut first = 0;
        for x in at.x.f_split(batch as i64, 0).doing(doing)? {
            let x = x.f_to_kind(self.denoiser.asked.kind).doing(doing)?;
            let rows = x.size()[0] as usize;
            let times = vec![at.t; rows];
            let columns = at.columns.slice(first..first + rows);
            first += rows;
            let state = State { x, condition: self.denoiser.condition(rows as i64, &columns)? };
            let change = match t_next {
                Some(next) => self.denoiser.change(&state, &times, &vec![next; rows])?.0,
                None => self.denoiser.rate(&state, &times)?,
            };
            parts.push(change.f_to_device(Device::Cpu).and_then(|v| v.f_to_kind(Kind::Double)).doing(doing)?);
        }
        Tensor::f_cat(&parts, 0).doing(doing)
    }

    fn is_reference(&self) -> bool {
        self.denoiser.asked.kind == DTYPES[0] && self.denoiser.asked.network.time_kind() == self.times[0]
    }

    /// The present dtypes of network and time embedding by name.
    fn dtypes(&self) -> (String, String) {
        let time = self.denoiser.asked.network.time_kind().map_or("fixed", dtype_name);
        (dtype_name(self.denoiser.asked.kind).into(), time.into())
    }

    fn lacks(&self, quantity: Quantity, reason: String) -> NoRounding {
        let (network_dtype, time_embedding_dtype) = self.dtypes();
        NoRounding { quantity, network_dtype, time_embedding_dtype, reason }
    }

    fn row(&self, quantity: Quantity, t: Timestep, t_next: Option<Timestep>, errors: &Errors) -> RoundingRow {
        let (network_dtype, time_embedding_dtype) = self.dtypes();
        let (norm, reference) = errors.mean_norms.unzip();
        RoundingRow {
            quantity,
            network_dtype,
            time_embedding_dtype,
            timestep: t,
            t_next,
            samples: errors.relative.len() as u64,
            undefined: errors.undefined,
            median_relative_error: median(&errors.relative),
            max_relative_error: errors.relative.iter().copied().reduce(f64::max),
            mean_norm_relative_error: norm.zip(reference).filter(|(_, r)| *r > 0.0).map(|(v, r)| v / r - 1.0),
            reference_mean_norm: reference,
        }
    }
}

/// Errors over the samples of one timestep.
#[derive(Debug)]
struct Errors {
    /// ‖v − r‖/‖r‖, where that is a number.
    relative: Vec<f64>,
    /// How often it is not.
    undefined: u64,
    /// Means of ‖v‖ and ‖r‖ over samples where both are finite.
    mean_norms: Option<(f64, f64)>,
}

impl Errors {
    /// Of vectors v against r, float64 [B, …] each.
    fn of(v: &Tensor, r: &Tensor) -> Result<Self> {
        let difference = v.f_sub(r).doing("subtracting the reference")?;
        let (errors, norms, references) = (norms(&difference)?, norms(v)?, norms(r)?);
        // ‖v − r‖/‖r‖
        let all = errors.iter().zip(&references).map(|(error, reference)| error / reference);
        let relative: Vec<f64> = all.filter(|error| error.is_finite()).collect();
        let finite = || norms.iter().zip(&references).filter(|(norm, reference)| (*norm + *reference).is_finite());
        let count = finite().count() as f64;
        let sums = finite().fold((0.0, 0.0), |(norm, reference), pair| (norm + pair.0, reference + pair.1));
        Ok(Errors {
            undefined: (errors.len() - relative.len()) as u64,
            relative,
            mean_norms: (count > 0.0).then(|| (sums.0 / count, sums.1 / count)),
        })
    }
}

/// ‖·‖₂ of every row.
fn norms(rows: &Tensor) -> Result<Vec<f64>> {
    let doing = "reading norms";
    let norms = row_norms(Norm::L2, rows)?;
    let mut values = vec![0.0; norms.numel()];
    norms.f_copy_data(&mut values, norms.numel()).doing(doing)?;
    Ok(values)
}

#[cfg(test)]
mod tests;
