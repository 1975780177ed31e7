//! What a conditional network is asked for: `--class`, `--context`, `--pooled`, `--time-ids`, and `--guidance` with
//! `--null-class`, `--null-context` and `--null-pooled`.

use super::Setting;
use super::concatenated;
use super::embeddings::{Assumed, context, numbers, pooled};
use crate::checkpoint::sha256_of;
use crate::error::{Error, Result};
use crate::guidance::{Asked, Given, Guidance, Source, no_labels};
use crate::network::{Network, Takes};
use lipscope_core::cli::args::{Class, Scales};
use lipscope_core::options::Overrides;
use std::path::PathBuf;
use tch::{Kind, Tensor};

/// What a network is asked for, and what was assumed for it.
pub struct Conditioned {
    /// The condition.
    pub asked: Asked,
    /// The guidance towards it.
    pub guidance: Option<Guidance>,
    /// What was assumed for it.
    pub assumed: Option<Assumed>,
}

/// The condition, and the guidance towards it, ready on the network's device and in its dtype.
pub fn condition(network: &dyn Network, setting: &Setting) -> Result<Conditioned> {
    let (options, device, kind) = (setting.overrides, setting.device, setting.kind);
    let takes = &network.takes();
    let label = class(takes, options.class, setting.labels)?;
    let context = context(takes, "--context", options.context.as_deref())?;
    let (numbers, assumed) = numbers(takes, options, setting.shape)?;
    let count = numbers.as_ref().map_or(0, |given| given.values.len() as i64);
    let pooled = pooled(takes, "--pooled", options.pooled.as_deref(), count)?;
    let beside = |path: &PathBuf| concatenated::beside(path, setting.shape, setting.rows);
    let beside = options.concat.as_ref().map(beside).transpose()?;
    let guidance = match options.guidance.as_ref().map(Scales::single).transpose()? {
        Some(scale) => {
            let Guidance { scale, without } = guidance(takes, options, scale, &numbers)?;
            Some(Guidance { scale, without: without.to(device, kind)? })
        }
        None => None,
    };
    let asked = Asked { label, context, pooled, numbers, beside }.to(device, kind)?;
    Ok(Conditioned { asked, guidance, assumed })
}

/// Refuses what a network cannot be asked for, as far as its configuration tells: before its weights are read.
pub fn check(takes: &Takes, options: &Overrides) -> Result<()> {
    match options.class {
        // Which classes the data has is known once it is read.
        Some(Class::WithData) if takes.class => {}
        asked => {
            class(takes, asked, None)?;
        }
    }
    context(takes, "--context", options.context.as_deref())?;
    // What is assumed of the numbers depends on the samples; how many there are does not.
    let (numbers, _) = numbers(takes, options, &[])?;
    let count = numbers.as_ref().map_or(0, |given| given.values.len() as i64);
    pooled(takes, "--pooled", options.pooled.as_deref(), count)?;
    let scale = options.guidance.as_ref().map(Scales::single).transpose()?;
    scale.map_or(Ok(()), |scale| guidance(takes, options, scale, &numbers).map(|_| ()))
}

/// What was asked for, for the report and the plan; `None` where nothing was. `labels` are the classes of the data: other
/// classes of the same samples are another plan.
pub fn in_words(asked: &Asked, guidance: Option<&Guidance>, labels: Option<&[i64]>) -> Option<String> {
    let part = |asked: &Asked| {
        let class = asked.label.map(|label| match label {
            Source::Same(label) => format!("class {label}"),
            Source::WithData => {
                let numbers: Vec<f64> = labels.unwrap_or_default().iter().map(|label| *label as f64).collect();
                format!("the class of each sample of the data, with SHA-256 {}", short(&sha256_of(&numbers)))
            }
        });
        let context = asked.context.as_ref().map(|context| fingerprint("embeddings", context));
        let pooled = asked.pooled.as_ref().map(|pooled| fingerprint("pooled embeddings", pooled));
        let numbers = asked.numbers.as_ref().map(Given::to_string);
        let beside = asked.beside.as_ref().map(|beside| match beside.source {
            Source::Same(()) => fingerprint("channels beside x", &beside.values),
            Source::WithData => fingerprint("channels beside x for each row of the data", &beside.values),
        });
        let words: Vec<String> = class.into_iter().chain(context).chain(pooled).chain(numbers).chain(beside).collect();
        (!words.is_empty()).then(|| words.join(", "))
    };
    let with = part(asked)?;
    let without = guidance.map(|guidance| (guidance.scale, part(&guidance.without).unwrap_or_default()));
    Some(without.map_or(with.clone(), |(scale, without)| format!("{with}; guidance {scale} over {without}")))
}

/// Shape and SHA-256 of embeddings, so that two reports can be told apart.
fn fingerprint(what: &str, embeddings: &Tensor) -> String {
    let numbers = Vec::<f64>::try_from(embeddings.to_kind(Kind::Double).flatten(0, -1)).unwrap_or_default();
    format!("{what} {:?} with SHA-256 {}", &embeddings.size()[1..], short(&sha256_of(&numbers)))
}

/// As much of a fingerprint as tells two apart.
fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

fn class(takes: &Takes, asked: Option<Class>, labels: Option<&[i64]>) -> Result<Option<Source<i64>>> {
    match asked {
        Some(_) if !takes.class => Err(takes_no_class(takes)),
        Some(Class::WithData) => drawn_class(takes, labels).map(Some),
        Some(Class::Same(class)) => same_class(takes, class).map(Some),
        None => missing_class(takes).map_or(Ok(None), Err),
    }
}

/// Classes of the data, which must be classes of the network.
fn drawn_class(takes: &Takes, labels: Option<&[i64]>) -> Result<Source<i64>> {
    let labels = labels.ok_or_else(no_labels)?;
    let count = takes.classes.unwrap_or(i64::MAX);
    match labels.iter().find(|label| !(0..count).contains(*label)) {
        None => Ok(Source::WithData),
        Some(other) => Err(Error::mismatch(
            format!("the data has the class {other}, and the network knows classes 0 … {}", count - 1),
            "Check that data and network belong together, or name one class with --class.",
        )),
    }
}

fn same_class(takes: &Takes, class: i64) -> Result<Source<i64>> {
    match takes.classes {
        Some(count) if !(0..count).contains(&class) => Err(Error::argument(
            "--class",
            class,
            format!("the network knows classes 0 … {}", count - 1),
            "Choose one of them.",
        )),
        _ => Ok(Source::Same(class)),
    }
}

fn takes_no_class(takes: &Takes) -> Error {
    Error::mismatch(
        format!("this {} takes no class", takes.architecture),
        "Leave out --class; a TorchScript module with such an input is named with --inputs x,t,class.",
    )
}

/// The refusal of a network that takes a class where none was named.
fn missing_class(takes: &Takes) -> Option<Error> {
    let missing = |count: i64| {
        Error::mismatch(
            format!("the network is conditional on {count} classes, and no class was named"),
            format!("Choose one with --class, from 0 to {}, or --class @ for the class of each sample.", count - 1),
        )
    };
    let named = || Error::mismatch("--inputs names a class, and none was given", "Choose one with --class.");
    takes.class.then(|| takes.classes.map_or_else(named, missing))
}

/// The condition ∅ has the numbers of the condition: they do not say what is in a picture.
fn guidance(takes: &Takes, options: &Overrides, scale: f64, numbers: &Option<Given>) -> Result<Guidance> {
    if !scale.is_finite() {
        let next = "Give w in (1 + w) ε(x, t, c) − w ε(x, t, ∅), such as 2.0.";
        return Err(Error::argument("--guidance", scale, "it is a finite number", next));
    }
    if !takes.class && !takes.context {
        let what = format!("this {} takes no condition", takes.architecture);
        return Err(Error::mismatch(what, "Guidance is for conditional networks; leave it out."));
    }
    let label = if takes.class { Some(null_class(takes, options)?) } else { None };
    let context = match (&options.null_context, takes.context) {
        (None, true) => {
            return Err(Error::mismatch(
                "guidance needs the embeddings that stand for no condition",
                "Give --null-context FILE, for text the embeddings of the empty prompt.",
            ));
        }
        (path, _) => context(takes, "--null-context", path.as_deref())?,
    };
    let count = numbers.as_ref().map_or(0, |given| given.values.len() as i64);
    let pooled = pooled(takes, "--null-pooled", options.null_pooled.as_deref(), count)?;
    // What lies beside x stays under ∅: it is taken from the condition.
    let (label, numbers) = (label.map(Source::Same), numbers.clone());
    Ok(Guidance { scale, without: Asked { label, context, pooled, numbers, beside: None } })
}

fn null_class(takes: &Takes, options: &Overrides) -> Result<i64> {
    let known = options.null_class.or(takes.null_label);
    let class = known.ok_or_else(|| {
        Error::mismatch(
            "guidance needs the label that stands for no class, and the checkpoint does not say which it is",
            "Give --null-class, often the last one.",
        )
    })?;
    let fits = takes.classes.is_none_or(|count| (0..count).contains(&class)) || Some(class) == takes.null_label;
    if fits {
        Ok(class)
    } else {
        Err(Error::argument("--null-class", class, "the network has no such label", "Choose another."))
    }
}
