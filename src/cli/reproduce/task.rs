//! One step of a plan, as the task of a job carries it out.

use super::super::watch::Terminal;
use super::Steps;
use crate::device;
use crate::error::{Error, Result};
use crate::sweep::{self, Resources, Results, Step};
use lipscope_core::cli::args::Global;
use lipscope_core::slurm::Submission;
use std::path::Path;

/// Carries out the step that `which`, `I/FILE`, names: the I-th of a submission.
///
/// # Errors
/// The plan does not have it any more; what it needs is not there; or it fails.
pub(super) fn run(which: &str, steps: &[Step], results: &Results, global: &Global) -> Result<()> {
    let step = named(which, steps)?;
    if results.done(&step.key).is_some() {
        return Ok(());
    }
    let missing = step.needs().find(|key| results.done(key).is_none());
    if let Some(missing) = missing.and_then(|key| steps.iter().find(|other| other.key == key)) {
        let log = results.folder(&missing.key).join("log.txt");
        return Err(Error::mismatch(
            format!("`{}` needs `{}`, which is not finished", step.name(), missing.name()),
            format!("What that said is in {}.", log.display()),
        ));
    }
    let device = device::resolve(global.device.first())?;
    device::set_threads(global.threads)?;
    let threads = tch::get_num_threads().max(1) as usize;
    let program = std::env::current_exe().map_err(|e| Error::io("lipscope", "finding this program", &e))?;
    let resources = Resources { program, jobs: 1, threads, device: device::name(device) };
    let terminal = Terminal::new(global.quiet)?;
    let mut observer = Steps { terminal: &terminal, running: Vec::new() };
    sweep::run(std::slice::from_ref(step), results, &resources, &mut observer)
}

fn named<'a>(which: &str, steps: &'a [Step]) -> Result<&'a Step> {
    let refuse = || Error::argument("--step", which, "it is I/FILE, a step of a submission", "Leave it out.");
    let (index, file) = which.split_once('/').ok_or_else(refuse)?;
    let index: usize = index.parse().map_err(|_| refuse())?;
    let key = Submission::read(Path::new(file))?.steps.into_iter().nth(index).ok_or_else(refuse)?;
    steps.iter().find(|step| step.key == key).ok_or_else(|| {
        Error::mismatch(
            format!("the plan has no step {key}: it, or a file that it names, has changed since the job was submitted"),
            "Give `lipscope reproduce` again.",
        )
    })
}
