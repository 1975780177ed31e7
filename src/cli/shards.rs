//! `--shards N`: the shards of a command as processes side by side on this machine, one for each GPU or a part of the cores;
//! then the command itself puts them together.

use super::watch::Terminal;
use crate::device::{self, DeviceChoice};
use crate::error::{Error, Result};
use crate::report::Warning;
use crate::run::{Folder, Store, Watch, interrupted};
use lipscope_core::atomic;
use lipscope_core::cli::args::{Global, OutputOptions};
use lipscope_core::cli::output;
use lipscope_core::store::{Invocation, Maker, Shard, Survey, without};
use serde_json::Value;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use tch::Device;

const PAUSE: Duration = Duration::from_millis(100);

/// The store of a plan, for the part of its units that `options` name; with `--shards`, after those have done them.
///
/// # Errors
/// As [`Store::open`]; a shard fails, with what it says; or [`Error::Interrupted`].
pub(super) fn store(
    (folder, plan): (&Folder, &Value),
    options: &OutputOptions,
    global: &Global,
    watch: &Terminal,
) -> Result<Store> {
    let opened = || Ok::<Store, Error>(Store::open(folder, plan)?.made_by(maker(options.shard, global)?));
    let store = opened()?.sharded(options.shard);
    Invocation::current()?.keep(store.folder())?;
    // Several devices are one process each.
    let several = Some(global.device.all().len() as u32).filter(|count| *count > 1 && !options.merge);
    let store = match options.shards.or(several) {
        None => store,
        Some(count) => {
            spread(count as usize, &store, global, watch)?;
            opened()?
        }
    };
    store.damaged().iter().for_each(|part| output::warn(part));
    if options.strict
        && let Some(mixed) =
            store.warnings().into_iter().find(|warning| matches!(warning, Warning::MixedHardware { .. }))
    {
        return Err(Error::mismatch(
            mixed.to_string().trim_end_matches('.'),
            "Leave out --strict to put them together.",
        ));
    }
    Ok(if options.merge { store.only_merging() } else { store })
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

/// Runs the shards of this very command into the folder of `store`, again as long as that adds units: `auto` finds out only
/// then which timesteps are next.
fn spread(count: usize, store: &Store, global: &Global, watch: &Terminal) -> Result<()> {
    let finished = || Ok::<usize, Error>(Survey::of(store.folder())?.map_or(0, |survey| survey.units.len()));
    let mut before = finished()?;
    watch.begin(count as u64, "shards");
    loop {
        round(count, store, global, watch)?;
        let after = finished()?;
        if after == before {
            watch.end();
            return Ok(());
        }
        before = after;
        watch.begin(count as u64, "shards of the timesteps that follow from these");
    }
}

/// A shard that is under way.
struct Running {
    index: usize,
    child: Child,
    /// What it says.
    said: std::fs::File,
}

fn round(count: usize, store: &Store, global: &Global, watch: &Terminal) -> Result<()> {
    let mut running = Vec::with_capacity(count);
    for index in 0..count {
        match start(index, count, store, global) {
            Ok(shard) => running.push(shard),
            Err(error) => {
                stop(&mut running);
                return Err(error);
            }
        }
    }
    while !running.is_empty() {
        if !watch.goes_on() {
            stop(&mut running);
            return Err(interrupted(Some(store)));
        }
        let mut rest = Vec::with_capacity(running.len());
        let mut failure = None;
        for mut shard in running {
            match shard.child.try_wait() {
                Ok(Some(status)) if status.success() => watch.advance(),
                Ok(None) => rest.push(shard),
                Ok(Some(_)) | Err(_) => failure = Some(failed(shard, count)),
            }
        }
        running = rest;
        if let Some(error) = failure.filter(|_| watch.goes_on()) {
            stop(&mut running);
            return Err(error);
        }
        sleep(PAUSE);
    }
    Ok(())
}

/// The same command for one shard: with its part of the cores, and the device that was named or else a GPU of its own.
fn start(index: usize, count: usize, store: &Store, global: &Global) -> Result<Running> {
    let wrong = |e: std::io::Error| Error::io("lipscope", "starting a shard", &e);
    let said = tempfile::tempfile().map_err(wrong)?;
    let program = std::env::current_exe().map_err(wrong)?;
    let mut command = Command::new(program);
    command.args(without(std::env::args_os().skip(1), &["--shards", "--device", "--threads", "--out"]));
    let device = match (global.device.all(), device::resolve(global.device.first())?) {
        ([DeviceChoice::Auto], Device::Cuda(_)) => {
            // The CPU is one of them.
            let gpus = device::available().len().saturating_sub(1).max(1);
            format!("cuda:{}", index % gpus)
        }
        ([_], device) => device::name(device),
        (several, _) => several[index % several.len()].to_string(),
    };
    let threads = global.threads.unwrap_or((tch::get_num_threads().max(1) as usize / count).max(1));
    command.arg("--out").arg(store.folder()).args(["--device", &device, "--threads", &threads.to_string()]);
    if !global.quiet {
        command.arg("--quiet");
    }
    command.args(["--shard", &format!("{index}/{count}")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.try_clone().map_err(wrong)?);
    Ok(Running { index, child: command.spawn().map_err(wrong)?, said })
}

fn failed(mut shard: Running, count: usize) -> Error {
    let mut said = String::new();
    let _ = shard.said.seek(SeekFrom::Start(0)).and_then(|_| shard.said.read_to_string(&mut said));
    let last = said.trim().lines().last().unwrap_or("it said nothing").trim_start_matches("error: ").to_string();
    Error::mismatch(
        format!("shard {}/{count} failed: {}", shard.index, last.trim_end_matches('.')),
        "What is finished is kept: the same command goes on from there.",
    )
}

/// Asks them for a clean stop and waits for it.
fn stop(running: &mut [Running]) {
    for shard in running.iter() {
        // SAFETY: a signal to a child that has not been waited for, whose number cannot have been given to another process.
        unsafe { libc::kill(shard.child.id() as libc::pid_t, libc::SIGTERM) };
    }
    for shard in running {
        let _ = shard.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_that_fails_is_named_with_the_last_thing_that_it_said() {
        let said = tempfile::tempfile().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo warning: old >&2; echo 'error: out: there is no room. Make some.' >&2; exit 2"]);
        let mut child = command.stderr(said.try_clone().unwrap()).spawn().unwrap();
        child.wait().unwrap();
        let error = failed(Running { index: 1, child, said }, 4).to_string();
        assert!(error.starts_with("shard 1/4 failed: out: there is no room. Make some. What is finished"), "{error}");
    }
}
