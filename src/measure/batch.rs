//! One batch: pairs drawn, every model asked, norms left on the device until the round is over.

use super::{Observer, Ongoing, Subject};
use crate::control_variates::Covariates;
use crate::device::{memory, read_back};
use crate::draws::{Draw, Draws, Pairs};
use crate::error::Result;
use crate::time::Timestep;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

/// Asks all models about batches of draws.
pub(super) struct Batcher<'a> {
    pub subjects: &'a [Subject],
    pub draws: &'a Draws,
    /// Rows of a batch at most; falls where memory runs out.
    pub most: u64,
    /// Whether the first row is still to tell how many rows main memory holds.
    pub probe: bool,
}

/// What one batch came to, by model.
pub(super) struct Measured {
    models: Vec<OfModel>,
    covariates: Vec<Covariates>,
    /// Rows of the data, where each gets several noises.
    rows: Vec<usize>,
}

struct OfModel {
    /// By estimator: norms [B, blocks] on the device, and for which no iteration settled.
    norms: Vec<(Tensor, Option<Tensor>)>,
    evaluations: u64,
    seconds: Duration,
}

impl Batcher<'_> {
    /// Measures these draws, in smaller pieces where memory runs out; gives each piece with its number of rows.
    pub fn measure(&mut self, draws: &[Draw], observer: &mut dyn Observer) -> Result<Vec<(usize, Measured)>> {
        let mut pieces = Vec::new();
        let mut rest = draws;
        if std::mem::take(&mut self.probe) && rest.len() > 1 {
            let (first, after) = rest.split_at(1);
            let (measured, grown) = memory::growth(|| self.at_once(first));
            pieces.push((1, measured?));
            rest = after;
            if let (Some(grown), Some(available)) = (grown, memory::available()) {
                // One half stays free: for other programs, and for what one row does not show.
                self.most = self.most.min(available / 2 / grown.max(1)).max(1);
            }
        }
        while !rest.is_empty() {
            let (here, after) = rest.split_at(rest.len().min(self.most as usize));
            match self.at_once(here) {
                Ok(measured) => {
                    pieces.push((here.len(), measured));
                    rest = after;
                }
                Err(error) if error.is_out_of_memory() && here.len() > 1 => {
                    self.most = here.len() as u64 / 2;
                    observer.smaller_batch(self.most);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(pieces)
    }

    fn at_once(&self, draws: &[Draw]) -> Result<Measured> {
        let t: Vec<Timestep> = draws.iter().map(|draw| draw.t).collect();
        let rows = self.draws.rows(draws)?;
        let mut shared: Option<(Device, Kind, Pairs)> = None;
        let mut models = Vec::with_capacity(self.subjects.len());
        for subject in self.subjects {
            let began = Instant::now();
            let response = &*subject.response;
            let (device, kind) = (response.device(), response.kind());
            let state = match &subject.source {
                Some(source) => {
                    let own = Draws { source: Arc::clone(source), ..self.draws.clone() };
                    own.state(&own.rows(draws)?, response, &t)?
                }
                None => {
                    let pairs = match shared.take() {
                        Some((d, k, pairs)) if (d, k) == (device, kind) => pairs,
                        _ => self.draws.to_device(&rows, device, kind)?,
                    };
                    let state = pairs.state(&rows, response, &t)?;
                    shared = Some((device, kind, pairs));
                    state
                }
            };
            let (mut norms, mut evaluations) = (Vec::with_capacity(subject.estimators.len()), 0);
            for estimator in &subject.estimators {
                let measured = estimator.norms(response, &state, &t)?;
                evaluations += measured.evaluations * response.network_calls();
                norms.push((measured.values, measured.unconverged));
            }
            models.push(OfModel { norms, evaluations, seconds: began.elapsed() });
        }
        let origins = rows.columns.rows.filter(|_| self.draws.noises > 1).unwrap_or_default();
        Ok(Measured { models, covariates: rows.covariates, rows: origins })
    }
}

/// Hands the numbers of a batch to the timesteps that its rows belong to.
pub(super) fn distribute(points: &mut [Ongoing], rows: &[(usize, Draw)], measured: &Measured) -> Result<()> {
    for ((slot, _), covariates) in rows.iter().zip(&measured.covariates) {
        points[*slot].at.control.covariates.push(*covariates);
    }
    for ((slot, _), row) in rows.iter().zip(&measured.rows) {
        points[*slot].at.rows.push(*row);
    }
    for (m, model) in measured.models.iter().enumerate() {
        let began = Instant::now();
        let mut first = 0;
        for (values, unconverged) in &model.norms {
            let values = read_back(values)?;
            let unconverged = unconverged.as_ref().map(read_back).transpose()?;
            let blocks = values.len() / rows.len().max(1);
            for (i, value) in values.iter().enumerate() {
                let (point, curve) = (&mut points[rows[i / blocks].0], first + i % blocks);
                if !point.undefined[m][curve] {
                    point.at.norms[m][curve].push(*value);
                    point.at.unconverged[m][curve] += unconverged.as_ref().map_or(0, |flags| flags[i] as u64);
                }
            }
            first += blocks;
        }
        share(points, rows, m, model, began.elapsed());
    }
    Ok(())
}

/// Evaluations and time of a batch belong to its timesteps by their rows.
fn share(points: &mut [Ongoing], rows: &[(usize, Draw)], m: usize, model: &OfModel, reading: Duration) {
    let (count, mut given) = (rows.len() as u64, 0);
    for (i, (slot, _)) in rows.iter().enumerate() {
        let until = model.evaluations * (i as u64 + 1) / count;
        points[*slot].at.evaluations[m] += until - given;
        points[*slot].at.seconds[m] += (model.seconds + reading) / count as u32;
        given = until;
    }
}
