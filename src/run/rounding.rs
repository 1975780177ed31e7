//! `measure --rounding`: the same network again in float64, before anything is measured, and after the curves how much of
//! them is rounding.

use super::plan::Plan;
use super::{Store, Unit, Watch};
use crate::draws::Draws;
use crate::error::{Error, Result};
use crate::measure::SampleRule;
use crate::model::{DataRows, Derivatives, Model, Opened, RowCount, Said, Setting};
use crate::report::{Report, Rounding};
use crate::rounding::{Settings, Subject};
use lipscope_core::options::{MeasureOptions, Overrides};
use serde_json::json;
use tch::{Device, Kind};

const KIND: &str = "rounding";

/// The checkpoint once more, in float64; refused where that cannot be had.
pub(super) fn open(
    checkpoint: &str,
    model: &Model,
    options: &MeasureOptions,
    overrides: &Overrides,
    (labels, count): (Option<&[i64]>, RowCount),
    device: Device,
) -> Result<Subject> {
    let what = format!("--rounding for {}", model.label);
    if device == Device::Mps {
        let allowed = "the reference is float64, which mps does not have";
        return Err(Error::unsupported(what, allowed, "Use --device cpu."));
    }
    let said = Said::new(overrides, &options.data)?;
    let overrides = &overrides.with_columns_of(&options.data)?;
    let opened = Opened::open(checkpoint, Some(&model.label), &options.data, &said.request(device))?;
    let setting = Setting {
        shape: model.response.sample_shape(),
        overrides,
        labels,
        data: DataRows { count, limit: options.data.limit()? },
        device,
        kind: Kind::Double,
        derivatives: Derivatives::default(),
        ideal_process: None,
    };
    match opened.resolve_network(&setting, overrides.share.as_ref()) {
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

/// What became of it.
pub(super) enum Outcome {
    /// Here it is.
    Found(Box<Rounding>),
    /// The watcher stopped it.
    Stopped,
    /// It is left to another shard.
    OfOthers,
}

/// Measures on the plan's timesteps and draws, or takes what is in the store.
pub(super) fn measure(
    subject: Subject,
    draws: &Draws,
    report: &Report,
    plan: &Plan,
    mut store: Option<&mut Store>,
    watch: &dyn Watch,
) -> Result<Outcome> {
    if let Some(store) = &mut store {
        store.expect(KIND, vec![String::new()])?;
        if let Some(stored) = store.get(KIND, "") {
            return stored.said("found").map(|found| Outcome::Found(Box::new(found)));
        }
        if store.leaves(KIND, "") {
            return Ok(Outcome::OfOthers);
        }
    }
    let samples = match plan.samples {
        SampleRule::Fixed { samples } => Some(samples),
        SampleRule::RelativeError { .. } => None,
    };
    let settings = Settings::new(&plan.timesteps, plan.dt, samples, plan.batch, &draws.sample_shape);
    let label = report.models.first().map_or("", |model| model.label.as_str());
    watch.begin(subject.steps(&settings), "dtypes and timesteps");
    let found = subject.measure(label, draws, &settings, &mut || {
        watch.advance();
        watch.goes_on()
    })?;
    watch.end();
    let Some(found) = found else { return Ok(Outcome::Stopped) };
    if let Some(store) = store {
        store.add(Unit::new(KIND, "", json!({ "found": found })));
        store.keep()?;
    }
    Ok(Outcome::Found(Box::new(found)))
}
