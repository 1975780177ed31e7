//! A command whose work others do, `--shards N`: it is given with `--merge` again and again, which measures nothing and says
//! which units are missing; an executor starts the shards that have them. Between, no model is in memory here.

use super::watch::Terminal;
use crate::device::{self, DeviceChoice};
use crate::error::{Error, Result};
use crate::executor::{self, Executor, Files, Local, Slurm, Task, last_words};
use crate::run::{Folder, Watch};
use clap::Parser;
use lipscope_core::cli::Outcome;
use lipscope_core::cli::args::{Cli, ExecutorOptions, Global, OutputOptions};
use lipscope_core::slurm::{Client, Payload, Submission, USUAL_ARRAY_SIZE};
use lipscope_core::store::{Invocation, Survey, unit_names};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tch::Device;

/// Processes on one machine, at most.
const MOST_PROCESSES: usize = 1024;

/// How many shards others are to do; `None` where this process does the work.
pub(super) fn count(cli: &Cli) -> Option<usize> {
    let (output, global) = (cli.command.output()?, &cli.global);
    // Several devices are one process each.
    let several = Some(global.device.all().len()).filter(|count| *count > 1);
    let count = output.shards.map(|count| count as usize).or(several);
    let is_own = output.merge || output.shard.is_some() || global.dry_run;
    count.or(output.executor.is_slurm().then_some(0)).filter(|_| !is_own)
}

/// Has `of` shards of a command done, and puts them together.
pub(super) fn run(cli: &Cli, of: usize) -> Result<Outcome> {
    let output = cli.command.output().ok_or_else(|| Error::mismatch("it has no units", "Leave out --shards."))?;
    refuse(of, output, &cli.global)?;
    if output.executor.is_slurm() {
        Client::check()?;
    }
    let again = merging(cli)?;
    let watch = Terminal::new(cli.global.quiet)?;
    let mut rounds = Rounds { of, options: &output.executor, global: &cli.global, watch: &watch, asked: None, used: 0 };
    loop {
        match super::run(&again) {
            Err(Error::Missing { folder, problem, next }) if watch.goes_on() => {
                let survey = Survey::of(&folder)?.filter(|survey| survey.missing().next().is_some());
                let Some(survey) = survey else { return Err(Error::Missing { folder, problem, next }) };
                rounds.next(&folder, &survey)?;
            }
            done => return done,
        }
    }
}

/// What cannot be spread.
fn refuse(of: usize, output: &OutputOptions, global: &Global) -> Result<()> {
    if of == 0 {
        let problem = "--executor slurm needs to know into how many tasks the work is cut";
        return Err(Error::mismatch(problem, "Add --shards N; each task should have some minutes of work."));
    }
    if output.executor.is_slurm() {
        let allowed = "a task of a job has one device, whose number is the job's own";
        return match global.device.all() {
            [_] => Ok(()),
            _ => Err(Error::argument("--device", &global.device, allowed, "Give --device cuda.")),
        };
    }
    if of > MOST_PROCESSES {
        let allowed = format!("one machine runs at most {MOST_PROCESSES} processes");
        return Err(Error::argument("--shards", of, allowed, "Give about one for each core or GPU."));
    }
    Ok(())
}

/// The same command where it only merges.
fn merging(cli: &Cli) -> Result<Cli> {
    let mut again = as_client(cli)?;
    again.command.output_mut().into_iter().for_each(|output| output.merge = true);
    Ok(again)
}

/// The same command where it computes for tasks whose device need not be here.
fn as_client(cli: &Cli) -> Result<Cli> {
    let wrong = |e: clap::Error| Error::mismatch(format!("the command cannot be read again ({e})"), "Report this.");
    let mut again = Cli::try_parse().map_err(wrong)?;
    let executor = again.command.output().map(|output| &output.executor).filter(|executor| executor.is_slurm());
    if let Some(executor) = executor {
        again.global.cut_for = Some(task_device(executor, &cli.global));
        again.global.device = "cpu".parse()?;
    }
    Ok(again)
}

/// The command of a client, where `--dry-run` asks what would be submitted.
pub(super) fn for_dry_run(cli: &Cli) -> Result<Option<Cli>> {
    let is_slurm = cli.command.output().is_some_and(|output| output.executor.is_slurm());
    let asks = cli.global.dry_run && is_slurm && cli.global.cut_for.is_none();
    asks.then(|| as_client(cli)).transpose()
}

/// The device of a job's tasks: a GPU where the words ask for one, so that a task without fails instead of crawling.
fn task_device(options: &ExecutorOptions, global: &Global) -> DeviceChoice {
    if let Some(device) = global.cut_for {
        return device;
    }
    let asks = options.words().ask_for_gpu(|name| std::env::var(name).ok());
    match global.device.first() {
        DeviceChoice::Auto if asks => DeviceChoice::Cuda(0),
        DeviceChoice::Auto => DeviceChoice::Cpu,
        named => named,
    }
}

/// Rounds of shards, until nothing is missing.
struct Rounds<'a> {
    of: usize,
    options: &'a ExecutorOptions,
    global: &'a Global,
    watch: &'a Terminal,
    /// Units that the last round was to finish.
    asked: Option<BTreeSet<(String, String)>>,
    /// Attempts that were made at units that are missing all the same.
    used: u32,
}

impl Rounds<'_> {
    /// Has the missing units done.
    fn next(&mut self, folder: &Path, survey: &Survey) -> Result<()> {
        let missing: BTreeSet<(String, String)> =
            survey.missing().map(|(kind, key, _)| (kind.to_string(), key.to_string())).collect();
        if let Some(asked) = &self.asked {
            // Others than those follow from what is finished.
            let left = asked.intersection(&missing).count();
            self.used += u32::from(left > 0);
            if left > 0 && (self.used >= self.options.attempts() || left == asked.len()) {
                return Err(lacking(folder, survey, self.of, self.options.is_slurm()));
            }
        }
        let shards = survey.missing_shards(self.of);
        let files = Units { folder: folder.into() };
        let (done, of) = files.progress()?;
        let adopted = if self.options.is_slurm() {
            self.on_cluster(folder, &shards, &files)?
        } else {
            self.watch.begin((of - done) as u64, "units");
            let mut local = local(self.of, folder, self.global);
            local.start(&shards, self.watch)?;
            executor::wait(&mut local, &files, self.watch)?;
            false
        };
        self.watch.end();
        self.asked = (!adopted).then_some(missing);
        Ok(())
    }

    /// Submits shards and waits for them; or, at first, waits for jobs that were submitted before: whether it did that.
    fn on_cluster(&self, folder: &Path, shards: &[usize], files: &Units) -> Result<bool> {
        let out = std::path::absolute(folder).map_err(|e| Error::io(folder, "finding the folder", &e))?;
        let task = task(&out, self.of, self.options, self.global)?;
        let mut slurm = Slurm::new(&out, task, typed()?, self.options.cancel_on_interrupt);
        let adopts = self.asked.is_none() && slurm.adopt()? > 0;
        if adopts {
            self.watch.note(&format!("job {} of an earlier submission is still at work: waiting for it", slurm.ids()));
        } else {
            slurm.start(shards, self.watch)?;
        }
        if self.options.submit_only {
            return Err(left_alone(&slurm.ids(), folder, adopts));
        }
        let (done, of) = files.progress()?;
        self.watch.begin((of - done) as u64, "units");
        executor::wait(&mut slurm, files, self.watch)?;
        Ok(adopts)
    }
}

/// What is said where nobody waits.
fn left_alone(ids: &str, folder: &Path, adopted: bool) -> Error {
    let folder = folder.display();
    let begins = if adopted { "nothing was submitted: job" } else { "job" };
    let at_work = if adopted { "is still at work" } else { "was submitted" };
    let message = format!(
        "{begins} {ids} {at_work}. The same command without --submit-only waits for it and reports; `lipscope status {folder}` \
         tells how far it is."
    );
    Error::Part { message }
}

/// The units of a folder.
struct Units {
    folder: PathBuf,
}

impl Files for Units {
    fn progress(&self) -> Result<(usize, usize)> {
        let Some(survey) = Survey::of(&self.folder)? else { return Ok((0, 0)) };
        let of: usize = survey.expected.iter().map(|list| list.keys.len()).sum();
        Ok((of - survey.missing().count(), of))
    }
}

/// The same command for one shard: with its part of the cores, and the device that was named or else a GPU of its own.
fn local<'a>(of: usize, folder: &'a Path, global: &'a Global) -> Local<'a> {
    let command = move |index: usize| {
        let program = std::env::current_exe().map_err(|e| Error::io("lipscope", "finding this program", &e))?;
        let mut command = Command::new(program);
        command.args(Invocation::current()?.arguments).arg("--out").arg(folder).arg("--quiet");
        let device = match (global.device.all(), device::resolve(global.device.first())?) {
            ([DeviceChoice::Auto], Device::Cuda(_)) => {
                // The CPU is one of them.
                let gpus = device::available().len().saturating_sub(1).max(1);
                format!("cuda:{}", index % gpus)
            }
            ([_], device) => device::name(device),
            (several, _) => several[index % several.len()].to_string(),
        };
        let threads = global.threads.unwrap_or((tch::get_num_threads().max(1) as usize / of).max(1));
        command.args(["--device", &device, "--threads", &threads.to_string(), "--shard", &format!("{index}/{of}")]);
        Ok(command)
    };
    let next = format!("What was finished is in {}; the same command goes on from there.", folder.display());
    Local::new(of, next, Box::new(command))
}

/// The same command for a task of a job, which is told its shard behind it.
fn task(out: &Path, of: usize, options: &ExecutorOptions, global: &Global) -> Result<Task> {
    let own = Invocation::current()?;
    let mut command = vec![super::program()?];
    command.extend(own.arguments);
    let device = task_device(options, global).to_string();
    command.extend(["--out".into(), out.display().to_string(), "--quiet".into(), "--device".into(), device]);
    command.extend(["--submitted-by".into(), env!("CARGO_PKG_VERSION").into()]);
    if let Some(threads) = global.threads {
        command.extend(["--threads".into(), threads.to_string()]);
    }
    let payload = Payload { command, flag: "--shard", of: of.to_string() };
    let (steps, words, setup) = (Vec::new(), options.words(), String::new());
    Ok(Task { payload, of, steps, words, setup, directory: own.directory })
}

/// This command as it was typed.
fn typed() -> Result<String> {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    Ok(Invocation { arguments, ..Invocation::current()? }.line())
}

/// What `--dry-run` prints: the plan; with Slurm also what would be submitted, were nothing finished yet.
pub(super) fn overview(plan: &Value, folder: &Folder, options: &OutputOptions, global: &Global) -> Result<Value> {
    if !options.executor.is_slurm() {
        return Ok(plan.clone());
    }
    let of = options.shards.unwrap_or_default() as usize;
    refuse(of, options, global)?;
    let (Folder::Named(folder) | Folder::Default(folder)) = folder;
    let out = std::path::absolute(folder).map_err(|e| Error::io(folder, "finding the folder", &e))?;
    let task = task(&out, of, &options.executor, global)?;
    let (words, script) = Slurm::preview(&out, &task, &(0..of).collect::<Vec<_>>(), USUAL_ARRAY_SIZE)?;
    Ok(json!({ "plan": plan, "sbatch": words, "script": script, "environment_without": Client::taken_out() }))
}

/// Names that are spelled out.
const NAMED: usize = 8;

/// The error for shards that are over and have not finished their units.
fn lacking(folder: &Path, survey: &Survey, of: usize, is_slurm: bool) -> Error {
    let shards = survey.missing_shards(of);
    let submissions = Submission::all(folder);
    let one = |shard: &usize| {
        let own = survey.missing().filter(|(_, _, place)| place % of == *shard).collect::<Vec<_>>();
        let names = own
            .chunk_by(|a, b| a.0 == b.0)
            .map(|group| unit_names(group[0].0, &group.iter().map(|(_, key, _)| *key).collect::<Vec<_>>()));
        let names = names.collect::<Vec<_>>().join("; ");
        let log = submissions.iter().rev().filter(|own| own.of == of).find_map(|own| own.log(folder, *shard));
        let said = if is_slurm { format!("; {}", last_words(log.as_deref())) } else { String::new() };
        format!("shard {shard}/{of} lacks {names}{said}")
    };
    let told: Vec<String> = shards.iter().take(NAMED).map(one).collect();
    let more = if shards.len() > NAMED { format!("; and {} more shards", shards.len() - NAMED) } else { String::new() };
    let own = Invocation::of(folder).map_or_else(|| "lipscope …".into(), |own| own.into(folder).line());
    let first = shards.first().copied().unwrap_or_default();
    Error::Missing {
        folder: folder.into(),
        problem: format!("the work ended with units missing: {}{more}", told.join(". ")),
        next: format!("The same command has only these done; `{own} --shard {first}/{of}` does the first here."),
    }
}
