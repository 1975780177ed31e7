//! The cells of a sweep: one model, one way of sampling, one seed.

use super::row::{DATA, Row};
use super::subjects::{Origin, Subject, Subjects};
use super::wanted::Wanted;
use super::yardstick::Yardstick;
use crate::device::upload;
use crate::error::{Doing, Error, Result};
use crate::model::Model;
use crate::report::Cell as Entry;
use crate::run::sampling;
use crate::sampler;
use ndarray::s;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Everything that cells are made from.
pub(super) struct Sweep<'a> {
    pub wanted: &'a Wanted,
    pub subjects: &'a Subjects,
    pub yardstick: &'a Yardstick,
    /// Samples per network call.
    pub batch: u64,
    /// Of which memory has allowed so many.
    pub most: std::cell::Cell<u64>,
    /// Sampling seed of the first repetition.
    pub seed: u64,
}

/// One model, one way of sampling, one seed.
pub(super) struct Cell<'a> {
    /// `None` for the data against itself.
    subject: Option<&'a Subject>,
    /// Sampler, spacing and network evaluations; `None` where nothing is sampled.
    way: Option<(&'a str, &'a str, usize)>,
    repetition: u64,
}

impl<'a> Sweep<'a> {
    /// All cells, in the order of the tables, seeds innermost.
    pub fn cells(&self) -> Vec<Cell<'a>> {
        let Wanted { samplers, spacings, nfe, seeds, .. } = self.wanted;
        let mut cells = Vec::new();
        let mut add = |subject: Option<&'a Subject>, way: Option<(&'a str, &'a str, usize)>, repetitions: u64| {
            cells.extend((0..repetitions).map(|repetition| Cell { subject, way, repetition }));
        };
        if self.yardstick.has_floor() {
            add(None, None, *seeds);
        }
        for subject in &self.subjects.all {
            if let Origin::Samples(rows, _) = &subject.origin {
                add(Some(subject), None, (rows.nrows() as u64 / self.wanted.samples).clamp(1, *seeds));
                continue;
            }
            for sampler in samplers {
                for spacing in spacings {
                    for nfe in nfe {
                        add(Some(subject), Some((sampler, spacing, *nfe)), *seeds);
                    }
                }
            }
        }
        cells
    }

    /// Network calls of some cells.
    pub fn calls(&self, cells: &[Cell]) -> u64 {
        let batches = self.wanted.samples.div_ceil(self.batch);
        cells.iter().map(|cell| cell.way.map_or(0, |(.., nfe)| batches * nfe as u64)).sum()
    }

    /// What tells a cell's rows from all others: model, sampler, spacing, nfe and seed.
    pub fn key(&self, cell: &Cell) -> [Entry; 5] {
        let (sampler, spacing, nfe) = cell.way.map_or((None, None, None), |(a, b, c)| (Some(a), Some(b), Some(c)));
        let word = |text: Option<&str>| text.map_or(Entry::Missing(()), Entry::text);
        [
            Entry::text(cell.subject.map_or(DATA, |subject| subject.label.as_str())),
            word(sampler),
            word(spacing),
            Entry::optional(nfe.map(|nfe| nfe as f64)),
            Entry::number((self.seed + cell.repetition) as f64),
        ]
    }

    /// A few words for the terminal.
    pub fn name(&self, cell: &Cell) -> String {
        let label = cell.subject.map_or(DATA, |subject| subject.label.as_str());
        let way = cell.way.map(|(sampler, _, nfe)| format!(", {sampler} at {nfe}")).unwrap_or_default();
        format!("{label}{way}, seed {}", self.seed + cell.repetition)
    }

    /// The rows of a cell, one per metric; `None` if `progress` said to stop.
    pub fn measure(&self, cell: &Cell, progress: &mut dyn FnMut() -> bool) -> Result<Option<Vec<Row>>> {
        let began = Instant::now();
        let Some(subject) = cell.subject else {
            let (samples, values) = self.yardstick.floor(cell.repetition)?;
            return Ok(Some(self.rows(cell, samples, 0, values.into_iter().map(Some).collect(), began)));
        };
        let drawn = match (&subject.origin, cell.way) {
            (Origin::Samples(rows, _), _) => {
                let first = (cell.repetition * self.wanted.samples) as usize;
                let until = (first + self.wanted.samples as usize).min(rows.nrows());
                let block = rows.slice(s![first..until, ..]);
                let values: Vec<f32> = block.iter().copied().collect();
                let samples = upload(&values, &self.full((until - first) as i64), Device::Cpu, Kind::Float)?;
                Drawn { features: Some(self.yardstick.extractor.extract(&samples)?), non_finite: 0 }
            }
            (Origin::Model(model), Some((sampler, spacing, nfe))) => {
                let (sampling, _) = sampling::sampling((sampler, spacing, nfe, self.wanted.clip), model)?;
                match self.draw(model, &sampling, self.seed + cell.repetition, progress)? {
                    Some(drawn) => drawn,
                    None => return Ok(None),
                }
            }
            (Origin::Model(_), None) => {
                return Err(Error::mismatch("a model without a sampler cannot be evaluated", "Report this."));
            }
        };
        let samples = drawn.features.as_ref().map_or(self.wanted.samples, |features| features.size()[0] as u64);
        let values = match (&drawn.features, drawn.non_finite) {
            (Some(features), 0) => self.yardstick.measure(features)?.into_iter().map(Some).collect(),
            _ => vec![None; self.yardstick.names().len()],
        };
        Ok(Some(self.rows(cell, samples, drawn.non_finite, values, began)))
    }

    fn draw(
        &self,
        model: &Model,
        sampling: &sampler::Sampling,
        seed: u64,
        progress: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Drawn>> {
        let (mut features, mut non_finite) = (Vec::new(), 0);
        for first in (0..self.wanted.samples).step_by(self.batch as usize) {
            let here = first..(first + self.batch).min(self.wanted.samples);
            let labels = self.subjects.data.as_ref().and_then(|data| data.source.labels());
            let which = sampler::Which { seed, samples: here, labels };
            let mut take = |x0: Tensor| {
                let bad = non_finite_rows(&x0)?;
                non_finite += bad;
                if bad == 0 {
                    features.push(self.yardstick.extractor.extract(&x0)?);
                }
                Ok(())
            };
            let mut most = self.most.get();
            let denoiser = model.denoiser()?;
            let complete = sampler::draw_in_pieces(denoiser, sampling, &which, &mut most, progress, &mut take)?;
            self.most.set(most);
            if !complete {
                return Ok(None);
            }
        }
        let features = match non_finite {
            0 => Some(Tensor::f_cat(&features, 0).doing("collecting features")?),
            _ => None,
        };
        Ok(Some(Drawn { features, non_finite }))
    }

    fn full(&self, count: i64) -> Vec<i64> {
        std::iter::once(count).chain(self.subjects.shape.iter().copied()).collect()
    }

    fn rows(&self, cell: &Cell, samples: u64, non_finite: u64, values: Vec<Option<f64>>, began: Instant) -> Vec<Row> {
        let seconds = began.elapsed().as_secs_f64();
        let features = self.yardstick.extractor.name();
        let row = |(metric, value): (&str, Option<f64>)| {
            let mut row = self.key(cell).to_vec();
            row.extend([
                Entry::text(metric),
                Entry::text(features),
                Entry::number(samples as f64),
                Entry::optional(value),
                Entry::number(non_finite as f64),
                Entry::number(seconds),
            ]);
            row
        };
        self.yardstick.names().into_iter().zip(values).map(row).collect()
    }
}

/// Features of the samples of a cell; `None` where some of them are NaN or infinite.
struct Drawn {
    features: Option<Tensor>,
    non_finite: u64,
}

/// Samples that hold NaN or infinite values.
fn non_finite_rows(samples: &Tensor) -> Result<u64> {
    let flat = samples.f_flatten(1, -1).and_then(|v| v.f_isfinite()?.f_all_dim(1, false)?.f_logical_not());
    let count = flat.and_then(|bad| bad.f_sum(Kind::Int64)).doing("looking for NaN")?;
    Ok(count.int64_value(&[]).max(0) as u64)
}
