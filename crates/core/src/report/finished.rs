//! A `report.json` of any command, read back.

use super::{REPORT, Report, SCHEMA_VERSION, TidyReport};
use crate::error::{Error, Result, quoted};
use crate::schedule::MOST_TIMESTEPS;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A finished or interrupted report.
#[derive(Debug, Clone)]
pub enum Finished {
    /// Curves: `measure`, `compare`, `theory`.
    Curves(Box<Report>),
    /// Tables: `evaluate`, `stability`, `reproduce`.
    Tables(Box<TidyReport>),
}

impl Finished {
    /// The report file that a path means: itself, or the report.json in it.
    pub fn file(path: &Path) -> PathBuf {
        if path.is_dir() { path.join(REPORT) } else { path.to_path_buf() }
    }

    /// `false` for the report of an interrupted run.
    pub fn is_complete(&self) -> bool {
        match self {
            Finished::Curves(report) => report.complete,
            Finished::Tables(report) => report.complete,
        }
    }

    /// Reads a report of curves.
    ///
    /// # Errors
    ///
    /// As [`Finished::read`], and a report of tables.
    pub fn curves(file: &Path) -> Result<Report> {
        match Finished::read(file)? {
            Finished::Curves(report) => Ok(*report),
            Finished::Tables(report) => {
                let problem = format!("this report, of {}, holds no curves", report.command);
                let next = "Give the report.json, or the folder, of lipscope measure, compare or theory.";
                Err(Error::file(file, problem, next))
            }
        }
    }

    /// Reads a report.
    ///
    /// # Errors
    ///
    /// What cannot be read, is no JSON, is not a report, or is one of a newer lipscope.
    pub fn read(file: &Path) -> Result<Finished> {
        let bytes = fs::read(file).map_err(|e| Error::io(file, "reading the report", &e))?;
        let next = "Give the report.json that a lipscope command wrote, or the folder that holds it.";
        let value: Value = serde_json::from_slice(&bytes).map_err(|e| {
            let problem = if e.is_eof() { "this JSON ends too early" } else { "this is no JSON" };
            Error::file(file, format!("{problem} ({e})"), next)
        })?;
        let Some(version) = value.get("schema_version").and_then(Value::as_u64) else {
            return Err(Error::file(file, "this is not a report of lipscope: it has no schema_version", next));
        };
        if version > u64::from(SCHEMA_VERSION) {
            let problem = format!("this report has schema version {version}, and this lipscope knows {SCHEMA_VERSION}");
            return Err(Error::file(file, problem, "Use the lipscope that wrote it, or a newer one."));
        }
        if value.get("models").is_some() {
            let report: Report = parse(file, value)?;
            refuse_impossible(file, &report)?;
            return Ok(Finished::Curves(Box::new(report)));
        }
        if value.get("tables").is_some() {
            return parse(file, value).map(|report| Finished::Tables(Box::new(report)));
        }
        Err(Error::file(file, "this is not a report of lipscope: it has neither models nor tables", next))
    }
}

/// Refuses timesteps that no grid has: they would become sizes of what is made of the report.
fn refuse_impossible(file: &Path, report: &Report) -> Result<()> {
    let next = "The file is damaged, or was edited. Take the report as lipscope wrote it, or measure again.";
    for model in &report.models {
        let steps = model.model.timesteps;
        if steps > MOST_TIMESTEPS {
            let problem = format!("{} has {steps} timesteps, and a schedule has up to {MOST_TIMESTEPS}", model.label);
            return Err(Error::file(file, quoted(&problem), next));
        }
        let on_grid = |t: f64| (-1.0..=steps as f64).contains(&t);
        let mut times = model.curves.iter().flat_map(|curve| &curve.points).map(|point| point.timestep);
        if let Some(t) = times.find(|t| !on_grid(*t)) {
            let problem = format!("{} has a point at t = {t}, beyond its {steps} timesteps", model.label);
            return Err(Error::file(file, quoted(&problem), next));
        }
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(file: &Path, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| {
        let next = "Take the report as lipscope wrote it; one that was edited may lack what is needed.";
        Error::file(file, format!("this report cannot be understood ({})", quoted(&e.to_string())), next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic::{quality, shared_pair};

    fn read(text: &str) -> Result<Finished> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(REPORT);
        fs::write(&file, text).unwrap();
        assert_eq!(Finished::file(folder.path()), file);
        Finished::read(&file)
    }

    #[test]
    fn both_kinds_come_back() {
        let curves = serde_json::to_string(&shared_pair()).unwrap();
        assert!(matches!(read(&curves).unwrap(), Finished::Curves(report) if report.models.len() == 2));
        let tables = serde_json::to_string(&quality()).unwrap();
        assert!(matches!(read(&tables).unwrap(), Finished::Tables(report) if report.tables.len() == 1));
    }

    #[test]
    fn impossible_timesteps_and_long_texts_are_refused_in_a_line() {
        let mut report = shared_pair();
        report.models[0].curves[0].points[1].timestep = 1099511627776.0;
        let message = read(&serde_json::to_string(&report).unwrap()).unwrap_err().to_string();
        assert!(message.contains("at t = 1099511627776, beyond its 1000 timesteps"), "{message}");
        let mut report = shared_pair();
        report.models[0].model.timesteps = 1 << 40;
        assert!(read(&serde_json::to_string(&report).unwrap()).unwrap_err().to_string().contains("has 1099511627776"));
        let mut value = serde_json::to_value(shared_pair()).unwrap();
        value["models"][0]["curves"][0]["quantity"] = "long\n\u{1b}[2J".repeat(2000).into();
        let message = read(&value.to_string()).unwrap_err().to_string();
        assert!(message.len() < 1000 && !message.contains(['\n', '\u{1b}']), "{message}");
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        let whole = serde_json::to_string(&shared_pair()).unwrap();
        let cases = [
            (&whole[..whole.len() / 2], "ends too early"),
            ("timestep,mean\n0,1\n", "this is no JSON"),
            ("{\"models\": []}", "no schema_version"),
            ("{\"schema_version\": 1}", "neither models nor tables"),
            ("{\"schema_version\": 1, \"models\": 3}", "cannot be understood"),
            ("{\"schema_version\": 99, \"models\": []}", "schema version 99"),
            ("[1, 2]", "no schema_version"),
        ];
        for (text, says) in cases {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(says) && message.contains(REPORT), "{message}");
        }
        let missing = Finished::read(Path::new("no-such/report.json")).unwrap_err().to_string();
        assert!(missing.contains("reading the report failed"), "{missing}");
    }
}
