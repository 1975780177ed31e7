//! `lipscope suggest REPORT`: from a measured curve to a prescription.

use super::args::{Global, SuggestArgs};
use super::outcome::Outcome;
use super::output;
use crate::error::{Error, Result};
use crate::report::slug;
use crate::report::{self, Artifact, Finished, Report};
use crate::suggest::{self, Number, SPLITS, Split, Suggestion, Wanted, snippet};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const SUGGESTION: &str = "suggest.json";
const SNIPPET: &str = "shared_timesteps.py";

/// The paper's number of sub-intervals, where neither a number nor a bound is given.
const INTERVALS: usize = 5;

/// Reads, suggests, writes and presents.
pub fn run(args: &SuggestArgs, global: &Global) -> Result<Option<Outcome>> {
    let wanted = wanted(args)?;
    let path = Finished::file(&args.report);
    let report = Finished::curves(&path)?;
    if global.dry_run {
        return output::print_json(&plan(args, &path));
    }
    let suggestion = suggest::suggest(&report, &wanted)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("lipscope-out").join(format!("suggest-{}", slug(&suggestion.model))));
    let spacing = spacing(&report, &suggestion.model, &path);
    let written = json(&suggestion, plan(args, &path), &spacing)?;
    report::prepare_dir(&out)?;
    let files = [
        Artifact::new(SUGGESTION, output::json(&written)?),
        report::tidy_csv(&report::intervals_table(&suggestion))?,
        Artifact::new(SNIPPET, snippet::python(&suggestion.suggested.boundaries)),
    ];
    report::write_all(&out, &files)?;
    suggestion.warnings.iter().for_each(|warning| output::warn(warning));
    if global.json {
        return output::print_json(&written);
    }
    if global.quiet {
        return Ok(None);
    }
    let names: Vec<&str> = files.iter().map(|file| file.file_name.as_str()).collect();
    output::print(&format!(
        "{}\n\n{}\n\nfiles in {}: {}\n",
        report::suggestion_text(&suggestion, output::width()),
        usage(&suggestion, &spacing),
        out.display(),
        names.join(", ")
    ))
}

fn wanted(args: &SuggestArgs) -> Result<Wanted<'_>> {
    for (name, value) in [("--level", Some(args.level)), ("--max-error", args.max_error), ("--max-jump", args.max_jump)]
    {
        if let Some(value) = value.filter(|value| !(*value > 0.0 && value.is_finite())) {
            let next = "Leave it out, or give a number such as 0.1 (for --level, such as 5).";
            return Err(Error::argument(name, value, "it is a number above 0", next));
        }
    }
    let bounds = args.max_error.is_some() || args.max_jump.is_some();
    let number = match args.intervals {
        None if bounds => Number::Bounded { error: args.max_error, jump: args.max_jump },
        n => Number::Fixed(n.unwrap_or(INTERVALS)),
    };
    Ok(Wanted {
        model: args.model.as_deref(),
        until: args.until,
        level: args.level,
        split: split(&args.split)?,
        number,
        steps: args.steps,
    })
}

fn split(name: &str) -> Result<&'static Split> {
    SPLITS.iter().find(|split| split.name == name).ok_or_else(|| {
        let names: Vec<&str> = SPLITS.iter().map(|split| split.name).collect();
        Error::argument("--split", name, format!("it is one of {}", names.join(", ")), "Choose one of them.")
    })
}

fn plan(args: &SuggestArgs, path: &Path) -> Value {
    json!({
        "command": "suggest",
        "report": path,
        "model": args.model,
        "until": args.until,
        "level": args.level,
        "split": args.split,
        "intervals": args.intervals,
        "max_error": args.max_error,
        "max_jump": args.max_jump,
        "steps": args.steps,
    })
}

/// The suggestion, with what it rests on and the arguments that use it.
fn json(suggestion: &Suggestion, plan: Value, spacing: &str) -> Result<Value> {
    let mut value = serde_json::to_value(suggestion)
        .map_err(|e| Error::mismatch(format!("the suggestion cannot be written ({e})"), "Report this."))?;
    if let Some(object) = value.as_object_mut() {
        let typed = suggestion.suggested.typed();
        object.insert("schema_version".into(), report::SCHEMA_VERSION.into());
        object.insert("plan".into(), plan);
        let arguments = json!({
            "train": ["--variant", "e-tsdm", "--boundaries", typed],
            "measure": ["--share", format!("boundaries={typed}")],
            "sample": ["--spacing", spacing],
        });
        object.insert("arguments".into(), arguments);
    }
    Ok(value)
}

/// The spacing of steps that has equal mass on this curve.
fn spacing(report: &Report, label: &str, path: &Path) -> String {
    let choice = if report.models.len() > 1 { format!("#{label}") } else { String::new() };
    format!("lipschitz:{}{choice}", path.display())
}

/// Commands that use the suggestion.
fn usage(suggestion: &Suggestion, spacing: &str) -> String {
    let typed = suggestion.suggested.typed();
    let mut text = format!(
        "train with it     lipscope train --variant e-tsdm --boundaries {typed} …\n\
         lay it over       lipscope compare CKPT CKPT --share boundaries={typed}"
    );
    if !suggestion.step_grid.is_empty() {
        let grid: Vec<String> = suggestion.step_grid.iter().map(f64::to_string).collect();
        text += &format!(
            "\nstep grid         {}\nsample with it    lipscope sample CKPT --nfe {} --spacing {spacing}",
            grid.join(", "),
            suggestion.step_grid.len()
        );
    }
    text
}
