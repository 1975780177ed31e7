//! `lipscope measure CKPT --rounding`: the same network again in float64, before anything is measured, and after the
//! curves how much of them is rounding.

use super::args::MeasureArgs;
use super::model::{Opened, Setting};
use super::plan::Plan;
use super::prepare::Prepared;
use super::progress::Progress;
use super::said::Said;
use crate::draws::Draws;
use crate::error::{Error, Result};
use crate::measure::SampleRule;
use crate::report::{Report, Rounding, rounding_reading, rounding_table};
use crate::rounding::{Settings, Subject};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tch::{Device, Kind};

/// The checkpoint once more, in float64; refused where that cannot be had.
pub(super) fn open(args: &MeasureArgs, prepared: &Prepared) -> Result<Subject> {
    let Some(model) = prepared.models.first() else {
        return Err(Error::mismatch("there is no model", "Give a checkpoint."));
    };
    let what = format!("--rounding for {}", model.label);
    let device = prepared.device;
    if device == Device::Mps {
        let allowed = "the reference is float64, which mps does not have";
        return Err(Error::unsupported(what, allowed, "Use --device cpu."));
    }
    let said = Said::new(&args.model)?;
    let opened = Opened::open(&args.checkpoint, args.label.as_deref(), &args.options.data, &said.request(device))?;
    let setting = Setting {
        shape: model.denoiser.sample_shape(),
        options: &args.model,
        device,
        kind: Kind::Double,
        derivative: false,
        ideal_schedule: None,
    };
    match opened.resolve_network(&setting, args.model.share.as_ref()) {
        Ok(Some(denoiser)) => Ok(Subject::new(denoiser)),
        Ok(None) => Err(Error::unsupported(
            what,
            "a closed form is computed in float64 throughout",
            "Give a checkpoint with a network.",
        )),
        Err(error) => Err(Error::unsupported(
            what,
            format!("the reference is the same network in float64, which cannot be had ({})", error.problem()),
            "Leave out --rounding; a TorchScript module must follow the dtype of its inputs, with no cast to float32 baked in.",
        )),
    }
}

/// Measures on the plan's timesteps and draws; `None` if interrupted.
pub(super) fn measure(
    subject: Subject,
    draws: &Draws,
    report: &Report,
    plan: &Plan,
    batch: u64,
    quiet: bool,
    stopped: &Arc<AtomicBool>,
) -> Result<Option<Rounding>> {
    let samples = match plan.samples {
        SampleRule::Fixed { samples } => Some(samples),
        SampleRule::RelativeError { .. } => None,
    };
    let settings = Settings::new(&plan.timesteps, plan.dt, samples, batch, &draws.sample_shape);
    let label = report.models.first().map_or("", |model| model.label.as_str());
    let progress = Progress::new(subject.steps(&settings), "dtypes and timesteps", quiet, stopped);
    subject.measure(label, draws, &settings, &mut || progress.advance())
}

/// The table and what it comes to.
pub(super) fn text(found: &Rounding, width: u16) -> String {
    format!("{}\n\n{}\n\n", rounding_table(found, width), rounding_reading(found))
}
