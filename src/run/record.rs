//! The report while it grows: points are added as units finish, and the files on disk follow.

use super::plan::Plan;
use super::{Store, Watch, points};
use crate::compare::{add_points, ratios};
use crate::control_variates::Covariates;
use crate::error::Result;
use crate::measure::{AtTimestep, Observer, Subject, Sweep};
use crate::refine::{Known, Next, Resolution};
use crate::report::{self, ModelReport, Point, Report};
use crate::time::Timestep;
use std::time::Instant;

/// Takes what the measuring loop finishes.
pub(super) struct Recorder<'a> {
    report: &'a mut Report,
    subjects: &'a [Subject],
    plan: &'a Plan,
    store: Option<&'a mut Store>,
    watch: &'a dyn Watch,
    /// Timesteps of the unit that is being measured.
    unit: Vec<AtTimestep>,
    /// When it began.
    began: Instant,
    expected: usize,
    /// Whether other units follow from the timesteps.
    grows: bool,
    /// The batch size that was left when memory ran out.
    pub smaller_batch: Option<u64>,
}

impl<'a> Recorder<'a> {
    /// A recorder into an empty report. `more` says that other units follow from the timesteps.
    pub fn new(
        report: &'a mut Report,
        subjects: &'a [Subject],
        plan: &'a Plan,
        store: Option<&'a mut Store>,
        watch: &'a dyn Watch,
        more: bool,
    ) -> Self {
        let (unit, began, grows) = (Vec::new(), Instant::now(), more || plan.refinement.is_some());
        Recorder { report, subjects, plan, store, watch, unit, began, expected: 0, grows, smaller_batch: None }
    }

    /// Measures the timesteps, and what a refinement adds to them; how well they then resolve the curves, or `None`
    /// without a refinement or where the watcher stopped it. `expected` are the expectations of the covariates.
    pub fn measure(&mut self, sweep: &mut Sweep, expected: Option<Covariates>) -> Result<Option<Resolution>> {
        let mut next = Next::Measure(self.plan.timesteps.clone());
        loop {
            match next {
                Next::Done(resolution) => return Ok(Some(resolution)),
                Next::Measure(wanted) if !self.wave(&wanted, sweep, expected)? => return Ok(None),
                Next::Measure(_) => {}
            }
            let Some(refinement) = self.plan.refinement else { return Ok(None) };
            next = refinement.next(&self.plan.timesteps, &known(&self.report.models));
        }
    }

    /// Takes the units of these timesteps that are in the store and measures the others; `false` if the watcher stopped
    /// it. Units are cut from the whole list, whatever is there already, so that the same rows share batches.
    fn wave(&mut self, timesteps: &[Timestep], sweep: &mut Sweep, expected: Option<Covariates>) -> Result<bool> {
        self.expected += timesteps.len();
        self.watch.lengthen_to(self.expected as u64);
        if let Some(store) = self.store.as_deref_mut() {
            store.expect(points::KIND, sweep.units(timesteps).map(points::key).collect())?;
        }
        for unit in sweep.units(timesteps) {
            let key = points::key(unit);
            let stored = self.store.as_ref().and_then(|store| store.get(points::KIND, &key));
            if let Some(stored) = stored {
                let (finished, facts) = points::decode(stored, unit, self.subjects, (expected, self.plan.noises > 1))?;
                self.smaller_batch = facts.smaller_batch.or(self.smaller_batch);
                self.report.provenance.wall_seconds += facts.wall_seconds;
                finished.iter().for_each(|point| self.take(point));
                self.watch.skip(unit.len() as u64);
                continue;
            }
            if self.store.as_mut().is_some_and(|store| store.leaves(points::KIND, &key)) {
                self.watch.skip(unit.len() as u64);
                continue;
            }
            (self.unit, self.began) = (Vec::new(), Instant::now());
            if !sweep.measure(unit, self)? && self.unit.len() < unit.len() {
                return Ok(false);
            }
            self.keep(&key)?;
            if !self.watch.goes_on() {
                return Ok(false);
            }
        }
        match self.store.as_mut().filter(|store| store.is_waiting()) {
            // What `auto` adds, parts of derivatives and the like follow from all of them.
            Some(store) => store.end_of_shard(self.grows).map(|()| true),
            None => Ok(true),
        }
    }

    /// Keeps the unit that is finished, and writes what is due.
    fn keep(&mut self, key: &str) -> Result<()> {
        let (finished, wall_seconds) = (std::mem::take(&mut self.unit), self.began.elapsed().as_secs_f64());
        self.report.provenance.wall_seconds += wall_seconds;
        finished.iter().for_each(|point| self.take(point));
        let Some(store) = self.store.as_deref_mut() else { return Ok(()) };
        let facts = points::Facts { wall_seconds, smaller_batch: self.smaller_batch };
        store.add(points::encode(key, &finished, &facts)?);
        if store.is_due() {
            store.publish(&report::files(self.report, &[])?)?;
        }
        Ok(())
    }

    /// Adds one timestep to the report.
    fn take(&mut self, measured: &AtTimestep) {
        add_points(&mut self.report.models, self.subjects, measured);
        let spent = measured.evaluations.iter().zip(&measured.seconds);
        for (model, (evaluations, seconds)) in self.report.models.iter_mut().zip(spent) {
            model.spent.function_evaluations += evaluations;
            model.spent.wall_seconds += seconds.as_secs_f64();
        }
        // On samples of their own there are no pairs.
        if self.subjects.iter().all(|subject| subject.source.is_none()) {
            let rows = ratios(&self.report.models, measured);
            self.report.comparison.extend(rows);
        }
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
        self.watch.say(&format!("t = {t}, sample {samples}/{round}"));
        self.watch.goes_on()
    }

    fn smaller_batch(&mut self, batch: u64) {
        self.smaller_batch = Some(batch);
    }

    fn finished(&mut self, measured: AtTimestep) -> Result<bool> {
        self.unit.push(measured);
        self.watch.advance();
        Ok(true)
    }
}
