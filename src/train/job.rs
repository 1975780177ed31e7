//! A training as a run: network and batches, the loop, checkpoints and `train.csv` on the way.

use super::keeper::Keeper;
use super::log::Log;
use super::prepare::{Every, Job};
use super::ranks::World;
use super::{Batch, Batches, Row, Trainer};
use crate::error::{Error, Result};
use crate::run::{Store, Watch};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

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
        self.run_in(&World::alone(), watch)
    }

    /// The same as one of several processes, of which rank 0 alone reads and writes the folder.
    ///
    /// # Errors
    /// The same, and those of other ranks; [`World::conclude`] says who tells them.
    pub fn run_in(self, world: &World, watch: &dyn Watch) -> Result<Done> {
        world.agree(&self.plan)?;
        let keeper = match world.is_first() {
            true => Some(Keeper::new(&self, self.open()?.folder().to_path_buf())),
            false => None,
        };
        let Job { plan, network, data, every, device, workers, .. } = self;
        if let Some(note) = world.settle(device)? {
            watch.note(&note);
        }
        let mut trainer = Trainer::new(plan.clone(), network, device)?;
        keeper.iter().try_for_each(|keeper| keeper.restore(&mut trainer))?;
        trainer.follow_first(world)?;
        let size = plan.batch / plan.accumulate;
        let batches = Batches {
            data,
            shape: plan.shape.clone(),
            timesteps: trainer.timesteps(),
            flip: plan.flip,
            seed: plan.seed,
            size,
            rows: world.rows(size),
            workers,
        };
        let batches = batches.start(trainer.step() * plan.accumulate);
        watch.begin(plan.steps, &format!("steps of {}", plan.variant));
        watch.skip(trainer.step());
        let last = match &keeper {
            Some(keeper) => {
                let mut log = Log::open(&keeper.out, &trainer.band_names(), trainer.step())?;
                let last = train(&mut trainer, plan.steps, &batches, every, (world, watch), Some((keeper, &mut log)))
                    .map_err(|e| keeper.with_last_good(e))?;
                if keeper.files().iter().any(|file| !file.exists()) {
                    keeper.write(&trainer)?;
                }
                last
            }
            None => train(&mut trainer, plan.steps, &batches, every, (world, watch), None)?,
        };
        watch.end();
        let (files, out) = keeper.map(|keeper| (keeper.files(), keeper.out)).unwrap_or_default();
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

/// The loop; returns the last row of `train.csv`. Rank 0 alone has `records`, but all take part in every look at whether to
/// go on.
fn train(
    trainer: &mut Trainer,
    steps: u64,
    batches: &Receiver<Result<Batch>>,
    every: Every,
    (world, watch): (&World, &dyn Watch),
    mut records: Option<(&Keeper, &mut Log)>,
) -> Result<Option<Row>> {
    let mut last = None;
    while trainer.step() < steps {
        if let Err(error) = trainer.take_step(batches, world) {
            if let Some((keeper, _)) = &records {
                keeper.save_before(&error, trainer)?;
            }
            return Err(error);
        }
        let step = trainer.step();
        if let Some((_, log)) = records.as_mut().filter(|_| step.is_multiple_of(every.log) || step == steps) {
            last = trainer.row()?;
            if let Some(row) = &last {
                log.write(row)?;
                watch.say(&format!("loss {:.4}, {:.0} images/s", row.mse, row.images_per_second));
            }
        }
        watch.advance();
        let goes_on = world.all(watch.goes_on())?;
        if let Some((keeper, _)) =
            records.as_ref().filter(|_| step.is_multiple_of(every.save) || step == steps || !goes_on)
        {
            keeper.save(trainer)?;
        }
        if !goes_on && step < steps {
            let folder = records.as_ref().map_or(String::new(), |(keeper, _)| format!(" in {}", keeper.out.display()));
            let next = format!("Step {step} is saved{folder}; the same command goes on from there.");
            return Err(Error::Interrupted { next });
        }
    }
    Ok(last)
}
