//! What a conditional network is asked for: `--class`, `--context`, `--pooled`, `--time-ids`, and `--guidance` with
//! `--null-class`, `--null-context` and `--null-pooled`.

use super::Setting;
use super::concatenated;
use super::embeddings::{Assumed, context, numbers, pooled};
use super::rows::{self, DataRows, RowCount};
use crate::checkpoint::sha256_of;
use crate::error::{Error, Result};
use crate::guidance::{Asked, Given, Guidance, Source, no_labels};
use crate::input::{Input, Values};
use crate::network::{Network, Takes};
use crate::tensor_file::one_sample;
use lipscope_core::cli::args::{Average, Class, ConditionSource, ModuleInput, NullInput, Scales};
use lipscope_core::clock::Clock;
use lipscope_core::options::Overrides;
use std::path::PathBuf;
use tch::Kind;

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
    let Setting { overrides, device, kind, data, .. } = *setting;
    let takes = &network.takes();
    let label = class(takes, overrides.class, setting.labels)?;
    let context = context(takes, "--context", overrides.context.as_ref(), data)?;
    let (numbers, assumed) = numbers(takes, overrides, setting.shape)?;
    let pooled = pooled(takes, "--pooled", overrides.pooled.as_ref(), &numbers, data)?;
    let beside =
        overrides.concat.as_ref().map(|source| concatenated::beside(source, setting.shape, data)).transpose()?;
    let inputs = inputs(takes, overrides.average.as_ref(), setting.shape, data)?;
    let guidance = match overrides.guidance.as_ref().map(Scales::single).transpose()? {
        Some(scale) => Some(guidance(takes, overrides, scale, &numbers)?.to(device, kind)?),
        None => None,
    };
    let clock = clock(takes, overrides)?;
    let asked = Asked { label, context, pooled, numbers, beside, inputs, clock, apart: false }.to(device, kind)?;
    Ok(Conditioned { asked, guidance, assumed })
}

/// Refuses what a network cannot be asked for, as far as its configuration tells: before its weights are read.
pub fn check(takes: &Takes, options: &Overrides, limit: Option<usize>) -> Result<()> {
    let data = DataRows { count: RowCount::Unread, limit };
    match options.class {
        // Which classes the data has is known once it is read.
        Some(Class::WithData) if takes.class => {}
        asked => {
            class(takes, asked, None)?;
        }
    }
    context(takes, "--context", options.context.as_ref(), data)?;
    // What is assumed of the numbers depends on the samples; how many there are does not.
    let (numbers, _) = numbers(takes, options, &[])?;
    pooled(takes, "--pooled", options.pooled.as_ref(), &numbers, data)?;
    inputs(takes, options.average.as_ref(), &[], data)?;
    clock(takes, options)?;
    let scale = options.guidance.as_ref().map(Scales::single).transpose()?;
    scale.map_or(Ok(()), |scale| guidance(takes, options, scale, &numbers).map(|_| ()))
}

/// The arguments of time, and which of them move.
fn clock(takes: &Takes, options: &Overrides) -> Result<Clock> {
    Clock::new(&takes.architecture, &takes.times, options.moves.as_ref())
}

/// Those of a module's inputs that are not the same for every sample; `shape` is that of a sample.
fn inputs(takes: &Takes, average: Option<&Average>, shape: &[i64], data: DataRows) -> Result<Vec<Input>> {
    let is_random = |average: &Average| {
        takes.inputs.iter().any(|input| matches!(input, ModuleInput::Normal(name, _) if *name == average.name))
    };
    if let Some(average) = average.filter(|average| !is_random(average)) {
        return Err(Error::argument(
            "--average",
            format!("{}={}", average.name, average.draws),
            "it names a random input of --inputs",
            "Such as --inputs x,t,eta=normal --average eta=16.",
        ));
    }
    let input = |input: &ModuleInput| match input {
        ModuleInput::Values(name, source) => {
            Ok(Some(Input { name: format!("`{name}`"), values: rows::values(name, source, data)? }))
        }
        ModuleInput::Normal(name, own) => {
            let shape = own.clone().unwrap_or_else(|| shape.to_vec());
            let draws = average.filter(|average| average.name == *name).map_or(1, |average| average.draws);
            Ok(Some(Input { name: format!("`{name}`"), values: Values::Normal { shape, draws } }))
        }
        _ => Ok(None),
    };
    takes.inputs.iter().filter_map(|drawn| input(drawn).transpose()).collect()
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
        let context = asked.context.as_ref().map(fingerprint);
        let pooled = asked.pooled.as_ref().map(fingerprint);
        let numbers = asked.numbers.as_ref().map(Given::to_string);
        let beside = asked.beside.as_ref().map(fingerprint);
        let others = asked.inputs.iter().map(fingerprint);
        let named = class.into_iter().chain(context).chain(pooled).chain(numbers).chain(beside);
        let words: Vec<String> = named.chain(others).collect();
        (!words.is_empty()).then(|| words.join(", "))
    };
    let with = part(asked)?;
    let null = |guidance: &Guidance| {
        let named = guidance.inputs.iter().map(|(_, input)| fingerprint(input));
        part(&guidance.without).into_iter().chain(named).collect::<Vec<String>>().join(", ")
    };
    let without = guidance.map(|guidance| (guidance.scale, null(guidance)));
    Some(without.map_or(with.clone(), |(scale, without)| format!("{with}; guidance {scale} over {without}")))
}

/// What it is, with shape and SHA-256 of its values, so that two reports can be told apart.
fn fingerprint(input: &Input) -> String {
    let what = &input.name;
    let (each, values) = match &input.values {
        Values::Same(values) => ("", values),
        Values::WithData(values) => (" for each row of the data", values),
        Values::Normal { shape, draws: 1 } => return format!("{what} {shape:?} normal, drawn for each sample"),
        Values::Normal { shape, draws } => {
            return format!("{what} {shape:?} normal, drawn {draws} times for each sample and averaged over");
        }
    };
    let numbers = Vec::<f64>::try_from(values.to_kind(Kind::Double).flatten(0, -1)).unwrap_or_default();
    format!("{what}{each} {:?} with SHA-256 {}", input.shape(), short(&sha256_of(&numbers)))
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
    let inputs = null_inputs(takes, &options.null)?;
    if !takes.class && !takes.context && inputs.is_empty() {
        let what = format!("this {} takes no condition", takes.architecture);
        let next = "Guidance is for conditional networks; leave it out. Where --inputs names one, say with --null NAME=FILE what \
                    stands for its absence.";
        return Err(Error::mismatch(what, next));
    }
    let label = if takes.class { Some(null_class(takes, options)?) } else { None };
    let same = |path: &PathBuf| ConditionSource::Same(path.clone());
    let (data, null_context) = (DataRows::default(), options.null_context.as_ref().map(same));
    let context = match (&null_context, takes.context) {
        (None, true) => {
            return Err(Error::mismatch(
                "guidance needs the embeddings that stand for no condition",
                "Give --null-context FILE, for text the embeddings of the empty prompt.",
            ));
        }
        (source, _) => context(takes, "--null-context", source.as_ref(), data)?,
    };
    let pooled = pooled(takes, "--null-pooled", options.null_pooled.as_ref().map(same).as_ref(), numbers, data)?;
    // What lies beside x stays under ∅: it is taken from the condition.
    let (label, numbers) = (label.map(Source::Same), numbers.clone());
    Ok(Guidance { scale, without: Asked { label, context, pooled, numbers, ..Asked::default() }, inputs })
}

/// What stands for no condition in a module's own inputs, by their place among those that are not the same for every sample.
fn null_inputs(takes: &Takes, nulls: &[NullInput]) -> Result<Vec<(usize, Input)>> {
    let name = |input: &ModuleInput| match input {
        ModuleInput::Values(name, _) => Some(name.clone()),
        _ => None,
    };
    let named: Vec<Option<String>> = takes.inputs.iter().map(name).collect();
    let names: Vec<&str> = named.iter().flatten().map(String::as_str).collect();
    let place = |null: &NullInput| match named.iter().position(|name| name.as_ref() == Some(&null.name)) {
        Some(place) => Ok((place, Input::same(&format!("`{}`", null.name), one_sample(&null.path)?))),
        None => Err(Error::argument(
            "--null",
            format!("{}={}", null.name, null.path.display()),
            format!("it names an input that --inputs draws with the data ({})", names.join(", ")),
            "Such as --inputs x,t,y=@features --null y=null.npy.",
        )),
    };
    nulls.iter().map(place).collect()
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
