//! The report while it grows: points are added as they finish, and the file on disk follows.

use super::job::report_json;
use super::progress::Progress;
use crate::compare::{add_points, ratios};
use crate::error::Result;
use crate::measure::{AtTimestep, Observer, Subject};
use crate::report::{self, Report};
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
        Recorder { report, subjects, seed, out, progress, earlier, began: now, written: now, smaller_batch: None }
    }

    /// The report as it is.
    pub fn report(&self) -> &Report {
        self.report
    }

    /// So many timesteps more than was thought.
    pub fn expect(&self, more: usize) {
        self.progress.lengthen(more as u64);
    }
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
