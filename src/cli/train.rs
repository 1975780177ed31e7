//! `lipscope train`.

use super::setup::setup;
use super::watch::{self, Terminal};
use crate::error::{Error, Result};
use crate::run::Setup;
use crate::train::Job;
use crate::train::ranks::{self, World};
use lipscope_core::cli::args::{Global, TrainArgs};
use lipscope_core::cli::{Outcome, output};

/// Trains one variant, in this process or as one of those that the environment names.
pub(super) fn run(args: &TrainArgs, global: &Global) -> Result<Option<Outcome>> {
    let place = ranks::place(&|name| std::env::var(name).ok())?;
    let Some(place) = place else { return train(args, global, setup(global), &World::alone()) };
    let setup = Setup { device: ranks::device_of(global.device.first(), &place)?, ..setup(global) };
    let world = match World::join(&place) {
        Ok(world) => world,
        Err(told) => return told.map_or(Ok(Some(Outcome::ToldElsewhere(2))), Err),
    };
    let error = match train(args, global, setup, &world) {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    let status = match (&error, watch::signal()) {
        (Error::Interrupted { .. }, Some(signal)) => 128u8.saturating_add(signal as u8),
        _ => error.exit_code(),
    };
    world.conclude(error).map_or(Ok(Some(Outcome::ToldElsewhere(status))), Err)
}

fn train(args: &TrainArgs, global: &Global, setup: Setup, world: &World) -> Result<Option<Outcome>> {
    let job = Job::new(args, &setup)?;
    if !world.is_first() {
        if !global.dry_run {
            job.run_in(world, &Terminal::silent()?)?;
        }
        return Ok(None);
    }
    job.warnings.iter().for_each(|warning| output::warn(warning));
    if global.dry_run {
        return output::print_json(&job.plan.to_json()?);
    }
    let done = job.run_in(world, &Terminal::new(global.quiet)?)?;
    match (global.json, global.quiet) {
        (true, _) => output::print_json(&done.to_json()),
        (false, true) => Ok(None),
        (false, false) => output::print(&done.to_text()),
    }
}
