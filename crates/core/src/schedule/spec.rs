//! `NAME[:key=value,…]`, as `--schedule` takes it.

use super::{Built, FlatStart, MEMBERS, Member, NoiseSchedule};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

const ZERO_TERMINAL_SNR: &str = "-zero-terminal-snr";
/// A parameter of every schedule: the modified schedule's end.
const FLAT_UNTIL: &str = "flat-until";
/// T where it is not said.
const TIMESTEPS: &str = "1000";
/// A schedule of more steps is a slip of the finger, and its table would only eat memory.
pub const MOST_TIMESTEPS: usize = 1_000_000;

/// The parameters of one schedule, defaults filled in.
#[derive(Debug, Clone)]
pub struct Parameters {
    values: BTreeMap<String, String>,
}

impl Parameters {
    fn new(member: &Member, text: &str, whole: &str) -> Result<Self> {
        let shared = [("timesteps", TIMESTEPS), (FLAT_UNTIL, "0")];
        let all: Vec<(&str, &str)> = member.parameters.iter().copied().chain(shared).collect();
        Parameters::read((member.name, &all), text, whole)
    }

    /// Reads `key=value,…`, part of the `whole` that was typed. `known` are the name of what takes the parameters, and each
    /// of them with its default; one without a default is needed where it is asked for.
    ///
    /// # Errors
    /// A key that is not known, or that has no value.
    pub fn read((name, known): (&str, &[(&str, &str)]), text: &str, whole: &str) -> Result<Self> {
        let defaults = known.iter().filter(|(_, default)| !default.is_empty());
        let mut values: BTreeMap<String, String> =
            defaults.map(|(key, default)| (key.to_string(), default.to_string())).collect();
        let allowed: Vec<&str> = known.iter().map(|(key, _)| *key).collect();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !allowed.contains(&key) || value.is_empty() {
                return Err(Error::argument(
                    "the schedule",
                    whole,
                    format!("`{name}` takes {} as key=value", allowed.join(", ")),
                    format!("Change `{pair}`."),
                ));
            }
            values.insert(key.into(), value.into());
        }
        Ok(Parameters { values })
    }

    /// The value as it was typed.
    pub fn text(&self, key: &str) -> Result<&str> {
        self.values.get(key).map(String::as_str).ok_or_else(|| {
            Error::argument("the schedule", "nothing", format!("`{key}` is needed"), format!("Add `{key}=…`."))
        })
    }

    /// A finite number.
    pub fn number(&self, key: &str) -> Result<f64> {
        let text = self.text(key)?;
        text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| {
            let name = format!("the schedule's {key}");
            Error::argument(&name, text, "it is a finite number", format!("Give {key} as a number such as 0.02."))
        })
    }

    /// A number above 0.
    pub fn positive(&self, key: &str) -> Result<f64> {
        let value = self.number(key)?;
        if value > 0.0 {
            return Ok(value);
        }
        let name = format!("the schedule's {key}");
        Err(Error::argument(&name, value, "it lies above 0", format!("Give a {key} above 0.")))
    }

    /// T.
    pub fn timesteps(&self) -> Result<usize> {
        let text = self.text("timesteps")?;
        text.parse().ok().filter(|count| (2..=MOST_TIMESTEPS).contains(count)).ok_or_else(|| {
            let allowed = format!("it is a whole number from 2 to {MOST_TIMESTEPS}");
            Error::argument("the schedule's timesteps", text, allowed, "Give T, such as timesteps=1000.")
        })
    }
}

/// The name without the suffix of a rescaled schedule, and whether it has it.
fn base(name: &str) -> (&str, bool) {
    name.strip_suffix(ZERO_TERMINAL_SNR).map_or((name, false), |base| (base, true))
}

fn member(base: &str) -> Option<&'static Member> {
    MEMBERS.iter().find(|member| member.name == base)
}

/// Whether a schedule has this name, which stands before its parameters.
pub(crate) fn is_known(name: &str) -> bool {
    member(base(name).0).is_some()
}

/// The refusal of a name that is none, and none of the `others` either.
pub(crate) fn unknown(text: &str, others: impl Iterator<Item = &'static str>) -> Error {
    let names: Vec<&str> = MEMBERS.iter().map(|member| member.name).collect();
    let others: Vec<&str> = others.collect();
    let others = if others.is_empty() {
        String::new()
    } else {
        format!("; or a process of another kind, {}", others.join(", "))
    };
    Error::argument(
        "the schedule",
        text,
        format!("it is one of {}, those of betas also with `{ZERO_TERMINAL_SNR}`{others}", names.join(", ")),
        "Choose one of them, with its parameters as NAME:key=value,….",
    )
}

/// Builds the schedule that `text` names, such as `linear`, `cosine:s=0.008,timesteps=4000` or
/// `scaled-linear-zero-terminal-snr`.
pub fn parse(text: &str) -> Result<Arc<dyn NoiseSchedule>> {
    let (name, parameters) = text.split_once(':').unwrap_or((text, ""));
    let (base, zero_terminal_snr) = base(name);
    let Some(member) = member(base) else { return Err(unknown(text, std::iter::empty())) };
    let parameters = Parameters::new(member, parameters, text)?;
    let schedule: Arc<dyn NoiseSchedule> = match ((member.build)(&parameters)?, zero_terminal_snr) {
        (Built::Table(table), false) => Arc::new(table),
        (Built::Table(table), true) => Arc::new(table.zero_terminal_snr()),
        (Built::Continuous(schedule), false) => Arc::from(schedule),
        (Built::Continuous(_), true) => {
            return Err(Error::argument(
                "the schedule",
                text,
                format!("`{base}` is a closed form, and only schedules of betas are rescaled"),
                format!("Leave out `{ZERO_TERMINAL_SNR}`."),
            ));
        }
    };
    match parameters.number(FLAT_UNTIL)? {
        0.0 => Ok(schedule),
        until => Ok(Arc::new(FlatStart::new(schedule, until)?)),
    }
}
