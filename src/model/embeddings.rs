//! Embeddings and numbers that a network is asked for.

use super::rows::{self, DataRows};
use crate::error::{Error, Result};
use crate::guidance::Given;
use crate::input::{Input, Values};
use crate::network::{Additions, Numbers, Takes};
use lipscope_core::cli::args::ConditionSource;
use lipscope_core::options::Overrides;
use std::path::Path;
use tch::Kind;

/// What was assumed, and the flag that says otherwise.
pub struct Assumed {
    /// In words.
    pub what: String,
    /// As it is typed.
    pub flag: &'static str,
}

/// Pixels along a side of a latent, in the autoencoders of Stable Diffusion.
const PIXELS_PER_LATENT: i64 = 8;

/// Embeddings, [L, D] for each sample.
pub(super) fn context(
    takes: &Takes,
    flag: &str,
    source: Option<&ConditionSource>,
    data: DataRows,
) -> Result<Option<Input>> {
    let Some(source) = source else {
        return match (takes.context, takes.context_width) {
            (false, _) => Ok(None),
            (true, width) => {
                let width = width.map_or_else(|| "D".to_string(), |width| width.to_string());
                Err(Error::mismatch(
                    format!("this {} attends to embeddings, and none were given", takes.architecture),
                    format!("Give {flag} FILE (.npy or .safetensors) with one array [L, {width}], such as a prompt's."),
                ))
            }
        };
    };
    if !takes.context {
        return Err(Error::mismatch(
            format!("this {} takes no embeddings", takes.architecture),
            format!("Leave out {flag}; a TorchScript module with such an input is named with --inputs x,t,context."),
        ));
    }
    let context = Input { name: "embeddings".into(), values: rows::values(flag, source, data)? };
    let fits = takes.context_width.is_none_or(|width| matches!(context.shape()[..], [_, found] if found == width));
    if fits && is_of_samples(&context) {
        return Ok(Some(context));
    }
    let width = takes.context_width.map_or_else(|| "D".to_string(), |width| width.to_string());
    let next = format!(
        "Give floating-point embeddings of one sample, [L, {width}], or with an @ before it [N, L, {width}] for the N rows of \
         the data."
    );
    Err(misfit(source, &context, next))
}

/// Whether its values are numbers of one sample, or of one for each row of the data.
fn is_of_samples(input: &Input) -> bool {
    match &input.values {
        Values::Same(values) => values.is_floating_point() && values.size()[0] == 1,
        Values::WithData(values) => values.is_floating_point(),
        Values::Normal { .. } => false,
    }
}

fn misfit(source: &ConditionSource, input: &Input, next: String) -> Error {
    let (size, kind) = match &input.values {
        // A first axis of 1 may have been left out.
        Values::Same(values) if values.size()[0] == 1 => (input.shape(), values.kind()),
        Values::Same(values) | Values::WithData(values) => (values.size(), values.kind()),
        Values::Normal { .. } => (input.shape(), Kind::Float),
    };
    let path = match source {
        ConditionSource::Same(path) | ConditionSource::Rows(path) => path.as_path(),
        ConditionSource::Column(name) => Path::new(name),
    };
    Error::file(path, format!("its array has shape {size:?} ({kind:?})"), next)
}

/// Pooled embeddings, `[P]` for each sample, beside so many numbers.
pub(super) fn pooled(
    takes: &Takes,
    flag: &str,
    source: Option<&ConditionSource>,
    numbers: &Option<Given>,
    data: DataRows,
) -> Result<Option<Input>> {
    let additions = takes.additions;
    let numbers = numbers.as_ref().map_or(0, |given| given.values.len() as i64);
    let (source, width) = match (source, additions.pooled_width(numbers)) {
        (None, None) => return Ok(None),
        (Some(source), Some(width)) => (source, width),
        (None, Some(width)) => {
            return Err(Error::mismatch(
                format!("this {} takes {}, and none was given", takes.architecture, what(additions)),
                missing_pooled(additions, flag, width),
            ));
        }
        (Some(_), None) => {
            let problem = format!("this {} takes no pooled embeddings", takes.architecture);
            return Err(Error::mismatch(problem, format!("Leave out {flag}.")));
        }
    };
    let name = if additions.observation { "observation" } else { "pooled embeddings" };
    let pooled = Input { name: name.into(), values: rows::values(flag, source, data)? };
    if pooled.shape() == [width] && is_of_samples(&pooled) {
        return Ok(Some(pooled));
    }
    let per_number = match additions.features {
        0 => String::new(),
        features => format!(
            "; each number less in --time-ids leaves {features} more (the refiner of Stable Diffusion XL takes five)"
        ),
    };
    let next = match &pooled.values {
        Values::WithData(_) => {
            format!("Give floating-point numbers [N, {width}] for the N rows of the data{per_number}.")
        }
        _ => format!("Give floating-point numbers of one sample, [{width}]{per_number}."),
    };
    Err(misfit(source, &pooled, next))
}

fn what(additions: Additions) -> &'static str {
    if additions.observation { "an observation" } else { "pooled embeddings besides those it attends to" }
}

fn missing_pooled(additions: Additions, flag: &str, width: i64) -> String {
    match additions.observation {
        true => format!(
            "Give --observation @COLUMN, an array [N, {width}] of the data's file with one for each of its rows (scaled as in \
             training), or --observation FILE with one [{width}] for all."
        ),
        false => format!("Give {flag} FILE (.npy or .safetensors) with one array [{width}], such as a prompt's."),
    }
}

/// The numbers that a network embeds as t is, and what was assumed of them.
pub(super) fn numbers(takes: &Takes, options: &Overrides, shape: &[i64]) -> Result<(Option<Given>, Option<Assumed>)> {
    let taken = takes.additions.numbers;
    let typed = [
        (Numbers::TimeIds, options.time_ids.is_some(), "Stable Diffusion XL takes them"),
        (Numbers::Guidance, options.embedded_guidance.is_some(), "FLUX.1-dev and others that were distilled take it"),
    ];
    if let Some((what, _, who)) = typed.into_iter().find(|(what, typed, _)| *typed && taken != Some(*what)) {
        let problem = format!("this {} takes no {}", takes.architecture, what.name());
        return Err(Error::mismatch(problem, format!("Leave out {}; {who}.", what.flag())));
    }
    let Some(what) = taken else { return Ok((None, None)) };
    let said = match what {
        Numbers::TimeIds => options.time_ids.as_deref().map(|values| time_ids(takes, values)).transpose()?,
        Numbers::Guidance => options.embedded_guidance.map(guidance).transpose()?,
    };
    match said {
        Some(values) => Ok((Some(Given { what, values }), None)),
        None => {
            let given = Given { what, values: usual(what, shape) };
            let assumed = Assumed { what: given.to_string(), flag: what.flag() };
            Ok((Some(given), Some(assumed)))
        }
    }
}

fn guidance(scale: f64) -> Result<Vec<f64>> {
    if scale.is_finite() {
        return Ok(vec![scale]);
    }
    Err(Error::argument("--embedded-guidance", scale, "it is a finite number", "Such as --embedded-guidance 3.5."))
}

/// Numbers that leave room for pooled embeddings.
fn time_ids(takes: &Takes, values: &[f64]) -> Result<Vec<f64>> {
    let room = |count: usize| takes.additions.pooled_width(count as i64).is_some_and(|width| width > 0);
    if !values.is_empty() && room(values.len()) && values.iter().all(|value| value.is_finite()) {
        return Ok(values.to_vec());
    }
    let typed: Vec<String> = values.iter().map(f64::to_string).collect();
    let allowed =
        "these are finite numbers: original height and width, top and left of the crop, target height and width";
    Err(Error::argument("--time-ids", typed.join(","), allowed, "Such as --time-ids 1024,1024,0,0,1024,1024."))
}

/// An uncropped image of the sample's own size; the scale that diffusers' FluxPipeline takes.
fn usual(what: Numbers, shape: &[i64]) -> Vec<f64> {
    match what {
        Numbers::TimeIds => {
            let side = |axis: usize| (shape.get(axis).copied().unwrap_or(0) * PIXELS_PER_LATENT) as f64;
            vec![side(1), side(2), 0.0, 0.0, side(1), side(2)]
        }
        Numbers::Guidance => vec![3.5],
    }
}
