//! A measurement carried out: unit by unit, then what follows from all of them.

use super::closed_form::{self, Expectation, Expected, WithAuxiliaries};
use super::finish::{finish, is_short};
use super::measurement::{Measurement, THEORY};
use super::record::Recorder;
use super::{Store, Watch, attribution, enumerated, interrupted, memorisation, provenance, rounding, told_of_parts};
use crate::clean_data;
use crate::compare::empty_curve;
use crate::device;
use crate::draws::Draws;
use crate::error::{Error, Result};
use crate::ideal::{Gaussian, IdealJumps};
use crate::measure::{Estimated, Settings, Subject, Sweep, curves};
use crate::model::Model;
use crate::of;
use crate::process::ForwardProcess;
use crate::report::{self, Curve, ModelReport, Report, Warning};
use crate::response::Response;

impl Measurement {
    /// Measures what the store does not hold yet, and gives the report. Without a store nothing is kept.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where the watcher stopped it: a partial report is in the store's folder then.
    pub fn run(self, mut store: Option<&mut Store>, watch: &dyn Watch) -> Result<Report> {
        let mut report = self.empty_report()?;
        if self.gaussian.is_some() || self.is_enumerated() {
            store.as_deref_mut().map_or(Ok(()), |store| store.end_of_shard(false))?;
        }
        if let Some(gaussian) = &self.gaussian {
            self.closed_form(&mut report, gaussian);
            return Ok(report);
        }
        if self.is_enumerated() {
            return Ok(self.enumerated(report));
        }
        let Measurement { plan, models, source, warnings, rounding, automatic_batch, moments, sources, .. } = self;
        let batch = (plan.batch, plan.seed);
        let is_shard = store.as_ref().is_some_and(|store| store.shard().is_some());
        let draws = clean_data::draws(&models, source.as_ref(), batch, store.as_deref_mut(), watch)?;
        let Some(draws) = draws else { return Err(interrupted(store.as_deref())) };
        let by_row = Draws { noises: plan.noises, ..draws.clone() };
        let subject = |(place, model): (usize, Model)| Subject {
            response: model.response.asked_for(plan.of, &plan.guidance),
            estimators: plan.estimators(),
            source: sources.get(place).cloned().flatten(),
        };
        let subjects: Vec<Subject> = models.into_iter().enumerate().map(subject).collect();
        let settings = Settings { rule: plan.samples, batch: plan.batch, probe: automatic_batch && !is_shard };
        let mut sweep = Sweep::new(&subjects, &by_row, &settings);
        report.warnings = warnings;
        watch.begin(plan.timesteps.len() as u64, "timesteps");
        let grows = rounding.is_some() || plan.attribute.is_some() || memorisation::is_there(&report, &subjects, &plan);
        let mut recorder = Recorder::new(&mut report, &subjects, &plan, store.as_deref_mut(), watch, grows);
        let resolution = recorder.measure(&mut sweep, draws.expected())?;
        let smaller = recorder.smaller_batch;
        watch.end();
        report.warnings.extend(smaller.map(|batch| Warning::SmallerBatch { batch }));
        report.resolution = resolution;
        let stop = |report: &Report, store: Option<&mut Store>| -> Error {
            let kept =
                store.map(|store| store.publish(&report::files(report, &[])?).map(|()| interrupted(Some(store))));
            kept.transpose().map_or_else(|error| error, |error| error.unwrap_or_else(|| interrupted(None)))
        };
        if is_short(&report, &plan) {
            return Err(stop(&report, store));
        }
        if !memorisation::add(&mut report, &subjects, (&plan, &draws), store.as_deref_mut(), watch)? {
            return Err(stop(&report, store));
        }
        if let Some(subject) = rounding {
            match rounding::measure(subject, &draws, &report, &plan, store.as_deref_mut(), watch)? {
                rounding::Outcome::Stopped => return Err(stop(&report, store)),
                rounding::Outcome::OfOthers => {}
                rounding::Outcome::Found(found) => {
                    report.provenance.wall_seconds += found.wall_seconds;
                    report.rounding = Some(*found);
                }
            }
        }
        if let Some(attribute) = plan.attribute {
            let to_store = store.as_deref_mut();
            if !attribution::measure(attribute, &subjects, &draws, &mut report, (&plan, to_store, watch))? {
                return Err(stop(&report, store));
            }
        }
        if let Some(store) = store {
            store.end_of_shard(false)?;
            told_of_parts(store, &mut report.provenance, &mut report.warnings);
        }
        let processes: Vec<&dyn ForwardProcess> = subjects.iter().map(|subject| subject.response.process()).collect();
        finish(&mut report, &plan, &processes, &moments);
        Ok(report)
    }

    /// The curves of a model before the first point: of each block, or of each guidance scale, one for each estimator.
    fn empty_curves(&self, model: &Model) -> Vec<Curve> {
        let (estimators, of) = (self.plan.estimators(), self.plan.of);
        let scales = &self.plan.guidance;
        if scales.is_empty() {
            return curves(&estimators, &*model.response).iter().map(|curve| empty_curve(curve, of)).collect();
        }
        let blocks = || scales.iter().map(|&scale| Some(of::scale_name(scale)));
        let each =
            estimators.iter().flat_map(|estimator| blocks().map(|block| Estimated { estimator: &**estimator, block }));
        each.map(|curve| empty_curve(&curve, of)).collect()
    }

    /// The report before the first point.
    fn empty_report(&self) -> Result<Report> {
        let curves = |model: &Model| self.empty_curves(model);
        let model = |model: &Model| ModelReport {
            label: model.label.clone(),
            model: model.description.clone(),
            curves: curves(model),
            spent: report::Spent::default(),
            own_weights: Vec::new(),
            summary: Vec::new(),
            attribution: None,
        };
        Ok(Report {
            schema_version: report::SCHEMA_VERSION,
            complete: false,
            command: self.plan.command.into(),
            provenance: provenance(self.plan.to_json()?, device::name(self.device)),
            models: self.models.iter().map(model).collect(),
            comparison: Vec::new(),
            resolution: None,
            rounding: None,
            reading: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// Whether its expectations are those over all states.
    fn is_enumerated(&self) -> bool {
        self.plan.command == THEORY && self.models.iter().all(|model| model.response.by_enumeration().is_some())
    }

    /// The report with the expectations over all states.
    fn enumerated(self, mut report: Report) -> Report {
        let Measurement { plan, models, warnings, moments, .. } = self;
        let asked = |model: Model| model.response.asked_for(plan.of, &plan.guidance);
        let responses: Vec<Box<dyn Response>> = models.into_iter().map(asked).collect();
        let ideals: Vec<&IdealJumps> = responses.iter().filter_map(|response| response.by_enumeration()).collect();
        report.resolution = enumerated::fill(&mut report.models, &ideals, &plan);
        report.warnings = warnings;
        let processes: Vec<&dyn ForwardProcess> = responses.iter().map(|response| response.process()).collect();
        finish(&mut report, &plan, &processes, &moments);
        report
    }

    /// The expectations themselves, where the data is Gaussian.
    fn expected<'a>(&self, gaussian: &Gaussian, response: &'a dyn Response) -> Option<Box<dyn Expected + 'a>> {
        if let Some(linear) = response.process().linear_gaussian() {
            return Some(Box::new(WithAuxiliaries::new(gaussian, linear, response.timestep_map())));
        }
        Some(Box::new(Expectation::new(gaussian, response.as_denoiser()?, self.plan.of)))
    }

    /// Fills them in.
    fn closed_form(&self, report: &mut Report, gaussian: &Gaussian) {
        let (Some(model), Some(entry)) = (self.models.first(), report.models.first_mut()) else { return };
        let Some(expected) = self.expected(gaussian, &*model.response) else { return };
        report.resolution = closed_form::fill(&*expected, entry, &self.plan);
        report.warnings = self.warnings.clone();
        finish(report, &self.plan, &[model.response.process()], &self.moments);
    }
}
