//! Averages of weights over the training, by the names that the field gives them.
//!
//! `ema`, `model_ema`, `ema_state_dict`, `unet_avg` and the like are known by their words. Others by what lies beside them:
//! PyTorch's `AveragedModel` (`n_averaged` and `module.`), Lightning's `WeightAveraging`, which saves averages in the place
//! of the model (`state_dict`) and the model as `current_model_state`. Two kinds keep no names: latent-diffusion's `LitEma`,
//! which leaves out their dots, and the lists `shadow_params` of diffusers' `EMAModel` and of torch_ema.

use super::{Names, Set};
use std::collections::BTreeMap;

const WORDS: [&str; 10] =
    ["ema", "emas", "avg", "average", "averages", "averaged", "averaging", "swa", "shadow", "polyak"];
const NEGATIONS: [&str; 4] = ["non", "no", "not", "without"];

/// latent-diffusion keeps averages beside the model under names without dots.
const LIT_EMA: &str = "model_ema.";
const LIT_MODEL: &str = "model.";
/// The list of diffusers' `EMAModel` and of torch_ema.
pub(in super::super) const LIST: &str = "shadow_params";
/// Parameters without gradients and buffers, which torch_ema, score_sde and SEDD leave out of their lists.
const FIXED: [&str; 4] = ["pos_embed", "sigmas", "all_modules.0.W", "rotary_emb.inv_freq"];

/// Whether a part of a name says that something is an average: `EMA`, `model_ema`, `emaModel`; not `non_ema`.
pub(in super::super) fn is_average_name(part: &str) -> bool {
    let words = words(part);
    let is_word = |i: usize| words.get(i).is_some_and(|word| WORDS.contains(&word.as_str()));
    let negated = |i: usize| i > 0 && words.get(i - 1).is_some_and(|word| NEGATIONS.contains(&word.as_str()));
    (0..words.len()).any(|i| is_word(i) && !negated(i))
}

/// Words in lower case, where a part changes from small to capital letters or has something between letters.
fn words(part: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for c in part.chars() {
        let begins = !c.is_alphabetic() || (c.is_uppercase() && after_small);
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphabetic()) {
            word.extend(c.to_lowercase());
        }
        after_small = c.is_lowercase();
    }
    words
}

/// Whether the weights below `prefix` are averages.
pub(super) fn is_average(names: &Names, prefix: &str) -> bool {
    let parts: Vec<&str> = prefix.split('.').filter(|part| !part.is_empty()).collect();
    // ema-pytorch keeps the model itself beside its averages.
    if parts.contains(&"online_model") {
        return false;
    }
    let averaged_model = parts.iter().enumerate().filter(|(_, part)| **part == "module").any(|(i, _)| {
        let outer: String = parts.iter().take(i).map(|part| format!("{part}.")).collect();
        names.has(&format!("{outer}n_averaged"))
    });
    let weight_averaging = parts.first() == Some(&"state_dict") && names.any_below("current_model_state.");
    averaged_model || weight_averaging || parts.iter().any(|part| is_average_name(part))
}

/// Averages of the parameters `own` below `prefix` that are kept without their names.
pub(super) fn without_names(names: &Names, prefix: &str, own: &BTreeMap<String, String>) -> Vec<Set> {
    let mut sets: Vec<Set> = lit_ema(names, prefix, own).into_iter().collect();
    if !is_average(names, prefix) {
        sets.extend(lists(names, own));
    }
    sets
}

fn lit_ema(names: &Names, prefix: &str, own: &BTreeMap<String, String>) -> Option<Set> {
    let mut places = prefix.match_indices(LIT_MODEL).map(|(at, _)| at);
    let at = places.find(|at| *at == 0 || prefix.get(..*at).is_some_and(|outer| outer.ends_with('.')))?;
    let (outer, inner) = (prefix.get(..at)?, prefix.get(at + LIT_MODEL.len()..)?);
    let average = |own: &str| format!("{outer}{LIT_EMA}{}", format!("{inner}{own}").replace('.', ""));
    let found: Option<BTreeMap<String, String>> =
        own.values().map(|own| Some(average(own)).filter(|name| names.has(name)).map(|n| (n, own.clone()))).collect();
    Some(names.set(format!("{outer}{LIT_EMA}"), found?, true))
}

/// `shadow_params.0`, `.1`, …: the parameters in the model's order.
fn lists(names: &Names, own: &BTreeMap<String, String>) -> Vec<Set> {
    let first = format!("{LIST}.0");
    let places = names.order.iter().filter_map(|name| name.strip_suffix(first.as_str()));
    let places = places.filter(|outer| outer.is_empty() || outer.ends_with('.'));
    let ordered: Vec<&str> = names.order.iter().copied().filter(|name| own.contains_key(*name)).collect();
    let is_fixed = |name: &&str| own.get(*name).is_some_and(|own| FIXED.contains(&own.as_str()));
    let learned: Vec<&str> = ordered.iter().copied().filter(|name| !is_fixed(name)).collect();
    let mut sets = Vec::new();
    for outer in places {
        let prefix = format!("{outer}{LIST}.");
        let list: Vec<String> = (0..).map(|i| format!("{prefix}{i}")).take_while(|name| names.has(name)).collect();
        let shape = |name: &str| names.shapes.get(name);
        let fits = |model: &[&str]| {
            model.len() == list.len() && model.iter().zip(&list).all(|(one, other)| shape(one) == shape(other))
        };
        let Some(model) = [&ordered, &learned].into_iter().find(|model| fits(model)) else { continue };
        let pairs = list.iter().zip(model).filter_map(|(name, of)| Some((name.clone(), own.get(*of)?.clone())));
        let mut pairs: BTreeMap<String, String> = pairs.collect();
        // What is never learned is its own average.
        let kept = ordered.iter().filter(|name| !model.contains(name));
        pairs.extend(kept.filter_map(|name| Some((name.to_string(), own.get(*name)?.clone()))));
        sets.push(names.set(prefix, pairs, true));
    }
    sets
}
