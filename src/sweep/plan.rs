//! The plan file.

use super::cluster::SlurmTable;
use crate::error::{Error, Result};
use crate::report::Chart;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the file in a plan's folder.
const FILE: &str = "plan.toml";

/// Flags of a command without their dashes: `true` for a flag alone, a list for values between commas. Text that begins
/// with `./` or `../` is a path relative to the plan's folder.
pub type Flags = BTreeMap<String, toml::Value>;

/// A sweep as it is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SweepPlan {
    /// One line for the head of a page.
    pub title: String,
    /// What the sweep is to answer.
    #[serde(default)]
    pub question: String,
    /// One training, and one run of every job, per seed.
    #[serde(default = "one_seed")]
    pub seeds: Vec<u64>,
    /// Flags of `lipscope train` for all models.
    #[serde(default)]
    pub train: Flags,
    /// The models; the first is the baseline.
    #[serde(default, rename = "model")]
    pub models: Vec<Model>,
    /// What the models are crossed with; one without a name where there is none.
    #[serde(default, rename = "setting")]
    pub settings: Vec<Setting>,
    /// What is done with the models of every setting and seed.
    #[serde(rename = "job")]
    pub jobs: Vec<Job>,
    /// Quantities of the summary whose ratios to the baseline are told in words.
    #[serde(default)]
    pub headlines: Vec<String>,
    /// What is drawn.
    #[serde(default, rename = "figure")]
    pub figures: Vec<Chart>,
    /// How jobs are submitted, where a cluster carries the steps out.
    #[serde(default, skip_serializing_if = "SlurmTable::is_empty")]
    pub slurm: SlurmTable,
    /// The plan's folder.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// A model: trained by the sweep, or a checkpoint that is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Model {
    /// Name in tables and figures.
    pub name: String,
    /// Flags of `lipscope train` besides the plan's and the setting's.
    #[serde(default)]
    pub train: Flags,
    /// A checkpoint instead, or `ideal:DATA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// A setting of all models.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Setting {
    /// Name in tables and figures.
    pub name: String,
    /// Flags of `lipscope train` besides the plan's.
    #[serde(default)]
    pub train: Flags,
    /// Flags of jobs besides their own, by command.
    #[serde(default)]
    pub jobs: BTreeMap<String, Flags>,
}

/// A command that is run for every setting and seed, on all models at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Job {
    /// `compare`, `evaluate`, `stability` or `theory`; `theory` takes no models and is run once per setting.
    pub command: String,
    /// Its flags.
    #[serde(default)]
    pub flags: Flags,
}

/// What a job's command may be.
const COMMANDS: [&str; 4] = ["compare", "evaluate", "stability", "theory"];

fn one_seed() -> Vec<u64> {
    vec![0]
}

impl SweepPlan {
    /// Reads `plan.toml`, or the one in a folder.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no plan, or asks for what there is not.
    pub fn read(path: &Path) -> Result<SweepPlan> {
        let path = if path.is_dir() { path.join(FILE) } else { path.to_path_buf() };
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, "reading the plan", &e))?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        SweepPlan::parse(&text, folder).map_err(|problem| {
            Error::file(&path, problem, "docs/sweeps.md says what a plan holds, and analysis/ has examples.")
        })
    }

    /// The plan in `text`, or what is wrong with it.
    fn parse(text: &str, folder: PathBuf) -> std::result::Result<SweepPlan, String> {
        let plan: SweepPlan = toml::from_str(text).map_err(|e| format!("this is no plan ({})", one_line(&e, text)))?;
        let plan = SweepPlan { folder, ..plan };
        plan.check().map_or(Ok(plan.clone()), Err)
    }

    /// What is wrong with it.
    fn check(&self) -> Option<String> {
        let names = |names: Vec<&String>| -> Option<String> {
            let twice = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name));
            twice.map(|(_, name)| format!("two entries have the name `{name}`"))
        };
        if self.seeds.is_empty() || self.jobs.is_empty() {
            return Some("it has no seeds, or no [[job]]".into());
        }
        if let Some(job) = self.jobs.iter().find(|job| !COMMANDS.contains(&job.command.as_str())) {
            return Some(format!("a job's command is `{}`, and it is one of {}", job.command, COMMANDS.join(", ")));
        }
        if self.models.is_empty() && self.jobs.iter().any(|job| job.command != "theory") {
            return Some("its jobs need a [[model]]".into());
        }
        let trained = |model: &&Model| model.checkpoint.is_some() && !model.train.is_empty();
        if let Some(model) = self.models.iter().find(trained) {
            return Some(format!("`{}` has a checkpoint and is to be trained too", model.name));
        }
        self.slurm
            .check()
            .or_else(|| names(self.models.iter().map(|model| &model.name).collect()))
            .or_else(|| names(self.settings.iter().map(|setting| &setting.name).collect()))
    }

    /// The settings; one without a name where the plan has none.
    pub fn settings(&self) -> Vec<Setting> {
        if self.settings.is_empty() { vec![Setting::default()] } else { self.settings.clone() }
    }
}

/// TOML's messages have a picture of the place; a paragraph names the line.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    let before = error.span().and_then(|span| text.get(..span.start));
    before.map_or(message.clone(), |before| format!("line {}: {message}", before.matches('\n').count() + 1))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two models, two settings, two seeds.
    pub const PLAN: &str = r#"
        title = "Two by two"
        seeds = [0, 1]
        train = { data = "digits", steps = 20, flip = true, ema = [0.9, 0.99] }

        [[model]]
        name = "DDPM"
        train.variant = "ddpm"

        [[model]]
        name = "E-TSDM"
        train = { variant = "e-tsdm", intervals = 5 }

        [[setting]]
        name = "linear"
        train.schedule = "linear"

        [[setting]]
        name = "cosine"
        train.schedule = "cosine"
        jobs.theory.schedule = "cosine"

        [[job]]
        command = "compare"
        flags = { data = "digits", timesteps = "0,1,2" }

        [[job]]
        command = "theory"
        flags = { data = "digits", timesteps = "0,1,2" }
    "#;

    fn parse(text: &str) -> std::result::Result<SweepPlan, String> {
        SweepPlan::parse(text, PathBuf::new())
    }

    #[test]
    fn a_plan_is_read() {
        let plan = parse(PLAN).unwrap();
        assert_eq!((plan.models.len(), plan.settings().len(), plan.seeds.len()), (2, 2, 2));
        assert_eq!(plan.settings[1].jobs["theory"]["schedule"].as_str(), Some("cosine"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = [
            ("title = 1", "invalid type"),
            ("title = 'a'\nseed = 1\njob = []", "unknown field `seed`"),
            ("title = 'a'\njob = []", "no [[job]]"),
            ("title = 'a'\n[[job]]\ncommand = 'rm'", "`rm`"),
            ("title = 'a'\n[[job]]\ncommand = 'compare'", "need a [[model]]"),
            ("title = 'a'\n[[model]]\nname = 'm'\n[[model]]\nname = 'm'\n[[job]]\ncommand = 'compare'", "the name `m`"),
            (
                "title = 'a'\n[[model]]\nname = 'm'\ncheckpoint = 'c'\ntrain.steps = 1\n[[job]]\ncommand = 'compare'",
                "to be trained too",
            ),
        ];
        for (text, says) in wrong {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(says) && !problem.contains('\n'), "{text}: {problem}");
        }
    }
}
