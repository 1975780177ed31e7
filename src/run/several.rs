//! Options of which one measurement takes several values: guidance scales of `measure`, numbers of samples of `theory`.

use crate::clean_data::{self, Whole};
use crate::data::DataSpec;
use crate::draws::CleanSamples;
use crate::error::{Error, Result};
use crate::ideal::Gaussian;
use crate::model::{Model, Opened};
use crate::of::Of;
use lipscope_core::cli::args::Scales;
use lipscope_core::options::{DataOptions, MeasureOptions, Overrides};
use std::sync::Arc;
use tch::Device;

/// What guidance is asked for: `--of guidance` needs a condition ∅ and no w; of several w the model has the first, and all
/// of them are measured of one set of evaluations.
///
/// # Errors
/// w where there is none, or several where they cannot be measured at once.
pub(super) fn guided(command: &str, options: &MeasureOptions, overrides: &Overrides) -> Result<(Overrides, Vec<f64>)> {
    let with = |scale: f64| Overrides { guidance: Some(scale.into()), ..overrides.clone() };
    let scales = overrides.guidance.as_ref().map(Scales::all).unwrap_or_default();
    match (options.of.unwrap_or_default(), scales) {
        (Of::Guidance, []) => Ok((with(0.0), Vec::new())),
        (Of::Guidance, _) => Err(Error::argument(
            "--guidance",
            overrides.guidance.as_ref().map(Scales::to_string).unwrap_or_default(),
            "ε(x, t, c) − ε(x, t, ∅) is the same for every w",
            "Leave out --guidance with --of guidance; --null-class and --null-context say what ∅ is.",
        )),
        (Of::Spread, _) if overrides.average.is_some() => {
            let allowed = "--of spread is the distance of two draws, and not of two means";
            Err(Error::mismatch(allowed, "Leave out --average."))
        }
        (Of::Spread, [_, _, ..]) => Err(Error::unsupported(
            "--of spread of several --guidance",
            "two draws are told apart under one w at a time",
            "Give one w.",
        )),
        (_, [first, _, ..]) if command == "measure" => {
            if options.quantity.has_jacobian() {
                return Err(Error::unsupported(
                    format!("--quantity {} of several --guidance", options.quantity),
                    "derivatives in x are computed of one w at a time",
                    "Give one w.",
                ));
            }
            if options.data.source.as_ref().is_some_and(|source| *source == DataSpec::Model) {
                return Err(own_samples());
            }
            Ok((with(*first), scales.to_vec()))
        }
        // A list is refused where it is read.
        _ => Ok((overrides.clone(), Vec::new())),
    }
}

/// Says of a model what was asked for, where it is made with a w that stands for something else: several, or ε(c) − ε(∅).
pub(super) fn said_as_asked(model: &mut Model, of: Of, scales: &[f64]) {
    let Some(asked) = &mut model.description.asked else { return };
    let list: Vec<String> = scales.iter().map(f64::to_string).collect();
    if let Some(first) = list.first() {
        *asked = asked.replace(&format!("; guidance {first} over "), &format!("; guidance {} over ", list.join(",")));
    } else if of == Of::Guidance {
        *asked = asked.replace("; guidance 0 over ", ", less ");
    }
}

/// The refusal of several w on samples that depend on one.
pub(super) fn own_samples() -> Error {
    Error::mismatch(
        "samples that the model makes itself are guided by one w, and several were given",
        "Give --data with real samples, or one w.",
    )
}

/// Refuses a model that cannot make its own samples, as a sampler needs Gaussian noise.
pub(super) fn makes_samples(model: &Model) -> Result<()> {
    if model.response.as_denoiser().is_some() {
        return Ok(());
    }
    let process = &model.description.schedule;
    let problem = format!("there is no data, and under the process {process} {} makes no samples itself", model.label);
    Err(Error::mismatch(problem, "Give --data."))
}

/// The data options of `theory`, one for each `data_limit`.
pub(super) fn limits(spec: &DataSpec, options: &DataOptions) -> Result<Vec<DataOptions>> {
    let Some(limits) = &options.data_limit else { return Ok(vec![options.clone()]) };
    let is_density = matches!(spec, DataSpec::Gaussian(_) | DataSpec::Mixture(_) | DataSpec::EightGaussians);
    if is_density && limits.all().len() > 1 {
        let allowed = format!("{spec} is a density, which has no number of samples");
        return Err(Error::argument("--data-limit", limits, allowed, "Leave it out, or give data that is a set."));
    }
    let one = |limit: &Option<usize>| DataOptions { data_limit: Some((*limit).into()), ..options.clone() };
    Ok(limits.all().iter().map(one).collect())
}

/// Ideal denoisers of one source of data, one for each number of samples.
pub(super) struct Ideals {
    pub opened: Vec<Opened>,
    /// Where the samples of each come from.
    pub sources: Vec<Arc<dyn CleanSamples>>,
    /// The data of each.
    pub wholes: Vec<Whole>,
    /// The data, where it is a Gaussian.
    pub gaussian: Option<Gaussian>,
}

impl Ideals {
    /// One for each of the options; where there are several, the label says the number of samples.
    pub fn open(label: Option<&str>, spec: &DataSpec, options: &[DataOptions], device: Device) -> Result<Self> {
        let mut all = Ideals { opened: Vec::new(), sources: Vec::new(), wholes: Vec::new(), gaussian: None };
        let name = label.map_or_else(|| format!("ideal {spec}"), str::to_string);
        for options_of_one in options {
            let mut ideal = clean_data::open_ideal(spec, options_of_one, device)?;
            all.gaussian = ideal.gaussian.take();
            all.sources.push(Arc::clone(&ideal.data.source));
            all.wholes.push(ideal.data.whole.clone());
            let count = ideal.data.rows().filter(|_| options.len() > 1);
            let name = count.map_or(name.clone(), |count| format!("{name}, {count} samples"));
            all.opened.push(Opened::ideal(&spec.to_string(), &name, ideal));
        }
        Ok(all)
    }
}
