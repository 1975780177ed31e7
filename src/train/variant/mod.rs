//! What can be trained: the plain model, E-TSDM, the paper's three alternatives, and what its reviewers asked for.
//!
//! A variant decides how x_t is noised and which number the network gets for t; everything else is the same for all, so
//! that two of them differ in nothing else. A new one is one file and a line each in [`VARIANTS`] and [`CATALOGUE`].

mod ddpm;
mod e_tsdm;
mod modified_schedule;
mod penalty;
mod remap;
mod sigma_condition;
mod slow_condition;

use crate::error::{Error, Result};
use crate::timestep_map::Sharing;
use serde::Serialize;

pub use lipscope_core::variants::CATALOGUE;

/// What the user may say about a variant; `None` leaves it to the variant.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The base schedule, as `--schedule` takes it.
    pub schedule: String,
    /// Its T.
    pub timesteps: usize,
    /// Number n of shared sub-intervals.
    pub intervals: Option<usize>,
    /// Their boundaries, with dashes between.
    pub boundaries: Option<String>,
    /// End t̃ of what counts as near 0.
    pub until: usize,
    /// Weight of the penalty.
    pub penalty_weight: Option<f64>,
}

/// How a variant noises and conditions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recipe {
    /// The schedule that noises, as `--schedule` takes it.
    pub schedule: String,
    /// The map to the network's condition, as `--share` takes it.
    pub share: Option<String>,
    /// The number that the network gets, as `--condition` takes it.
    pub condition: Option<String>,
    /// Whether x_t is noised at f(t), not at t.
    pub noised_at_condition: bool,
    /// A penalty on the difference quotient in time.
    pub penalty: Option<Penalty>,
}

/// weight · E[mean((ε_θ(x_t, t+1) − ε_θ(x_t, t))²)] over the samples with t < until.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Penalty {
    /// Its weight in the loss.
    pub weight: f64,
    /// Where it ends.
    pub until: usize,
}

/// One variant of the family.
pub struct Variant {
    /// As `--variant` takes it; what the help says of it is in the [`CATALOGUE`].
    pub name: &'static str,
    /// The flags it takes, besides `--until`.
    pub takes: &'static [&'static str],
    /// What it makes of its setting.
    pub recipe: fn(&Setting) -> Result<Recipe>,
}

/// The family.
pub const VARIANTS: &[Variant] = &[
    ddpm::VARIANT,
    e_tsdm::VARIANT,
    e_tsdm::NOISED,
    penalty::VARIANT,
    modified_schedule::VARIANT,
    remap::VARIANT,
    sigma_condition::VARIANT,
    slow_condition::VARIANT,
];

const INTERVALS: &str = "--intervals";
const BOUNDARIES: &str = "--boundaries";
const PENALTY_WEIGHT: &str = "--penalty-weight";

/// Sub-intervals unless the user says otherwise (arXiv 2306.11251: n = 5).
const DEFAULT_INTERVALS: usize = 5;

/// The variant that `name` names, applied to a setting. Flags that it would ignore are refused.
pub fn recipe(name: &str, setting: &Setting) -> Result<Recipe> {
    let Some(variant) = VARIANTS.iter().find(|variant| variant.name == name) else {
        let names: Vec<&str> = VARIANTS.iter().map(|variant| variant.name).collect();
        let allowed = format!("it is one of {}", names.join(", "));
        return Err(Error::argument("--variant", name, allowed, "`lipscope train --help` says what each is."));
    };
    let given = [
        (INTERVALS, setting.intervals.map(|n| n.to_string())),
        (BOUNDARIES, setting.boundaries.clone()),
        (PENALTY_WEIGHT, setting.penalty_weight.map(|weight| weight.to_string())),
    ];
    for (flag, value) in given {
        if let Some(value) = value.filter(|_| !variant.takes.contains(&flag)) {
            return Err(Error::argument(flag, value, format!("{name} has no use for it"), "Leave it out."));
        }
    }
    if setting.until == 0 || setting.until > setting.timesteps {
        return Err(Error::argument(
            "--until",
            setting.until,
            format!("the schedule has T = {}, and it lies between 1 and that", setting.timesteps),
            "Such as --until 100 at T = 1000.",
        ));
    }
    (variant.recipe)(setting)
}

impl Recipe {
    /// The plain model under a schedule.
    fn plain(schedule: &str) -> Self {
        Recipe { schedule: schedule.into(), share: None, condition: None, noised_at_condition: false, penalty: None }
    }
}

impl Setting {
    /// The shared sub-intervals, as `--share` takes them.
    fn sharing(&self) -> Result<String> {
        let text = match (&self.boundaries, self.intervals) {
            (Some(_), Some(intervals)) => {
                return Err(Error::argument(
                    INTERVALS,
                    intervals,
                    "the boundaries are given already",
                    "Leave out one of --intervals and --boundaries.",
                ));
            }
            (Some(boundaries), None) => format!("boundaries={boundaries}"),
            (None, n) => {
                let n = n.unwrap_or(DEFAULT_INTERVALS);
                if n == 0 || n > self.until {
                    let allowed = format!("it lies between 1 and --until, which is {}", self.until);
                    return Err(Error::argument(INTERVALS, n, allowed, "Such as --intervals 5 --until 100."));
                }
                format!("n={n},until={}", self.until)
            }
        };
        Sharing::parse(&text, self.timesteps).map(|_| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> Setting {
        Setting {
            schedule: "linear".into(),
            timesteps: 1000,
            intervals: None,
            boundaries: None,
            until: 100,
            penalty_weight: None,
        }
    }

    #[test]
    fn every_variant_has_a_recipe_that_can_be_used() {
        for variant in VARIANTS {
            let recipe = recipe(variant.name, &setting()).unwrap();
            crate::schedule::parse(&recipe.schedule).unwrap();
            recipe.share.map(|share| crate::timestep_map::parse(&share, 1000).unwrap());
            recipe.condition.map(|text| text.parse::<crate::time::Conditioning>().unwrap());
        }
        assert_eq!(recipe("e-tsdm", &setting()).unwrap().share.unwrap(), "n=5,until=100");
        assert_eq!(recipe("ddpm", &setting()).unwrap(), Recipe::plain("linear"));
        let modified = recipe("modified-schedule", &Setting { schedule: "linear:timesteps=500".into(), ..setting() });
        assert_eq!(modified.unwrap().schedule, "linear:timesteps=500,flat-until=100");
    }

    #[test]
    fn the_catalogue_lists_every_variant_in_order() {
        let names: Vec<&str> = VARIANTS.iter().map(|variant| variant.name).collect();
        assert_eq!(names, CATALOGUE.map(|(name, _)| name));
    }

    #[test]
    fn nonsense_is_refused_by_the_name_of_its_flag() {
        let cases: [(&str, Setting, &str); 8] = [
            ("edm", setting(), "--variant"),
            ("ddpm", Setting { intervals: Some(5), ..setting() }, "--intervals"),
            ("e-tsdm", Setting { intervals: Some(101), ..setting() }, "--intervals"),
            ("e-tsdm", Setting { intervals: Some(0), ..setting() }, "--intervals"),
            ("e-tsdm", Setting { until: 1001, ..setting() }, "--until"),
            ("e-tsdm", Setting { boundaries: Some("0-9-5".into()), ..setting() }, "--share"),
            ("penalty", Setting { penalty_weight: Some(-1.0), ..setting() }, "--penalty-weight"),
            ("remap", Setting { boundaries: Some("0-9".into()), ..setting() }, "--boundaries"),
        ];
        for (name, setting, flag) in cases {
            let error = recipe(name, &setting).unwrap_err().to_string();
            assert!(error.starts_with(flag), "{error}");
        }
    }
}
