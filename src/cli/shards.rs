//! The folder of a run: for all of its units, for those of a shard, or for none, where parts are put together.

use crate::device::{self, DeviceChoice};
use crate::error::{Error, Result};
use crate::report::Warning;
use crate::run::{Folder, Store};
use lipscope_core::atomic;
use lipscope_core::cli::args::{Global, OutputOptions};
use lipscope_core::cli::output;
use lipscope_core::store::{Invocation, Maker, Shard};
use serde_json::Value;

/// The store of a plan, for the part of its units that `options` name.
///
/// # Errors
/// As [`Store::open`]; and with `--strict` parts of unlike devices.
pub(super) fn store(folder: &Folder, plan: &Value, options: &OutputOptions, global: &Global) -> Result<Store> {
    let maker = maker(options.shard, global)?;
    let cut_for = global.cut_for.as_ref().map_or_else(|| maker.device.clone(), DeviceChoice::to_string);
    let store = Store::open(folder, plan)?.made_by(maker).sharded(options.shard);
    Invocation::current()?.cut_for(cut_for).keep(store.folder())?;
    store.damaged().iter().for_each(|part| output::warn(part));
    let is_mixed = |warning: &Warning| matches!(warning, Warning::MixedHardware { .. });
    match store.warnings().into_iter().find(is_mixed).filter(|_| options.strict) {
        Some(mixed) => {
            Err(Error::mismatch(mixed.to_string().trim_end_matches('.'), "Leave out --strict to put them together."))
        }
        None => Ok(if options.merge { store.only_merging() } else { store }),
    }
}

/// This process, as the parts that it writes name it.
fn maker(shard: Option<Shard>, global: &Global) -> Result<Maker> {
    let device = device::resolve(global.device.first())?;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let of_array = variable("SLURM_ARRAY_JOB_ID").zip(variable("SLURM_ARRAY_TASK_ID"));
    let job = of_array.map(|(job, task)| format!("{job}_{task}")).or_else(|| variable("SLURM_JOB_ID"));
    let again = variable("SLURM_RESTART_COUNT").map(|count| format!(", start {count}")).unwrap_or_default();
    Ok(Maker {
        process: format!("{}-{:016x}", std::process::id(), atomic::random()),
        host: device::host_name(),
        device: device::name(device),
        hardware: device::hardware(device),
        threads: tch::get_num_threads().max(1) as usize,
        libtorch: device::LIBTORCH_VERSION.into(),
        shard,
        job: job.map(|job| format!("{job}{again}")),
    })
}
