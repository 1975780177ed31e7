//! Checkpoints and state of a run on disk.

use super::Trainer;
use super::prepare::Job;
use crate::atomic;
use crate::checkpoint::{Content, Sidecar, Training, Writer};
use crate::error::{Error, Result};
use std::path::PathBuf;
use tch::Tensor;

/// The state that a run goes on from.
const STATE: &str = "training.safetensors";

/// Puts checkpoints on disk.
pub(super) struct Keeper {
    pub out: PathBuf,
    state: PathBuf,
    writers: Vec<&'static Writer>,
    sidecar: Sidecar,
    reference: Tensor,
}

impl Keeper {
    /// For a job, in its folder; what a killed run left half-written is removed.
    pub fn new(job: &Job, out: PathBuf) -> Self {
        atomic::remove_leftovers(&out, STATE);
        job.writers.iter().for_each(|writer| atomic::remove_leftovers(&out, writer.file_name));
        Keeper {
            state: out.join(STATE),
            writers: job.writers.clone(),
            sidecar: job.sidecar.clone(),
            reference: job.reference.shallow_clone(),
            out,
        }
    }

    /// The checkpoints.
    pub fn files(&self) -> Vec<PathBuf> {
        self.writers.iter().map(|writer| self.out.join(writer.file_name)).collect()
    }

    /// Goes on from the state of an earlier run where there is one.
    pub fn restore(&self, trainer: &mut Trainer) -> Result<()> {
        if self.state.exists() { trainer.restore(&self.state) } else { Ok(()) }
    }

    /// State and checkpoints.
    pub fn save(&self, trainer: &mut Trainer) -> Result<()> {
        trainer.save(&self.state).map_err(|e| self.with_last_good(e))?;
        self.write(trainer)
    }

    /// Saves before an error ends a training with whose state nothing is wrong: a sample could not be read.
    pub fn save_before(&self, error: &Error, trainer: &mut Trainer) -> Result<()> {
        let is_sound = matches!(error, Error::File { .. }) && trainer.step() > 0;
        if is_sound { self.save(trainer) } else { Ok(()) }
    }

    /// Checkpoints alone.
    pub fn write(&self, trainer: &Trainer) -> Result<()> {
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
        let content = Content { sidecar, sets: &sets, reference: Some(&self.reference) };
        self.writers.iter().try_for_each(|writer| (writer.write)(&content, &self.out.join(writer.file_name)))
    }

    /// The error, with where the last good state is.
    pub fn with_last_good(&self, error: Error) -> Error {
        let step = crate::tensor_file::entries(&self.state)
            .ok()
            .and_then(|listing| listing.metadata.into_iter().find(|(key, _)| key == "step").map(|(_, step)| step));
        match (error, step) {
            (Error::Mismatch { problem, next }, Some(step)) => {
                Error::Mismatch { problem, next: self.after(next, &step) }
            }
            (Error::File { path, problem, next }, Some(step)) => {
                Error::File { path, problem, next: self.after(next, &step) }
            }
            (other, _) => other,
        }
    }

    fn after(&self, next: String, step: &str) -> String {
        format!("{next} The last good state, of step {step}, is {}.", self.state.display())
    }
}
