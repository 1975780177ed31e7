//! `lipscope inspect` of what lipscope itself wrote: a report, the account of samples, or the folder of a run, finished or
//! not. Checkpoints and files of arrays are the engine's to describe.

use super::args::{Global, InspectArgs};
use super::outcome::Outcome;
use super::output;
use crate::error::{Error, Result, printable};
use crate::report::samples::ACCOUNT;
use crate::report::{Finished, REPORT};
use crate::store::{PLAN, Survey};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes that tell whether a file may be a report, and bytes that a report has at most.
const HEAD: u64 = 256;
const MOST: u64 = 1 << 28;

/// Describes a run; `None` for anything else.
pub fn run(args: &InspectArgs, global: &Global) -> Option<Result<Option<Outcome>>> {
    let facts = describe(&args.checkpoint).transpose()?;
    Some(facts.and_then(|facts| if global.json { output::print_json(&facts) } else { output::print(&render(&facts)) }))
}

fn describe(path: &Path) -> Result<Option<Map<String, Value>>> {
    let in_folder = || [REPORT, ACCOUNT, PLAN].map(|name| path.join(name)).into_iter().find(|file| file.is_file());
    let file = if path.is_dir() { in_folder() } else { Some(path.to_path_buf()) };
    let Some(file) = file.filter(|file| file.is_file()) else { return Ok(None) };
    let Some(document) = document(&file)? else { return Ok(None) };
    // A plan lies in a file of its own, and again in every report.
    let plan = document.get("plan").or_else(|| document.get("provenance")?.get("plan")).cloned().unwrap_or_default();
    let command = [&document, &plan].iter().find_map(|value| value.get("command")?.as_str()).map(str::to_string);
    let Some(command) = command else { return Ok(None) };
    let of_curves = ["models", "tables"].iter().any(|key| document.get(key).is_some());
    let report = if of_curves { Some(Finished::read(&file)?) } else { None };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A report may have been copied into the folder of another run.
    let survey = Survey::of(folder).ok().flatten().filter(|survey| survey.plan == plan);
    let (folder, planned) = (folder.to_path_buf(), document.get("lipscope").is_some());
    Ok(Some(
        Run { command, plan, provenance: document["provenance"].clone(), report, planned, survey, file, folder }
            .facts(),
    ))
}

/// The object in a file of lipscope; `None` where the file is anything else.
fn document(file: &Path) -> Result<Option<Value>> {
    let failed = |e| Error::io(file, "reading", &e);
    let opened = File::open(file).map_err(failed)?;
    let mut text = Vec::new();
    (&opened).take(HEAD).read_to_end(&mut text).map_err(failed)?;
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Ok(None);
    }
    let says_report = String::from_utf8_lossy(&text).contains("\"schema_version\"");
    (&opened).take(MOST).read_to_end(&mut text).map_err(failed)?;
    match serde_json::from_slice::<Value>(&text) {
        Ok(value) if value.get("schema_version").is_some() || value.get("lipscope").is_some() => Ok(Some(value)),
        // The error of a report that is damaged.
        Err(_) if says_report => Finished::read(file).map(|_| None),
        _ => Ok(None),
    }
}

/// A run, as far as its files tell.
struct Run {
    command: String,
    plan: Value,
    provenance: Value,
    /// `None` for what is neither curves nor tables.
    report: Option<Finished>,
    /// Whether there is a plan and nothing else yet.
    planned: bool,
    /// Finished units, where the run's folder is at hand.
    survey: Option<Survey>,
    file: PathBuf,
    folder: PathBuf,
}

impl Run {
    /// What is known, in the order in which it is shown.
    fn facts(&self) -> Map<String, Value> {
        let complete = self.report.as_ref().map_or(!self.planned, Finished::is_complete);
        let what = if self.planned { "run without a report yet" } else { "report" };
        let plan = |key: &str| self.plan.get(key).cloned().unwrap_or_default();
        let facts = [
            ("lipscope", json!(format!("{what}, of lipscope {}", self.command))),
            ("file", json!(self.file)),
            ("models", json!(self.models())),
            ("data", self.plan.get("data").and_then(|data| data.get("source")).cloned().unwrap_or_default()),
            ("quantity", plan("quantity")),
            ("timesteps", json!(self.timesteps())),
            ("samples", plan("samples")),
            ("seed", plan("seed")),
            ("tables", json!(self.tables())),
            ("finished units", json!(self.survey.as_ref().map(|survey| survey.units.len()))),
            ("complete", json!(complete)),
            ("began", self.provenance["began"].clone()),
            ("wall seconds", self.provenance["wall_seconds"].clone()),
            ("device", self.provenance["device"].clone()),
            ("versions", self.provenance["versions"].clone()),
            ("warnings", json!(self.warnings())),
            ("next", json!(self.next(complete))),
        ];
        facts.into_iter().filter(|(_, fact)| !fact.is_null()).map(|(key, fact)| (key.to_string(), fact)).collect()
    }

    /// Labels, with their sources where these say more.
    fn models(&self) -> Option<Vec<String>> {
        let text = |model: &Value, key: &str| model.get(key).and_then(Value::as_str).map(str::to_string);
        let name = |model: &Value| {
            let label = text(model, "label").or_else(|| text(model, "name"))?;
            let source = text(model, "source").filter(|source| *source != label);
            Some(source.map_or(label.clone(), |source| format!("{label} ({source})")))
        };
        Some(self.plan.get("models")?.as_array()?.iter().filter_map(name).collect())
    }

    /// How many are measured and how many are planned.
    fn timesteps(&self) -> Option<String> {
        let planned = self.plan.get("timesteps")?.as_array()?;
        let in_units = |survey: &Survey| {
            let points = survey.keys("points").flat_map(|key| key.split(' ')).count();
            points + survey.keys("stability").count()
        };
        let points = match &self.report {
            Some(Finished::Curves(report)) => {
                report.models.iter().flat_map(|model| &model.curves).map(|curve| curve.points.len()).max()
            }
            _ => None,
        };
        // Units are on disk before the report that follows from them; a closed form has none.
        let measured = self.survey.as_ref().map(in_units).max(points)?;
        let ends = planned.first().zip(planned.last()).and_then(|(first, last)| first.as_f64().zip(last.as_f64()));
        let ends = ends.map(|(first, last)| format!(" (t = {first} … {last})")).unwrap_or_default();
        Some(match self.plan.get("refinement") {
            Some(_) => {
                format!("{measured} measured; {} planned at first{ends}, more where the curve bends", planned.len())
            }
            None => format!("{measured} of {} measured{ends}", planned.len()),
        })
    }

    fn tables(&self) -> Option<Vec<String>> {
        let Some(Finished::Tables(report)) = &self.report else { return None };
        Some(report.tables.iter().map(|table| format!("{} ({} rows)", table.name, table.rows.len())).collect())
    }

    fn warnings(&self) -> Option<Vec<String>> {
        let warnings = match self.report.as_ref()? {
            Finished::Curves(report) => &report.warnings,
            Finished::Tables(report) => &report.warnings,
        };
        Some(warnings.iter().map(ToString::to_string).collect())
    }

    /// Commands that go on from here.
    fn next(&self, complete: bool) -> Vec<String> {
        let (file, folder) = (self.file.display(), self.folder.display());
        let mut next = Vec::new();
        if !complete {
            next.push(format!("to finish it, repeat its command: lipscope {} … --out {folder}", self.command));
        }
        if self.report.is_some() {
            next.push(format!("to render it: lipscope export {file} --to html,svg"));
        }
        next
    }
}

/// One line per fact, and per item of a list.
fn render(facts: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (key, fact) in facts {
        let lines = match fact {
            Value::Array(items) => items.iter().map(shown).collect(),
            other => vec![shown(other)],
        };
        for (i, line) in lines.iter().enumerate() {
            let _ = writeln!(text, "{:<16} {line}", if i == 0 { key } else { "" });
        }
    }
    text
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        Value::Bool(flag) => (if *flag { "yes" } else { "no" }).into(),
        Value::Number(number) => {
            number.as_f64().filter(|n| n.fract() != 0.0).map_or(number.to_string(), |n| format!("{n:.1}"))
        }
        Value::Object(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{} {}", printable(key), shown(value))).collect();
            entries.join(", ")
        }
        other => printable(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::json as text;
    use crate::report::synthetic::{ddpm, quality};
    use crate::store::{Folder, Store, Unit};
    use std::fs;

    fn plan() -> Value {
        json!({"command": "measure", "models": [{"label": "a", "source": "a.pt"}], "quantity": "secant",
            "timesteps": [0.0, 1.0, 5.0], "samples": {"samples": 8}, "seed": 1})
    }

    fn describe(path: &Path) -> Map<String, Value> {
        super::describe(path).unwrap().unwrap()
    }

    #[test]
    fn a_report_says_what_it_is_and_how_it_is_rendered() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = ddpm();
        (report.complete, report.provenance.plan) = (true, plan());
        let file = folder.path().join("any-name");
        fs::write(&file, text(&report).unwrap()).unwrap();
        let facts = describe(&file);
        assert_eq!(facts["lipscope"], format!("report, of lipscope {}", report.command));
        assert_eq!(facts["models"], json!(["a (a.pt)"]));
        assert_eq!(facts["timesteps"], "999 of 3 measured (t = 0 … 5)");
        assert_eq!((&facts["complete"], facts.get("finished units")), (&json!(true), None));
        assert_eq!(facts["next"], json!([format!("to render it: lipscope export {} --to html,svg", file.display())]));
        assert!(render(&facts).contains("\ncomplete         yes\n"), "{}", render(&facts));
    }

    #[test]
    fn a_folder_without_a_report_is_surveyed() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&Folder::Named(folder.path().into()), &plan()).unwrap();
        store.add(Unit::new("points", "0 1", json!({})));
        store.keep().unwrap();
        let facts = describe(folder.path());
        assert_eq!(facts["lipscope"], "run without a report yet, of lipscope measure");
        assert_eq!(facts["timesteps"], "2 of 3 measured (t = 0 … 5)");
        assert_eq!((&facts["complete"], &facts["finished units"]), (&json!(false), &json!(1)));
        assert!(facts["next"][0].as_str().unwrap().contains("lipscope measure … --out "), "{:?}", facts["next"]);
        assert_eq!(facts["next"].as_array().unwrap().len(), 1, "there is nothing to render");
    }

    #[test]
    fn an_interrupted_report_of_tables_can_be_finished_and_rendered() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = quality();
        report.complete = false;
        fs::write(folder.path().join(REPORT), text(&report).unwrap()).unwrap();
        let facts = describe(folder.path());
        assert_eq!(facts["tables"].as_array().unwrap().len(), report.tables.len());
        let next = facts["next"].as_array().unwrap();
        assert!(next[0].as_str().unwrap().starts_with("to finish it") && next.len() == 2, "{next:?}");
    }

    #[test]
    fn other_files_are_left_to_the_engine_and_damaged_reports_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        for other in
            ["", "[1]", "{\"_class_name\": \"UNet2DModel\"}", "{\"plan\": {\"steps\": 5}, \"lipscope\": \"0\"}"]
        {
            fs::write(&file, other).unwrap();
            assert!(super::describe(&file).unwrap().is_none(), "{other}");
        }
        assert!(super::describe(folder.path()).unwrap().is_none());
        assert!(super::describe(&folder.path().join("missing")).unwrap().is_none());
        let whole = text(&ddpm()).unwrap();
        fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        let refused = super::describe(&file).unwrap_err().to_string();
        assert!(refused.contains("ends too early"), "{refused}");
    }
}
