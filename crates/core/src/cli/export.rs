//! `lipscope export`: a finished report rendered again. Everything is drawn from report.json; nothing is measured.

use super::args::{ExportArgs, Global};
use super::outcome::Outcome;
use super::output;
use crate::error::Result;
use crate::report::{self, Finished};
use serde_json::json;
use std::path::Path;

/// Reads, renders all of it, and only then writes.
pub fn run(args: &ExportArgs, global: &Global) -> Result<Option<Outcome>> {
    let file = Finished::file(&args.report);
    let finished = Finished::read(&file)?;
    let beside = file.parent().unwrap_or(Path::new(""));
    let beside = if beside.as_os_str().is_empty() { Path::new(".") } else { beside };
    let out = args.out.as_deref().unwrap_or(beside);
    let artifacts = report::export(&finished, args.title.as_deref(), &args.to)?;
    let names: Vec<&str> = artifacts.iter().map(|artifact| artifact.file_name.as_str()).collect();
    let resolved = json!({"command": "export", "report": file, "out": out, "title": args.title, "files": names});
    if global.dry_run || global.json {
        output::print_json(&resolved)?;
    }
    if global.dry_run {
        return Ok(None);
    }
    report::prepare_dir(out)?;
    report::write_all(out, &artifacts)?;
    if !finished.is_complete() {
        output::warn("this is the report of an interrupted run: numbers are missing");
    }
    if global.quiet || global.json {
        return Ok(None);
    }
    output::print(&format!("{} files in {}: {}", names.len(), out.display(), names.join(", ")))
}
