//! From a plan to its steps, in an order in which each can be carried out.

use super::plan::{Flags, Job, Model, Setting, SweepPlan};
use super::step::{Step, Word};
use crate::error::{Error, Result};
use std::path::Path;

/// What `lipscope train` writes.
const CHECKPOINT: &str = "model.pt";

/// All steps of a plan, each once; a step stands behind those that it needs.
///
/// # Errors
///
/// A file that the plan names cannot be read, or a flag has a value that no flag takes.
pub fn steps(plan: &SweepPlan) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut add = |step: Step| {
        let key = step.key.clone();
        if steps.iter().all(|other| (&other.key, &other.setting) != (&step.key, &step.setting)) {
            steps.push(step);
        }
        key
    };
    for setting in plan.settings() {
        for &seed in &plan.seeds {
            let mut checkpoints = Vec::with_capacity(plan.models.len());
            for model in &plan.models {
                checkpoints.push(match &model.checkpoint {
                    Some(checkpoint) => file_or_text(checkpoint, &plan.folder)?,
                    None => Word::Output(add(training(plan, &setting, model, seed)?), CHECKPOINT),
                });
            }
            for job in plan.jobs.iter().filter(|job| job.command != "theory") {
                add(on_models(plan, &setting, job, &checkpoints, seed)?);
            }
        }
        for job in plan.jobs.iter().filter(|job| job.command == "theory") {
            let words = words(&job_flags(job, &setting), &plan.folder)?;
            let label = job.flags.get("label").and_then(toml::Value::as_str);
            add(Step::new(&job.command, &setting.name, label, plan.seeds.first().copied().unwrap_or(0), words));
        }
    }
    Ok(steps)
}

fn training(plan: &SweepPlan, setting: &Setting, model: &Model, seed: u64) -> Result<Step> {
    let flags = merged([&plan.train, &setting.train, &model.train]);
    Ok(Step::new("train", &setting.name, Some(&model.name), seed, words(&flags, &plan.folder)?))
}

fn on_models(plan: &SweepPlan, setting: &Setting, job: &Job, checkpoints: &[Word], seed: u64) -> Result<Step> {
    // One model alone has nothing to be compared with.
    let command = if job.command == "compare" && checkpoints.len() == 1 { "measure" } else { &job.command };
    let mut all: Vec<Word> = checkpoints.to_vec();
    for model in &plan.models {
        all.extend([Word::Text("--label".into()), Word::Text(model.name.clone())]);
    }
    all.extend(words(&job_flags(job, setting), &plan.folder)?);
    Ok(Step::new(command, &setting.name, None, seed, all))
}

fn job_flags(job: &Job, setting: &Setting) -> Flags {
    let of_setting = setting.jobs.get(&job.command).cloned().unwrap_or_default();
    merged([&job.flags, &of_setting])
}

/// The later ones win.
fn merged<'a>(flags: impl IntoIterator<Item = &'a Flags>) -> Flags {
    flags.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Flags as words, in the order of their names.
fn words(flags: &Flags, folder: &Path) -> Result<Vec<Word>> {
    let mut words = Vec::new();
    for (name, value) in flags {
        let flag = Word::Text(format!("--{name}"));
        match value {
            toml::Value::Boolean(true) => words.push(flag),
            toml::Value::Boolean(false) => {}
            toml::Value::Array(values) => {
                let values: Vec<String> = values.iter().map(|value| scalar(name, value)).collect::<Result<_>>()?;
                words.extend([flag, Word::Text(values.join(","))]);
            }
            _ => words.extend([flag, file_or_text(&scalar(name, value)?, folder)?]),
        }
    }
    Ok(words)
}

fn scalar(name: &str, value: &toml::Value) -> Result<String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        _ => {
            let allowed = "a flag's value is text, a number, true, false, or a list of these";
            Err(Error::argument(name, format!("a {}", value.type_str()), allowed, "Change the plan."))
        }
    }
}

/// Text that begins with `./` or `../` is a path relative to the plan.
fn file_or_text(text: &str, folder: &Path) -> Result<Word> {
    if text.starts_with("./") || text.starts_with("../") {
        return Word::path(folder.join(text));
    }
    Ok(Word::Text(text.into()))
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::PLAN;
    use super::super::results::Results;
    use super::super::step::command_line;
    use super::*;

    fn two_by_two() -> Vec<Step> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plan.toml"), PLAN).unwrap();
        steps(&SweepPlan::read(folder.path()).unwrap()).unwrap()
    }

    #[test]
    fn models_are_crossed_with_settings_and_seeds() {
        let steps = two_by_two();
        let count = |command: &str| steps.iter().filter(|step| step.command == command).count();
        assert_eq!((count("train"), count("compare"), count("theory")), (8, 4, 2));
        for (i, step) in steps.iter().enumerate() {
            assert!(step.needs().all(|key| steps[..i].iter().any(|before| before.key == key)), "{}", step.name());
        }
    }

    #[test]
    fn command_lines_are_what_one_would_type() {
        let steps = two_by_two();
        let results = Results::new("r".into());
        let line = command_line(&steps[1], &results).join(" ");
        let begins =
            "train --data digits --ema 0.9,0.99 --flip --intervals 5 --schedule linear --steps 20 --variant e-tsdm";
        assert!(line.starts_with(&format!("{begins} --seed 0 --out r/train-")), "{line}");
        let line = command_line(&steps[2], &results).join(" ");
        assert!(
            line.starts_with("compare r/train-") && line.contains("/model.pt --label DDPM --label E-TSDM"),
            "{line}"
        );
    }

    #[test]
    fn paths_are_relative_to_the_plan_and_must_exist() {
        let folder = tempfile::tempdir().unwrap();
        let flags: Flags = [("data".to_string(), toml::Value::String("./x.npy".into()))].into();
        let error = words(&flags, folder.path()).unwrap_err().to_string();
        assert!(error.contains("x.npy"), "{error}");
        std::fs::write(folder.path().join("x.npy"), "x").unwrap();
        assert!(matches!(&words(&flags, folder.path()).unwrap()[1], Word::Path(path, _) if path.ends_with("x.npy")));
        let flags: Flags = [("data".to_string(), toml::Value::Table(toml::Table::new()))].into();
        assert!(words(&flags, folder.path()).is_err());
    }
}
