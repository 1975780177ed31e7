//! `lipscope status OUT`: how far a run is, from its files; and what its jobs are about, from one look at the queue.

mod jobs;

use super::args::{Global, StatusArgs};
use super::outcome::Outcome;
use super::output;
use crate::error::{Error, Result};
use crate::report::{Contribution, Finished};
use crate::store::{Invocation, PLAN, Survey};
use jobs::Jobs;
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Units of one kind.
#[derive(Debug, Serialize)]
struct Kind {
    kind: String,
    finished: usize,
    /// How many there are to be, as far as is known by now.
    expected: usize,
    /// Those that are not finished.
    missing: Vec<String>,
}

/// What is told.
#[derive(Debug, Serialize)]
struct Status {
    folder: PathBuf,
    command: Option<String>,
    units: Vec<Kind>,
    /// Shards with units that are not finished, where the run was shared out in one way.
    shards: Option<Shards>,
    parts: Vec<Contribution>,
    #[serde(skip_serializing_if = "Jobs::is_empty")]
    jobs: Jobs,
    /// Whether there is a report of all units.
    reported: bool,
}

#[derive(Debug, Serialize)]
struct Shards {
    of: usize,
    lacking: Vec<usize>,
}

/// Prints it.
pub fn run(args: &StatusArgs, global: &Global) -> Result<Option<Outcome>> {
    if !args.out.join(PLAN).is_file() {
        // In that of `reproduce` units are steps, in folders of their own.
        let jobs = Jobs::of(&args.out, |_, _| false);
        if !jobs.is_empty() {
            return if global.json { output::print_json(&jobs) } else { output::print(&jobs.text()) };
        }
    }
    let status = Status::of(&args.out)?;
    if global.json { output::print_json(&status) } else { output::print(&status.text()) }
}

impl Status {
    fn of(folder: &Path) -> Result<Self> {
        let survey = Survey::of(folder)?.ok_or_else(|| {
            let next = "Give the folder that --out named, or that a run printed as `files in …`.";
            Error::file(folder, "this is not the folder of a run: it has no plan.json", next)
        })?;
        let mut kinds: Vec<&str> = survey.expected.iter().map(|list| list.kind.as_str()).collect();
        kinds.extend(survey.units.keys().map(|(kind, _)| kind.as_str()).filter(|kind| *kind != OWN_SAMPLES));
        let mut units: Vec<Kind> = Vec::new();
        for kind in kinds {
            if units.iter().all(|own| own.kind != kind) {
                units.push(Kind::of(kind, &survey));
            }
        }
        Ok(Status {
            folder: folder.into(),
            command: Invocation::of(folder).map(|command| command.into(folder).line()),
            shards: survey.shards_that_lack().map(|(of, lacking)| Shards { of, lacking }),
            parts: survey.contributions(),
            jobs: Jobs::of(folder, |shard, of| survey.missing_shards(of).contains(&shard)),
            reported: Finished::read(&Finished::file(folder)).is_ok_and(|report| report.is_complete()),
            units,
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(command) = &self.command {
            let _ = writeln!(text, "{command}");
        }
        for units in &self.units {
            let Kind { kind, finished, expected, missing } = units;
            let rest = match missing.len() {
                0 => String::new(),
                _ => format!("; missing: {}", crate::store::unit_names(kind, missing)),
            };
            let _ = writeln!(text, "{kind}: {finished} of {expected} units{rest}");
        }
        if let Some(Shards { of, lacking }) = &self.shards {
            let lacking: Vec<String> = lacking.iter().map(usize::to_string).collect();
            let _ = writeln!(text, "shards of {of} that lack units: {}", lacking.join(", "));
        }
        for part in &self.parts {
            let jobs = if part.jobs.is_empty() { String::new() } else { format!(", jobs {}", part.jobs.join(", ")) };
            let plural = if part.processes == 1 { "" } else { "es" };
            let _ = writeln!(text, "{part}, {} thread(s), {} process{plural}{jobs}", part.threads, part.processes);
        }
        text += &self.jobs.text();
        let _ = writeln!(text, "{}", self.end());
        text
    }

    /// The last line: where it stands.
    fn end(&self) -> &'static str {
        let missing: usize = self.units.iter().map(|units| units.missing.len()).sum();
        match (self.reported, missing, self.units.is_empty()) {
            (true, _, _) => "the report is complete",
            (false, _, true) => "no unit is known yet",
            (false, 0, _) => {
                "all units known so far are finished; the command itself, or `lipscope merge`, writes the report"
            }
            _ => "the report is not written yet",
        }
    }
}

/// Samples that models make of themselves: no work that is asked for.
const OWN_SAMPLES: &str = "model samples";

impl Kind {
    fn of(kind: &str, survey: &Survey) -> Self {
        let finished = survey.keys(kind).count();
        let missing = survey.missing().filter(|(own, ..)| *own == kind).map(|(_, key, _)| key.to_string());
        let missing: Vec<String> = missing.collect();
        Kind { kind: kind.into(), finished, expected: finished + missing.len(), missing }
    }
}
