//! Sample quality of models over samplers, spacings, numbers of network evaluations and seeds.

mod cells;
mod reading;
mod row;
mod subjects;
mod tables;
mod wanted;
mod yardstick;

use crate::device;
use crate::error::Result;
use crate::report::{self, Cell as Entry, Table, TidyReport, Warning};
use crate::run::sampling;
use crate::run::setup::{self, Setup};
use crate::run::{Folder, Store, Unit, Watch, interrupted, provenance, told_of_parts};
use cells::{Cell, Sweep};
use lipscope_core::cli::args::EvaluateArgs;
use lipscope_core::store::TIMED_ROWS;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use subjects::Subjects;
use tch::Device;
use wanted::Wanted;
use yardstick::Yardstick;

/// The kind of the units: one model, one way of sampling, one seed.
const KIND: &str = "cells";

/// An evaluation, resolved and checked, with its models and data.
pub struct Evaluation {
    plan: Value,
    wanted: Wanted,
    subjects: Subjects,
    yardstick: Yardstick,
    batch: u64,
    seed: u64,
    device: Device,
}

impl Evaluation {
    /// Resolves what was asked for.
    ///
    /// # Errors
    /// What [`crate::model::Model::load`] refuses; data and statistics that do not fit; budgets that a schedule does not
    /// allow.
    pub fn new(args: &EvaluateArgs, setup: &Setup) -> Result<Self> {
        let wanted = Wanted::parse(args)?;
        let arithmetic = setup.arithmetic(args.model.dtype)?;
        let subjects = Subjects::open(args, arithmetic)?;
        subjects.models().try_for_each(|model| wanted.fits(model))?;
        let yardstick = Yardstick::new(args, &wanted, &subjects, arithmetic.0, setup.seed)?;
        let batch = sampling::batch(args.batch, &subjects.shape, setup.cut_for(arithmetic.0));
        let plan = plan(&wanted, &subjects, &yardstick, (setup.seed, batch));
        Ok(Evaluation { plan, wanted, subjects, yardstick, batch, seed: setup.seed, device: arithmetic.0 })
    }

    /// Everything that the numbers depend on.
    pub fn plan(&self) -> &Value {
        &self.plan
    }

    /// The folder that was named, else the default one.
    pub fn folder(&self, named: Option<&Path>) -> Folder {
        let labels = self.subjects.all.iter().map(|subject| subject.label.as_str());
        Folder::new(named, || setup::default_folder("evaluate", labels))
    }

    /// The table that sums a report up.
    pub fn shown(report: &TidyReport) -> Option<Table> {
        tables::shown(report)
    }

    /// Measures the cells that the store does not hold yet, and gives the report.
    ///
    /// # Errors
    /// [`crate::error::Error::Interrupted`] where the watcher stopped it: a partial report is in the store's folder then.
    pub fn run(&self, store: &mut Store, watch: &dyn Watch) -> Result<TidyReport> {
        let Evaluation { wanted, subjects, yardstick, batch, seed, .. } = self;
        let most = std::cell::Cell::new(*batch);
        let sweep = Sweep { wanted, subjects, yardstick, batch: *batch, most, seed: *seed };
        let mut report = self.empty_report();
        let cells = sweep.cells();
        store.expect(KIND, cells.iter().map(|cell| key(&sweep, cell)).collect())?;
        watch.begin(sweep.calls(&cells), "network calls");
        for cell in &cells {
            let key = key(&sweep, cell);
            if let Some(stored) = store.get(KIND, &key) {
                tables::add(&mut report, stored.said("rows")?);
                report.provenance.wall_seconds += stored.said::<f64>("wall_seconds")?;
                watch.skip(sweep.calls(std::slice::from_ref(cell)));
                continue;
            }
            if store.leaves(KIND, &key) {
                watch.skip(sweep.calls(std::slice::from_ref(cell)));
                continue;
            }
            watch.say(&sweep.name(cell));
            let began = Instant::now();
            let measured = sweep.measure(cell, &mut || {
                watch.advance();
                watch.goes_on()
            })?;
            if let Some(rows) = &measured {
                let spent = began.elapsed().as_secs_f64();
                report.provenance.wall_seconds += spent;
                store.add(Unit::new(KIND, key, json!({ "rows": rows, "wall_seconds": spent, TIMED_ROWS: true })));
                tables::add(&mut report, rows.clone());
            }
            let goes_on = measured.is_some() && watch.goes_on();
            if !goes_on || store.is_due() {
                tables::summarise(&mut report, &sweep);
                store.publish(&report::tidy_files(&report, &[])?)?;
            }
            if !goes_on {
                return Err(interrupted(Some(store)));
            }
        }
        watch.end();
        store.end_of_shard(false)?;
        tables::summarise(&mut report, &sweep);
        let most = sweep.most.get();
        report.warnings.extend((most < *batch).then_some(Warning::SmallerBatch { batch: most }));
        told_of_parts(store, &mut report.provenance, &mut report.warnings);
        report.complete = true;
        Ok(report)
    }

    fn empty_report(&self) -> TidyReport {
        let notes = self.yardstick.notes.iter().map(|note| Warning::Data { message: note.clone() });
        TidyReport {
            schema_version: report::SCHEMA_VERSION,
            complete: false,
            command: "evaluate".into(),
            title: "Sample quality".into(),
            provenance: provenance(self.plan.clone(), device::name(self.device)),
            tables: tables::empty(),
            charts: Vec::new(),
            reading: Vec::new(),
            warnings: self.subjects.warnings.iter().cloned().chain(notes).collect(),
        }
    }
}

/// What tells a cell from all others, as text.
fn key(sweep: &Sweep, cell: &Cell) -> String {
    sweep.key(cell).iter().map(Entry::shown).collect::<Vec<String>>().join("|")
}

/// Everything that the numbers depend on.
fn plan(wanted: &Wanted, subjects: &Subjects, yardstick: &Yardstick, (seed, batch): (u64, u64)) -> Value {
    json!({
        "command": "evaluate",
        "models": subjects.describe(),
        "data": subjects.describe_data(),
        "reference": yardstick.describe(),
        "samplers": wanted.samplers,
        "spacings": wanted.spacings,
        "nfe": wanted.nfe,
        "clip": wanted.clip.to_string(),
        "samples": wanted.samples,
        "seeds": wanted.seeds,
        "metrics": yardstick.names(),
        "batch": batch,
        "seed": seed,
    })
}
