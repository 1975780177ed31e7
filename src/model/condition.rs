//! What a conditional network is asked for: `--class`, `--context`, `--pooled`, `--time-ids`, and `--guidance` with
//! `--null-class`, `--null-context` and `--null-pooled`.

use super::Setting;
use super::embeddings::{Assumed, context, numbers, pooled};
use crate::checkpoint::sha256_of;
use crate::error::{Error, Result};
use crate::guidance::{Asked, Given, Guidance, Source, no_labels};
use crate::network::Network;
use lipscope_core::cli::args::Class;
use lipscope_core::options::Overrides;
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
    let label = class(network, options.class, setting.labels)?;
    let context = context(network, "--context", options.context.as_deref())?;
    let (numbers, assumed) = numbers(network, options, setting.shape)?;
    let count = numbers.as_ref().map_or(0, |given| given.values.len() as i64);
    let pooled = pooled(network, "--pooled", options.pooled.as_deref(), count)?;
    let guidance = match options.guidance {
        Some(scale) => {
            let Guidance { scale, without } = guidance(network, options, scale, &numbers)?;
            Some(Guidance { scale, without: without.to(device, kind)? })
        }
        None => None,
    };
    let asked = Asked { label, context, pooled, numbers }.to(device, kind)?;
    Ok(Conditioned { asked, guidance, assumed })
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
        let words: Vec<String> = class.into_iter().chain(context).chain(pooled).chain(numbers).collect();
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

fn class(network: &dyn Network, asked: Option<Class>, labels: Option<&[i64]>) -> Result<Option<Source<i64>>> {
    match asked {
        Some(Class::WithData) if network.takes_class() => drawn_class(network, labels).map(Some),
        Some(Class::Same(class)) => Ok(same_class(network, Some(class))?.map(Source::Same)),
        // A network that takes none says so, whatever was named.
        Some(Class::WithData) => Ok(same_class(network, Some(0))?.map(Source::Same)),
        None => Ok(same_class(network, None)?.map(Source::Same)),
    }
}

/// Classes of the data, which must be classes of the network.
fn drawn_class(network: &dyn Network, labels: Option<&[i64]>) -> Result<Source<i64>> {
    let labels = labels.ok_or_else(no_labels)?;
    let count = network.classes().unwrap_or(i64::MAX);
    match labels.iter().find(|label| !(0..count).contains(*label)) {
        None => Ok(Source::WithData),
        Some(other) => Err(Error::mismatch(
            format!("the data has the class {other}, and the network knows classes 0 … {}", count - 1),
            "Check that data and network belong together, or name one class with --class.",
        )),
    }
}

fn same_class(network: &dyn Network, asked: Option<i64>) -> Result<Option<i64>> {
    match (network.classes(), asked) {
        (Some(count), Some(class)) if !(0..count).contains(&class) => Err(Error::argument(
            "--class",
            class,
            format!("the network knows classes 0 … {}", count - 1),
            "Choose one of them.",
        )),
        (Some(count), None) => Err(Error::mismatch(
            format!("the network is conditional on {count} classes, and no class was named"),
            format!("Choose one with --class, from 0 to {}, or --class @ for the class of each sample.", count - 1),
        )),
        (None, Some(_)) if !network.takes_class() => Err(Error::mismatch(
            format!("this {} takes no class", network.architecture()),
            "Leave out --class; a TorchScript module with such an input is named with --inputs x,t,class.",
        )),
        (None, None) if network.takes_class() => {
            Err(Error::mismatch("--inputs names a class, and none was given", "Choose one with --class."))
        }
        _ => Ok(asked),
    }
}

/// The condition ∅ has the numbers of the condition: they do not say what is in a picture.
fn guidance(network: &dyn Network, options: &Overrides, scale: f64, numbers: &Option<Given>) -> Result<Guidance> {
    if !scale.is_finite() {
        let next = "Give w in (1 + w) ε(x, t, c) − w ε(x, t, ∅), such as 2.0.";
        return Err(Error::argument("--guidance", scale, "it is a finite number", next));
    }
    if !network.takes_class() && !network.takes_context() {
        let what = format!("this {} takes no condition", network.architecture());
        return Err(Error::mismatch(what, "Guidance is for conditional networks; leave it out."));
    }
    let label = if network.takes_class() { Some(null_class(network, options)?) } else { None };
    let context = match (&options.null_context, network.takes_context()) {
        (None, true) => {
            return Err(Error::mismatch(
                "guidance needs the embeddings that stand for no condition",
                "Give --null-context FILE, for text the embeddings of the empty prompt.",
            ));
        }
        (path, _) => context(network, "--null-context", path.as_deref())?,
    };
    let count = numbers.as_ref().map_or(0, |given| given.values.len() as i64);
    let pooled = pooled(network, "--null-pooled", options.null_pooled.as_deref(), count)?;
    Ok(Guidance { scale, without: Asked { label: label.map(Source::Same), context, pooled, numbers: numbers.clone() } })
}

fn null_class(network: &dyn Network, options: &Overrides) -> Result<i64> {
    let known = options.null_class.or(network.null_label());
    let class = known.ok_or_else(|| {
        Error::mismatch(
            "guidance needs the label that stands for no class, and the checkpoint does not say which it is",
            "Give --null-class, often the last one.",
        )
    })?;
    let fits = network.classes().is_none_or(|count| (0..count).contains(&class)) || Some(class) == network.null_label();
    if fits {
        Ok(class)
    } else {
        Err(Error::argument("--null-class", class, "the network has no such label", "Choose another."))
    }
}
