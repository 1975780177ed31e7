//! Multivariate diffusion models (Singhal et al., arXiv 2302.07261): any Q and D, from a JSON file. Defaults are those of its
//! code's configurations.
//!
//! `{"Q": [[0, -1], [1, 0]], "D": [[0, 0], [0, 2]], "beta_min": 0.1, "beta_max": 10, "init_aux_var": 0.01,
//! "stationary_x_var": 1, "stationary_aux_var": 1}`: Q and D must be there, the numbers have these defaults. β grows linearly
//! from beta_min at u = 0 to beta_max at u = 1.

use super::{LinearGaussian, Terms};
use crate::error::{Error, Result};
use crate::process::{Other, ProcessSpec};
use crate::schedule::Parameters;
use ndarray::Array2;
use serde::Deserialize;
use std::path::Path;

/// `mdm:FILE,timesteps=1000`.
pub const MDM: Other = Other {
    name: "mdm",
    about: "mdm:FILE: x with one to three auxiliary variables, Q and D from a JSON file (arXiv 2302.07261)",
    read,
};

/// A file holds two matrices of at most 4 × 4 and five numbers.
const MOST_BYTES: u64 = 1 << 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "Q")]
    q: Vec<Vec<f64>>,
    #[serde(rename = "D")]
    d: Vec<Vec<f64>>,
    #[serde(default = "tenth")]
    beta_min: f64,
    #[serde(default = "ten")]
    beta_max: f64,
    #[serde(default = "hundredth")]
    init_aux_var: f64,
    #[serde(default = "one")]
    stationary_x_var: f64,
    #[serde(default = "one")]
    stationary_aux_var: f64,
}

fn tenth() -> f64 {
    0.1
}

fn ten() -> f64 {
    10.0
}

fn hundredth() -> f64 {
    0.01
}

fn one() -> f64 {
    1.0
}

fn read(text: &str, whole: &str) -> Result<ProcessSpec> {
    // A comma may belong to the file's name.
    let (file, parameters) = match text.rfind(",timesteps=") {
        Some(place) => (&text[..place], &text[place + 1..]),
        None => (text, ""),
    };
    if file.is_empty() {
        let next = "Such as mdm:process.json; with {\"Q\": [[0, -1], [1, 0]], \"D\": [[0, 0], [0, 2]]} in it for CLD.";
        return Err(Error::argument("the schedule", whole, "`mdm` takes a JSON file with Q and D", next));
    }
    let timesteps = Parameters::read((MDM.name, &[("timesteps", "1000")]), parameters, whole)?.timesteps()?;
    let path = Path::new(file);
    let written = parse(path)?;
    let next = "Change it; docs/auxiliary-variables.md has an example.";
    let refuse = |problem: String| Error::file(path, problem, next);
    written.check().map_err(refuse)?;
    let k = written.q.len();
    let mut stationary = vec![written.stationary_aux_var; k];
    stationary.iter_mut().take(1).for_each(|variance| *variance = written.stationary_x_var);
    let terms = Terms {
        q: matrix("Q", &written.q).map_err(refuse)?,
        d: matrix("D", &written.d).map_err(refuse)?,
        stationary,
        initial: written.init_aux_var,
        beta: (written.beta_min, written.beta_max),
        epsilon: 0.0,
        timesteps,
    };
    LinearGaussian::build(terms, whole, refuse)
}

impl Written {
    fn check(&self) -> std::result::Result<(), String> {
        let above = [
            ("beta_max", self.beta_max),
            ("stationary_x_var", self.stationary_x_var),
            ("stationary_aux_var", self.stationary_aux_var),
        ];
        if let Some((name, value)) = above.into_iter().find(|(_, value)| !(*value > 0.0 && value.is_finite())) {
            return Err(format!("its {name} is {value}; it is a number above 0"));
        }
        let least = [("beta_min", self.beta_min), ("init_aux_var", self.init_aux_var)];
        match least.into_iter().find(|(_, value)| !(*value >= 0.0 && value.is_finite())) {
            None => Ok(()),
            Some((name, value)) => Err(format!("its {name} is {value}; it is a number, 0 or above")),
        }
    }
}

fn parse(path: &Path) -> Result<Written> {
    let next = "Give a JSON file with Q and D; docs/auxiliary-variables.md has an example.";
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, "reading", &e))?;
    if !size.is_file() || size.len() > MOST_BYTES {
        return Err(Error::file(path, "it is no JSON file of two small matrices", next));
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "reading", &e))?;
    serde_json::from_str(&text).map_err(|e| Error::file(path, format!("it does not describe a process ({e})"), next))
}

fn matrix(name: &str, rows: &[Vec<f64>]) -> std::result::Result<Array2<f64>, String> {
    let k = rows.len();
    let flat: Vec<f64> = rows.iter().flatten().copied().collect();
    match rows.iter().find(|row| row.len() != k) {
        None => Array2::from_shape_vec((k, k), flat).map_err(|e| e.to_string()),
        Some(row) => Err(format!("its {name} has {k} rows, and one of {} numbers; it is square", row.len())),
    }
}
