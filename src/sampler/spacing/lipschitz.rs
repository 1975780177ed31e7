//! Equal Lipschitz mass: steps over which ε changes alike, ∫K dt being equal, from a measured curve. Jumps of a shared
//! timestep are in K and so draw steps to themselves.
//!
//! `lipschitz:REPORT`, or `lipschitz:REPORT#LABEL` where a comparison holds several models: the `report.json` of a
//! `measure` or `compare`.

use super::{Member, Spacing};
use crate::error::{Error, Result};
use crate::estimator::Quantity;
use crate::lipschitz_mass::LipschitzMass;
use crate::report::{Curve, Finished, ModelReport, Report};
use crate::schedule::NoiseSchedule;
use crate::time::{Axis, Timestep};
use std::path::Path;

pub(super) const MEMBER: Member = Member {
    name: "lipschitz",
    argument: "REPORT[#LABEL]",
    about: "steps of equal ∫K dt, from a measured report.json",
    build,
};

#[derive(Debug)]
struct Lipschitz {
    argument: String,
    mass: LipschitzMass,
    timesteps: usize,
}

fn build(argument: &str) -> Result<Box<dyn Spacing>> {
    let (file, label) = match argument.rsplit_once('#') {
        Some((file, label)) if !Path::new(argument).exists() => (file, Some(label)),
        _ => (argument, None),
    };
    let path = &Finished::file(Path::new(file));
    let report = Finished::curves(path)?;
    let model = choose(&report, label, path)?;
    let mass = LipschitzMass::new(&points(secant(model, path)?))?;
    Ok(Box::new(Lipschitz { argument: argument.into(), mass, timesteps: model.model.timesteps }))
}

fn choose<'a>(report: &'a Report, label: Option<&str>, path: &Path) -> Result<&'a ModelReport> {
    let found = match (label, report.models.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(label), models) => models.iter().find(|model| model.label == label),
    };
    found.ok_or_else(|| {
        let labels: Vec<&str> = report.models.iter().map(|model| model.label.as_str()).collect();
        let problem = format!("it holds the models {}, and one has to be chosen", labels.join(", "));
        Error::file(path, problem, "Name it as lipschitz:REPORT#LABEL.")
    })
}

/// K over single steps.
fn secant<'a>(model: &'a ModelReport, path: &Path) -> Result<&'a Curve> {
    let fits = |curve: &&Curve| {
        curve.quantity == Quantity::Secant && curve.of.is_epsilon() && curve.axis == Axis::Step && curve.dt == Some(1.0)
    };
    model.curves.iter().find(fits).ok_or_else(|| {
        let problem = format!("it has no secant over single steps of {}", model.label);
        Error::file(path, problem, "Measure with --quantity secant, --dt 1 and --axis step, which are the defaults.")
    })
}

fn points(curve: &Curve) -> Vec<(Timestep, f64)> {
    curve.points.iter().filter_map(|point| Some((point.timestep, point.mean?))).collect()
}

impl Spacing for Lipschitz {
    fn name(&self) -> String {
        format!("{}:{}", MEMBER.name, self.argument)
    }

    fn timesteps(
        &self,
        schedule: &dyn NoiseSchedule,
        (first, last): (Timestep, Timestep),
        shares: &[f64],
    ) -> Result<Vec<Timestep>> {
        let (from, until) = self.mass.span();
        if self.timesteps != schedule.timesteps() || from > last || until < first {
            return Err(Error::mismatch(
                format!(
                    "--spacing {} measured timesteps {from} to {until} of {}, and sampling goes from {first} to {last} of {}",
                    self.name(),
                    self.timesteps,
                    schedule.timesteps()
                ),
                "Measure the whole curve of this model: --timesteps auto or all.",
            ));
        }
        self.mass.descending(first, last, shares)
    }
}
