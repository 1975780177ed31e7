//! `lipscope train`.

use super::setup::setup;
use super::watch::Terminal;
use crate::error::Result;
use crate::train::Job;
use lipscope_core::cli::args::{Global, TrainArgs};
use lipscope_core::cli::{Outcome, output};

/// Trains one variant.
pub(super) fn run(args: &TrainArgs, global: &Global) -> Result<Option<Outcome>> {
    let job = Job::new(args, &setup(global))?;
    job.warnings.iter().for_each(|warning| output::warn(warning));
    if global.dry_run {
        return output::print_json(&job.plan.to_json()?);
    }
    let done = job.run(&Terminal::new(global.quiet)?)?;
    match (global.json, global.quiet) {
        (true, _) => output::print_json(&done.to_json()),
        (false, true) => Ok(None),
        (false, false) => output::print(&done.to_text()),
    }
}
