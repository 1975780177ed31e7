//! The measuring loop: timesteps × samples × models × estimators, one number per sample.
//!
//! All models see the same (x₀, ε) pairs; under one schedule that is the same x_t. A batch may hold rows of several
//! timesteps. Nothing is read back from the device before a round of samples is complete.

mod batch;
mod rule;
#[cfg(test)]
mod tests;

pub use rule::SampleRule;

use crate::control_variates::{Control, Covariates};
use crate::draws::{CleanSamples, Draw, Draws};
use crate::error::Result;
use crate::estimator::Estimator;
use crate::response::Response;
use crate::time::Timestep;
use batch::{Batcher, Measured};
use std::sync::Arc;
use std::time::Duration;
use tch::Device;

/// What is measured.
pub struct Subject {
    /// The model.
    pub response: Box<dyn Response>,
    /// One curve each, or one for each block of the response.
    pub estimators: Vec<Box<dyn Estimator>>,
    /// Where its own samples come from, where that is not where those of all come from.
    pub source: Option<Arc<dyn CleanSamples>>,
}

/// One curve of a subject.
pub struct Estimated<'a> {
    /// How it is estimated.
    pub estimator: &'a dyn Estimator,
    /// The block of the response; `None` where there is one only.
    pub block: Option<String>,
}

/// The curves of a model, estimator by estimator and in each block by block: the order of [`AtTimestep::norms`].
pub fn curves<'a>(estimators: &'a [Box<dyn Estimator>], response: &dyn Response) -> Vec<Estimated<'a>> {
    let mut all = Vec::new();
    for estimator in estimators {
        let estimator = &**estimator;
        all.extend(estimator.blocks(response).into_iter().map(|block| Estimated { estimator, block }));
    }
    all
}

impl Subject {
    /// Its curves.
    pub fn curves(&self) -> Vec<Estimated<'_>> {
        curves(&self.estimators, &*self.response)
    }
}

/// What one timestep came to.
#[derive(Debug)]
pub struct AtTimestep {
    /// t in steps.
    pub t: Timestep,
    /// Norms by model, curve and sample; no samples where the quantity does not exist.
    pub norms: Vec<Vec<Vec<f64>>>,
    /// The samples' covariates.
    pub control: Control,
    /// The rows of the data, where each got several noises: samples then are means over the noises of a row.
    pub rows: Vec<usize>,
    /// Samples that an iteration did not settle for, by model and curve.
    pub unconverged: Vec<Vec<u64>>,
    /// Network evaluations by model.
    pub evaluations: Vec<u64>,
    /// Time by model, device work included.
    pub seconds: Vec<Duration>,
}

impl AtTimestep {
    /// Takes the mean over the `noises` of each row for one sample.
    fn average(&mut self, noises: usize) {
        if noises < 2 {
            return;
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        for norms in self.norms.iter_mut().flatten() {
            *norms = norms.chunks(noises).map(mean).collect();
        }
        let covariates = &mut self.control.covariates;
        let of_row =
            |row: &[Covariates]| std::array::from_fn(|p| row.iter().map(|c| c[p]).sum::<f64>() / row.len() as f64);
        *covariates = covariates.chunks(noises).map(of_row).collect();
        self.rows = self.rows.iter().copied().step_by(noises).collect();
    }
}

/// What the loop tells and asks while it runs.
pub trait Observer {
    /// A batch is done, up to sample number `samples` of timestep `t`, which has `round` of them in this round.
    /// Returning `false` stops cleanly.
    fn batch(&mut self, t: Timestep, samples: u64, round: u64) -> bool;

    /// The device's memory did not suffice for a batch; from now on there are `batch` rows at most.
    fn smaller_batch(&mut self, batch: u64);

    /// A timestep is complete. Returning `Ok(false)` stops cleanly.
    fn finished(&mut self, point: AtTimestep) -> Result<bool>;
}

/// The loop's settings.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Samples per timestep.
    pub rule: SampleRule,
    /// Samples per network call at most.
    pub batch: u64,
    /// Whether fewer are to be taken where one sample on the CPU shows that main memory would not hold so many.
    pub probe: bool,
}

/// Rounds that must fill so many batches, where a rule adds samples little by little.
const FILL: u64 = 4;

/// Elements of a sample that may be too much for memory in a batch.
const LARGE: usize = 1 << 14;

/// The measuring of some models, which remembers how large a batch memory has proved to hold.
pub struct Sweep<'a> {
    batcher: Batcher<'a>,
    rule: SampleRule,
    expected: Option<Covariates>,
    /// Timesteps that are measured together.
    together: usize,
}

impl<'a> Sweep<'a> {
    /// All subjects on the same draws.
    pub fn new(subjects: &'a [Subject], draws: &'a Draws, settings: &Settings) -> Self {
        let Settings { rule, batch, probe } = *settings;
        let on_cpu = subjects.iter().all(|subject| subject.response.device() == Device::Cpu);
        let probe = probe && on_cpu && draws.width() >= LARGE;
        let fill = if matches!(rule, SampleRule::Fixed { .. }) { 1 } else { FILL };
        let mixed = subjects.iter().all(|subject| subject.response.mixes_timesteps());
        let together = if mixed { (fill * batch).div_ceil(rule.first_round().max(1)).max(1) } else { 1 };
        Sweep {
            batcher: Batcher { subjects, draws, most: batch.max(1), probe },
            rule,
            // The covariates are those of the common samples.
            expected: draws.expected().filter(|_| subjects.iter().all(|subject| subject.source.is_none())),
            together: together as usize,
        }
    }

    /// The timesteps in groups that share batches and that no other timestep shares them with: the units of work, which
    /// do not depend on who does them.
    pub fn units<'t>(&self, timesteps: &'t [Timestep]) -> impl Iterator<Item = &'t [Timestep]> + use<'t> {
        timesteps.chunks(self.together)
    }

    /// Measures the timesteps in their order, and hands each to the observer as it is finished. `false` if the observer
    /// stopped it.
    pub fn measure(&mut self, timesteps: &[Timestep], observer: &mut dyn Observer) -> Result<bool> {
        let _no_grad = tch::no_grad_guard();
        let (subjects, first_round) = (self.batcher.subjects, self.rule.first_round());
        for group in self.units(timesteps) {
            let mut points: Vec<Ongoing> =
                group.iter().map(|&t| Ongoing::new(subjects, t, self.expected, first_round)).collect();
            while points.iter().any(|point| point.done < point.wanted) {
                if !round(&mut self.batcher, &self.rule, &mut points, observer)? {
                    return Ok(false);
                }
            }
            for mut point in points {
                point.at.average(self.batcher.draws.noises as usize);
                if !observer.finished(point.at)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// A timestep while it is being measured.
struct Ongoing {
    at: AtTimestep,
    /// Where a quantity does not exist, by model and curve.
    undefined: Vec<Vec<bool>>,
    done: u64,
    /// Samples before the next look.
    wanted: u64,
}

impl Ongoing {
    fn new(subjects: &[Subject], t: Timestep, expected: Option<Covariates>, first_round: u64) -> Self {
        let undefined = |subject: &Subject| {
            subject.curves().iter().map(|curve| curve.estimator.undefined_at(&*subject.response, t)).collect()
        };
        let undefined: Vec<Vec<bool>> = subjects.iter().map(undefined).collect();
        let at = AtTimestep {
            t,
            norms: undefined.iter().map(|curves| vec![Vec::new(); curves.len()]).collect(),
            control: Control { covariates: Vec::new(), expected },
            rows: Vec::new(),
            unconverged: undefined.iter().map(|curves| vec![0; curves.len()]).collect(),
            evaluations: vec![0; subjects.len()],
            seconds: vec![Duration::ZERO; subjects.len()],
        };
        let wanted = if undefined.iter().flatten().all(|undefined| *undefined) { 0 } else { first_round };
        Ongoing { at, undefined, done: 0, wanted }
    }

    /// Takes a round as done, and asks the rule for the next, where a number is possible at all.
    fn look(&mut self, rule: &SampleRule) {
        self.done = self.wanted;
        let norms = self.at.norms.iter().flatten().zip(self.undefined.iter().flatten());
        let defined: Vec<&[f64]> = norms.filter(|(_, undefined)| !**undefined).map(|(norms, _)| &norms[..]).collect();
        self.wanted = rule.next_round(self.done, &defined, &self.at.control).unwrap_or(self.done);
    }
}

/// Adds one round of samples to every timestep that needs it; `false` if the observer stopped it.
fn round(
    batcher: &mut Batcher,
    rule: &SampleRule,
    points: &mut [Ongoing],
    observer: &mut dyn Observer,
) -> Result<bool> {
    let mut rows: Vec<(usize, Draw)> = Vec::new();
    for (slot, point) in points.iter().enumerate() {
        rows.extend((point.done..point.wanted).map(|sample| (slot, Draw { t: point.at.t, sample })));
    }
    let mut pending: Vec<(&[(usize, Draw)], Measured)> = Vec::new();
    let mut rest = &rows[..];
    while !rest.is_empty() {
        let (here, after) = rest.split_at(rest.len().min(batcher.most as usize));
        let draws: Vec<Draw> = here.iter().map(|(_, draw)| *draw).collect();
        for (count, measured) in batcher.measure(&draws, observer)? {
            let offset = pending.iter().map(|(rows, _)| rows.len()).sum::<usize>();
            pending.push((&rows[offset..offset + count], measured));
        }
        rest = after;
        if let Some((slot, draw)) = here.last()
            && !observer.batch(draw.t, draw.sample + 1, points[*slot].wanted)
        {
            return Ok(false);
        }
    }
    for (rows, measured) in pending {
        batch::distribute(points, rows, &measured)?;
    }
    points.iter_mut().filter(|point| point.done < point.wanted).for_each(|point| point.look(rule));
    Ok(true)
}
