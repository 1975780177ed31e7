//! Forward processes by name, as `--schedule` takes them: how clean samples x₀ become states x_t.
//!
//! Here stand the numbers of a process that need no tensors. A new process is one file, one variant of [`ProcessSpec`] and
//! one line in [`OTHERS`].

pub mod jump;
pub mod linear_gaussian;
pub mod unnoised;

pub use jump::Jump;
pub use linear_gaussian::LinearGaussian;
pub use unnoised::Unnoised;

use crate::error::{Error, Result};
use crate::schedule::{self, NamedSchedule};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A forward process with its parameters.
#[derive(Debug, Clone)]
pub enum ProcessSpec {
    /// x_t = α_t x₀ + σ_t ε.
    Gaussian(NamedSchedule),
    /// Symbols that jump.
    Jump(Arc<Jump>),
    /// u = (x, v, …), with auxiliary variables.
    LinearGaussian(Arc<LinearGaussian>),
    /// x itself, beside a scalar s.
    Unnoised(Arc<Unnoised>),
}

/// One process that is not Gaussian: its name, and how it is read.
pub struct Other {
    /// Name as it is typed.
    pub name: &'static str,
    /// One line with the formula and its source.
    pub about: &'static str,
    /// Reads `key=value,…`; the second is all that was typed.
    pub read: fn(&str, &str) -> Result<ProcessSpec>,
}

/// The processes that are not Gaussian.
pub const OTHERS: &[Other] =
    &[jump::FLIP, jump::UNIFORM, jump::ABSORB, linear_gaussian::CLD, linear_gaussian::MDM, unnoised::OTHER];

impl ProcessSpec {
    /// As `--schedule` takes it, or a description where it came as a table.
    pub fn name(&self) -> &str {
        match self {
            ProcessSpec::Gaussian(named) => &named.name,
            ProcessSpec::Jump(jump) => &jump.name,
            ProcessSpec::LinearGaussian(linear) => &linear.name,
            ProcessSpec::Unnoised(unnoised) => &unnoised.name,
        }
    }

    /// Number of grid steps T.
    pub fn timesteps(&self) -> usize {
        match self {
            ProcessSpec::Gaussian(named) => named.schedule.timesteps(),
            ProcessSpec::Jump(jump) => jump.timesteps,
            ProcessSpec::LinearGaussian(linear) => linear.timesteps(),
            ProcessSpec::Unnoised(unnoised) => unnoised.timesteps,
        }
    }

    /// Its schedule, which `what` needs.
    ///
    /// # Errors
    /// The process is not Gaussian.
    pub fn gaussian(&self, what: &str) -> Result<&NamedSchedule> {
        match self {
            ProcessSpec::Gaussian(named) => Ok(named),
            other => Err(not_gaussian(what, other.name())),
        }
    }
}

/// The refusal of what only a process with α and σ has.
pub fn not_gaussian(what: &str, process: &str) -> Error {
    Error::unsupported(
        format!("{what} under the process {process}"),
        "it is there for Gaussian noise, x_t = α x₀ + σ ε",
        "Use `lipscope measure` or `compare`; or name a noise schedule, such as --schedule linear.",
    )
}

impl From<NamedSchedule> for ProcessSpec {
    fn from(named: NamedSchedule) -> Self {
        ProcessSpec::Gaussian(named)
    }
}

impl FromStr for ProcessSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, parameters) = text.split_once(':').unwrap_or((text, ""));
        match OTHERS.iter().find(|other| other.name == name) {
            Some(other) => (other.read)(parameters, text),
            None if schedule::is_known(name) => Ok(ProcessSpec::Gaussian(text.parse()?)),
            None => Err(schedule::unknown(text, OTHERS.iter().map(|other| other.name))),
        }
    }
}

impl fmt::Display for ProcessSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_a_gaussian_process_and_keeps_its_name() {
        for text in ["linear", "cosine:s=0.01,timesteps=500", "scaled-linear-zero-terminal-snr"] {
            let spec: ProcessSpec = text.parse().unwrap();
            assert_eq!((spec.name(), spec.gaussian("sampling").unwrap().name.as_str()), (text, text));
        }
        assert_eq!("cosine:timesteps=500".parse::<ProcessSpec>().unwrap().timesteps(), 500);
    }

    #[test]
    fn an_unknown_name_is_refused_with_all_known_ones() {
        let error = "nonsense:x=1".parse::<ProcessSpec>().unwrap_err().to_string();
        assert!(error.contains("linear") && error.contains("none") && error.contains("nonsense"), "{error}");
    }

    #[test]
    fn what_needs_a_schedule_refuses_another_process_by_name() {
        let spec: ProcessSpec = "none:from=0,to=1".parse().unwrap();
        let error = spec.gaussian("sampling").unwrap_err().to_string();
        assert!(error.contains("sampling") && error.contains("none:from=0,to=1"), "{error}");
    }
}
