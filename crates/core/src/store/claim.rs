//! Which folder belongs to which plan.

use super::{Invocation, expected, part};
use crate::atomic;
use crate::error::{Error, Result};
use crate::report::{REPORT, prepare_dir};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The name of the plan's file.
pub const PLAN: &str = "plan.json";

/// Where a run goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folder {
    /// The folder that was named; another plan in it is refused.
    Named(PathBuf),
    /// This one, or with `-2`, `-3`, … behind its name the first that is free or belongs to the same plan.
    Default(PathBuf),
}

impl Folder {
    /// The named folder, else the default one.
    pub fn new(named: Option<&Path>, default: impl FnOnce() -> PathBuf) -> Self {
        named.map_or_else(|| Folder::Default(default()), |named| Folder::Named(named.into()))
    }

    /// Makes the folder ready and says in it which plan it belongs to.
    pub(super) fn claim(&self, plan: &Value) -> Result<PathBuf> {
        match self {
            Folder::Named(folder) => match claim(folder, plan)? {
                None => Ok(folder.clone()),
                Some(key) => Err(Error::file(
                    folder,
                    format!("this folder holds the run of another plan: `{key}` differs"),
                    "Choose another --out, or repeat the command of that run exactly to go on with it.",
                )),
            },
            Folder::Default(base) => {
                let mut folder = base.clone();
                let mut n = 1;
                while claim(&folder, plan)?.is_some() {
                    n += 1;
                    let name = base.file_name().unwrap_or_default().to_string_lossy();
                    folder = base.with_file_name(format!("{name}-{n}"));
                }
                Ok(folder)
            }
        }
    }
}

/// `None` where the folder is this plan's, from now on if nobody's before; else a setting that differs.
fn claim(folder: &Path, plan: &Value) -> Result<Option<String>> {
    prepare_dir(folder)?;
    let path = folder.join(PLAN);
    if !path.exists() && !folder.join(REPORT).exists() {
        let text = serde_json::to_vec_pretty(&json!({"lipscope": env!("CARGO_PKG_VERSION"), "plan": plan}));
        let text = text.map_err(|e| Error::mismatch(format!("the plan cannot be written ({e})"), "Report this."))?;
        match atomic::create(&path, &text) {
            Ok(()) => return Ok(None),
            // Somebody else was faster.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io(&path, "writing", &e)),
        }
    }
    let (a, b) = (identity(&earlier(folder, &path)?), identity(plan));
    Ok((a != b).then(|| differing_key(&a, &b)))
}

/// The plan of an earlier run; of one before there were plans in files, from its report.
pub(super) fn earlier(folder: &Path, path: &Path) -> Result<Value> {
    let (path, within): (PathBuf, &[&str]) =
        if path.exists() { (path.into(), &["plan"]) } else { (folder.join(REPORT), &["provenance", "plan"]) };
    let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, "reading the earlier plan", &e))?;
    let value: Option<Value> = serde_json::from_str(&text).ok();
    let plan = value.and_then(|value| within.iter().try_fold(&value, |value, key| value.get(key)).cloned());
    plan.ok_or_else(|| {
        Error::file(&path, "this is not what lipscope writes here", "Choose another --out, or remove the folder.")
    })
}

/// Copies the parts of the same run from other folders into `out`, which is made where it is not there; how many parts
/// those are.
///
/// # Errors
/// A folder holds no run, or that of another plan, which is told by the key that differs; nothing is copied then.
pub fn take(out: &Path, from: &[PathBuf]) -> Result<usize> {
    let plan_of = |folder: &Path| {
        let path = folder.join(PLAN);
        if !path.is_file() {
            let next = "Give the folders that --out named for the shards of one command.";
            return Err(Error::file(folder, "this is not the folder of a run: it has no plan.json", next));
        }
        earlier(folder, &path)
    };
    let plans = from.iter().map(|folder| plan_of(folder)).collect::<Result<Vec<Value>>>()?;
    let is_new = !out.join(PLAN).is_file();
    let first = if is_new { plans.first().cloned() } else { None };
    let plan = first.map_or_else(|| plan_of(out), Ok)?;
    for (folder, other) in from.iter().zip(&plans) {
        let (a, b) = (identity(&plan), identity(other));
        if a != b {
            let problem = format!("this is the run of another plan: `{}` differs", differing_key(&a, &b));
            return Err(Error::file(folder, problem, "Merge the shards of one command, and no others."));
        }
    }
    if let Some(first) = from.first().filter(|_| is_new) {
        claim(out, &plan)?;
        Invocation::of(first).map_or(Ok(()), |command| command.keep(out))?;
    }
    let mut taken = 0;
    for folder in from {
        taken += part::take(folder, out)?;
        expected::take(folder, out)?;
    }
    Ok(taken)
}

/// The plan without what may differ between equal runs: the path of a model whose weights are known by their hash.
fn identity(plan: &Value) -> Value {
    let mut plan = plan.clone();
    let models = plan.get_mut("models").and_then(Value::as_array_mut).map(Vec::as_mut_slice).unwrap_or_default();
    for model in models.iter_mut().filter_map(Value::as_object_mut) {
        if model.get("sha256").is_some_and(Value::is_string) {
            model.remove("source");
        }
    }
    plan
}

/// Fingerprint of a plan.
pub(super) fn fingerprint(plan: &Value) -> String {
    Sha256::digest(identity(plan).to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A setting that two plans do not share.
fn differing_key(a: &Value, b: &Value) -> String {
    let keys = a.as_object().into_iter().chain(b.as_object()).flat_map(|object| object.keys());
    keys.into_iter().find(|key| a.get(key) != b.get(key)).cloned().unwrap_or_default()
}
