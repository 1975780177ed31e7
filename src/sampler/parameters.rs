//! `NAME[:key=value,…]`, as `--sampler` takes it.

use super::{MEMBERS, Member, Sampler};
use crate::error::{Error, Result};
use lipscope_core::cli::args::Clip;
use std::collections::BTreeMap;

/// The parameters of one sampler, defaults filled in.
#[derive(Debug, Clone)]
pub struct Parameters {
    values: BTreeMap<String, String>,
}

impl Parameters {
    fn new(member: &Member, text: &str, whole: &str) -> Result<Self> {
        let default = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        let mut values: BTreeMap<String, String> = member.parameters.iter().map(default).collect();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !values.contains_key(key) || value.is_empty() {
                let keys: Vec<&str> = member.parameters.iter().map(|(key, _)| *key).collect();
                let keys = if keys.is_empty() { "no parameters".into() } else { keys.join(", ") + " as key=value" };
                let allowed = format!("`{}` takes {keys}", member.name);
                return Err(Error::argument("--sampler", whole, allowed, format!("Change `{pair}`.")));
            }
            values.insert(key.into(), value.into());
        }
        Ok(Parameters { values })
    }

    /// The value as it was typed.
    pub fn text(&self, key: &str) -> &str {
        self.values.get(key).map(String::as_str).unwrap_or_default()
    }

    /// A number.
    pub fn number(&self, key: &str) -> Result<f64> {
        let text = self.text(key);
        text.parse().map_err(|_| {
            let name = format!("the sampler's {key}");
            Error::argument(&name, text, "it is a number", format!("Give {key} as a number such as 0.5."))
        })
    }
}

/// Builds the sampler that `text` names, such as `ddim`, `ddim:eta=0.5` or `dpm-solver-3`.
///
/// # Errors
///
/// There is no such sampler, or it has no such parameter.
pub fn parse(text: &str) -> Result<Box<dyn Sampler>> {
    let (name, parameters) = text.split_once(':').unwrap_or((text, ""));
    let Some(member) = MEMBERS.iter().find(|member| member.name == name) else {
        let names: Vec<&str> = MEMBERS.iter().map(|member| member.name).collect();
        return Err(Error::argument(
            "--sampler",
            text,
            format!("it is one of {}", names.join(", ")),
            "Choose one of them, with its parameters as NAME:key=value,….",
        ));
    };
    (member.build)(&Parameters::new(member, parameters, text)?)
}

/// x̂₀'s bound; `auto` is the model's own where the sampler clips by default.
pub fn clip(asked: Clip, own: Option<f64>, sampler: &dyn Sampler) -> Option<f64> {
    match asked {
        Clip::Auto => own.filter(|_| sampler.clips_by_default()),
        Clip::None => None,
        Clip::At(clip) => Some(clip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::spacing;
    use lipscope_core::cli::args;

    /// Arguments are checked, and help is written, without the samplers.
    #[test]
    fn the_arguments_name_every_sampler_and_spacing() {
        let known = |names: &args::Names| names.iter().map(|(name, _)| *name).collect::<Vec<&str>>();
        assert_eq!(known(args::SAMPLERS), MEMBERS.iter().map(|member| member.name).collect::<Vec<&str>>());
        for ((_, typed), member) in args::SAMPLERS.iter().zip(MEMBERS) {
            let keys = typed.split(',').filter_map(|pair| pair.split_once('=')).map(|(key, _)| key);
            assert_eq!(
                keys.collect::<Vec<&str>>(),
                member.parameters.iter().map(|(key, _)| *key).collect::<Vec<&str>>()
            );
        }
        let spacings = spacing::MEMBERS.iter().map(|member| (member.name, member.argument));
        assert_eq!(args::SPACINGS, spacings.collect::<Vec<_>>());
    }
}
