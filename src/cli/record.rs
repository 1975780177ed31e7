//! The report while it grows: points are added as they finish, and the file on disk follows.

use super::job::report_json;
use super::progress::Progress;
use crate::compare::{add_points, ratios};
use crate::error::Result;
use crate::measure::{AtTimestep, Observer, Subject, Sweep};
use crate::refine::{Known, Next, Refinement, Resolution};
use crate::report::{self, ModelReport, Point, Report};
use crate::time::Timestep;
use std::path::Path;
use std::time::{Duration, Instant};

/// A partial report is written at most this often.
const WRITE_EVERY: Duration = Duration::from_secs(2);

/// Takes what the measuring loop finishes.
pub(super) struct Recorder<'a> {
    report: &'a mut Report,
    subjects: &'a [Subject],
    seed: u64,
    out: &'a Path,
    progress: Progress,
    expected: usize,
    /// Wall time of earlier parts, in seconds.
    earlier: f64,
    began: Instant,
    written: Instant,
    /// The batch size that was left when memory ran out.
    pub smaller_batch: Option<u64>,
}

impl<'a> Recorder<'a> {
    /// A recorder that goes on from what is in the report.
    pub fn new(report: &'a mut Report, subjects: &'a [Subject], seed: u64, out: &'a Path, progress: Progress) -> Self {
        let (earlier, now) = (report.provenance.wall_seconds, Instant::now());
        Recorder {
            report,
            subjects,
            seed,
            out,
            progress,
            expected: 0,
            earlier,
            began: now,
            written: now,
            smaller_batch: None,
        }
    }

    /// Measures the timesteps, and what a refinement adds to them; how well they then resolve the curves, or `None`
    /// without a refinement or where Ctrl-C stopped it.
    pub fn measure(
        &mut self,
        timesteps: &[Timestep],
        refinement: Option<Refinement>,
        sweep: &mut Sweep,
    ) -> Result<Option<Resolution>> {
        let mut next = Next::Measure(timesteps.to_vec());
        loop {
            match next {
                Next::Done(resolution) => return Ok(Some(resolution)),
                Next::Measure(wanted) if !self.measure_missing(&wanted, sweep)? => return Ok(None),
                Next::Measure(_) => {}
            }
            let Some(refinement) = refinement else { return Ok(None) };
            next = refinement.next(timesteps, &known(&self.report.models));
        }
    }

    /// Measures those of the timesteps that the report does not hold yet; `false` if Ctrl-C stopped it.
    fn measure_missing(&mut self, timesteps: &[Timestep], sweep: &mut Sweep) -> Result<bool> {
        let first = self.report.models.first().and_then(|model| model.curves.first());
        let there = |t: &&Timestep| first.is_some_and(|curve| curve.points.iter().any(|point| point.timestep == **t));
        let todo: Vec<Timestep> = timesteps.iter().filter(|t| !there(t)).copied().collect();
        self.expected += timesteps.len();
        self.progress.lengthen_to(self.expected as u64);
        self.progress.skip((timesteps.len() - todo.len()) as u64);
        sweep.measure(&todo, self)
    }
}

/// All curves as they are by now.
pub(super) fn known(models: &[ModelReport]) -> Vec<Vec<Known>> {
    let known = |point: &Point| Known {
        t: point.timestep,
        mean: point.mean.unwrap_or(f64::NAN),
        std_error: point.std_error.unwrap_or(0.0),
    };
    let curves = models.iter().flat_map(|model| &model.curves);
    curves.map(|curve| curve.points.iter().map(known).collect()).collect()
}

impl Observer for Recorder<'_> {
    fn batch(&mut self, t: Timestep, samples: u64, round: u64) -> bool {
        self.progress.say(format!("t = {t}, sample {samples}/{round}"));
        self.progress.goes_on()
    }

    fn smaller_batch(&mut self, batch: u64) {
        self.smaller_batch = Some(batch);
    }

    fn finished(&mut self, measured: AtTimestep) -> Result<bool> {
        add_points(&mut self.report.models, self.subjects, &measured);
        let spent = measured.evaluations.iter().zip(&measured.seconds);
        for (model, (evaluations, seconds)) in self.report.models.iter_mut().zip(spent) {
            model.spent.function_evaluations += evaluations;
            model.spent.wall_seconds += seconds.as_secs_f64();
        }
        let rows = ratios(&self.report.models, self.subjects, &measured, self.seed);
        self.report.comparison.extend(rows);
        self.report.provenance.wall_seconds = self.earlier + self.began.elapsed().as_secs_f64();
        if self.written.elapsed() > WRITE_EVERY {
            report::write_all(self.out, &[report_json(self.report)?])?;
            self.written = Instant::now();
        }
        Ok(self.progress.advance())
    }
}
