//! A training as a run: network and batches, the loop, checkpoints and `train.csv` on the way.

use super::log::Log;
use super::prepare::{Every, Job};
use super::{Batch, Batches, Row, Trainer};
use crate::atomic;
use crate::checkpoint::{Content, Sidecar, Training, Writer};
use crate::error::{Error, Result};
use crate::run::{Store, Watch};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

/// The state that a run goes on from.
const STATE: &str = "training.safetensors";

/// What a finished run has to say.
pub struct Done {
    /// Its folder.
    pub out: PathBuf,
    /// The checkpoints.
    pub files: Vec<PathBuf>,
    row: Option<Row>,
    bands: Vec<String>,
    steps: u64,
}

impl Done {
    /// As JSON.
    pub fn to_json(&self) -> Value {
        let bands =
            |row: &Row| -> Value { self.bands.iter().cloned().zip(row.bands.iter().map(|b| json!(b))).collect() };
        json!({
            "out": self.out,
            "checkpoints": self.files,
            "steps": self.steps,
            "last": self.row.as_ref().map(|row| json!({
                "loss": row.loss,
                "mse": row.mse,
                "bands": bands(row),
                "gradient_norm": row.gradient_norm,
                "learning_rate": row.learning_rate,
                "images_per_second": row.images_per_second,
            })),
        })
    }

    /// In a few lines.
    pub fn to_text(&self) -> String {
        let mut text = format!("{} steps done", self.steps);
        if let Some(row) = &self.row {
            let bands = self.bands.iter().zip(&row.bands).filter_map(|(name, mse)| mse.map(|mse| (name, mse)));
            let bands: Vec<String> =
                bands.map(|(name, mse)| format!("{} {mse:.4}", name.replace("mse_t", "t = "))).collect();
            text += &format!("; last losses: {:.4} in all, {}", row.mse, bands.join(", ").replace('_', " … "));
            text += &format!("; {:.0} images/s", row.images_per_second);
        }
        let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        text += &format!("\ncheckpoint: {}\n", files.join(", "));
        if let Some(file) = files.first() {
            text += &format!("measure it: lipscope measure {file} --plot\n");
        }
        text
    }
}

impl Job {
    /// Trains to the end, from the state of an earlier run where there is one.
    ///
    /// # Errors
    /// The folder belongs to another training; the loss is not finite any more; or [`Error::Interrupted`] where the
    /// watcher stopped it: the state of the last step is saved then.
    pub fn run(self, watch: &dyn Watch) -> Result<Done> {
        let store = self.open()?;
        let out = store.folder().to_path_buf();
        let Job { plan, network, data, writers, sidecar, reference, every, device, workers, .. } = self;
        let state = out.join(STATE);
        atomic::remove_leftovers(&out, STATE);
        writers.iter().for_each(|writer| atomic::remove_leftovers(&out, writer.file_name));
        let mut trainer = Trainer::new(plan.clone(), network, device)?;
        if state.exists() {
            trainer.restore(&state)?;
        }
        let mut log = Log::open(&out, &trainer.band_names(), trainer.step())?;
        let batches = Batches {
            data,
            shape: plan.shape.clone(),
            timesteps: trainer.timesteps(),
            flip: plan.flip,
            seed: plan.seed,
            size: plan.batch / plan.accumulate,
            workers,
        };
        let batches = batches.start(trainer.step() * plan.accumulate);
        let keeper = Keeper { out: &out, state: &state, writers: &writers, sidecar: &sidecar, reference: &reference };
        watch.begin(plan.steps, &format!("steps of {}", plan.variant));
        watch.skip(trainer.step());
        let last = train(&mut trainer, plan.steps, &batches, every, (&keeper, &mut log, watch))?;
        watch.end();
        if writers.iter().any(|writer| !out.join(writer.file_name).exists()) {
            keeper.write(&trainer)?;
        }
        let files = writers.iter().map(|writer| out.join(writer.file_name)).collect();
        Ok(Done { files, row: last, bands: trainer.band_names(), steps: trainer.step(), out })
    }

    /// The folder; more steps of the same training belong into it.
    fn open(&self) -> Result<Store> {
        let mut plan = self.plan.to_json()?;
        if let Some(object) = plan.as_object_mut() {
            object.remove("steps");
        }
        Store::open(&self.folder, &plan)
    }
}

/// The loop; returns the last row of `train.csv`.
fn train(
    trainer: &mut Trainer,
    steps: u64,
    batches: &Receiver<Result<Batch>>,
    every: Every,
    (keeper, log, watch): (&Keeper, &mut Log, &dyn Watch),
) -> Result<Option<Row>> {
    let mut last = None;
    while trainer.step() < steps {
        if let Err(error) = trainer.take_step(batches) {
            return Err(keeper.ended_by(error, trainer));
        }
        let step = trainer.step();
        if step.is_multiple_of(every.log) || step == steps {
            last = trainer.row().map_err(|e| keeper.with_last_good(e))?;
            if let Some(row) = &last {
                log.write(row)?;
                watch.say(&format!("loss {:.4}, {:.0} images/s", row.mse, row.images_per_second));
            }
        }
        watch.advance();
        let goes_on = watch.goes_on();
        if step.is_multiple_of(every.save) || step == steps || !goes_on {
            keeper.save(trainer)?;
        }
        if !goes_on && step < steps {
            let out = keeper.out.display();
            let next = format!("Step {step} is saved in {out}; the same command goes on from there.");
            return Err(Error::Interrupted { next });
        }
    }
    Ok(last)
}

/// Puts checkpoints on disk.
struct Keeper<'a> {
    out: &'a Path,
    state: &'a Path,
    writers: &'a [&'static Writer],
    sidecar: &'a Sidecar,
    reference: &'a tch::Tensor,
}

impl Keeper<'_> {
    fn save(&self, trainer: &mut Trainer) -> Result<()> {
        trainer.save(self.state).map_err(|e| self.with_last_good(e))?;
        self.write(trainer)
    }

    fn write(&self, trainer: &Trainer) -> Result<()> {
        let sets = trainer.weight_sets();
        let names: Vec<String> = sets.iter().map(|set| set.name.clone()).collect();
        let mut sidecar = self.sidecar.clone();
        if let Some(training) = &mut sidecar.training {
            *training = Training {
                weights: names.first().cloned().unwrap_or_default(),
                all_weights: names,
                steps: trainer.step(),
                ..training.clone()
            };
        }
        let content = Content { sidecar, sets: &sets, reference: Some(self.reference) };
        self.writers.iter().try_for_each(|writer| (writer.write)(&content, &self.out.join(writer.file_name)))
    }

    /// The error that ends a training. Where a sample could not be read nothing is wrong with the state, and it is saved.
    fn ended_by(&self, error: Error, trainer: &mut Trainer) -> Error {
        if matches!(error, Error::File { .. }) && trainer.step() > 0 {
            return match self.save(trainer) {
                Ok(()) => self.with_last_good(error),
                Err(worse) => worse,
            };
        }
        self.with_last_good(error)
    }

    /// The error, with where the last good state is.
    fn with_last_good(&self, error: Error) -> Error {
        let step = crate::tensor_file::entries(self.state)
            .ok()
            .and_then(|listing| listing.metadata.into_iter().find(|(key, _)| key == "step").map(|(_, step)| step));
        let Some(step) = step else { return error };
        let with = |next: String| format!("{next} The last good state, of step {step}, is {}.", self.state.display());
        match error {
            Error::Mismatch { problem, next } => Error::Mismatch { problem, next: with(next) },
            Error::File { path, problem, next } => Error::File { path, problem, next: with(next) },
            other => other,
        }
    }
}
