//! Where the weights of a diffusers model lie: which folder of a pipeline, and which file of the folder.
//!
//! Trainers lay averages beside the model (`unet_ema/` beside `unet/`), hubs lay variants beside each other
//! (`diffusion_pytorch_model.non_ema.safetensors`), accelerate names its files `model.safetensors` or `pytorch_model.bin`.
//! What is chosen among them follows the rules of state dicts: averages are preferred, and `--weights` names one.

use crate::checkpoint::sets;
use crate::error::{Error, Result};
use crate::report::WeightsUsed;
use std::path::{Path, PathBuf};

/// Folders of a pipeline that may hold the network, averages first.
const PARTS: [[&str; 3]; 2] = [["unet_ema", "ema_unet", "unet"], ["transformer_ema", "ema_transformer", "transformer"]];

/// Names of weights before the variant and the ending, the preferred first: diffusers', accelerate's and transformers'.
const BASES: [&str; 3] = ["diffusion_pytorch_model", "model", "pytorch_model"];
/// Endings, the preferred first.
const ENDINGS: [&str; 2] = ["safetensors", "bin"];
/// Endings of a file of weights of any name.
const ANY_ENDING: [&str; 5] = ["safetensors", "bin", "pt", "pth", "ckpt"];
/// Words in the names of what trainers lay beside the weights.
const NO_WEIGHTS: [&str; 6] = ["optimizer", "scheduler", "random_states", "training_args", "scaler", "sampler"];
/// Variants with the same numbers in fewer bits.
const PRECISIONS: [&str; 6] = ["fp16", "bf16", "fp32", "float16", "bfloat16", "half"];

/// The folders with a config.json that `path` stands for: those of a pipeline, or the path itself.
pub(super) fn model_folders(path: &Path) -> Vec<PathBuf> {
    let has_config = |folder: &PathBuf| folder.join("config.json").is_file();
    let parts =
        PARTS.iter().map(|parts| parts.iter().map(|part| path.join(part)).filter(has_config).collect::<Vec<_>>());
    let own = std::iter::once(path.to_path_buf()).filter(has_config).collect();
    parts.chain([own]).find(|folders| !folders.is_empty()).unwrap_or_default()
}

/// Weights that may be meant.
pub(super) struct Candidate {
    /// As `--weights` takes it.
    pub label: String,
    /// The folder with the configuration.
    pub folder: PathBuf,
    /// The weights, or the index of the files that they are spread over.
    pub file: PathBuf,
    /// Whether they are averages over the training.
    pub average: bool,
    /// Whether they are others' numbers in fewer bits.
    rounded: bool,
    /// Whether the name has no variant.
    plain: bool,
}

/// All weights in these folders, the default first.
///
/// # Errors
/// There are none, or a file that is in doubt.
pub(super) fn candidates(folders: &[PathBuf]) -> Result<Vec<Candidate>> {
    let mut all = Vec::new();
    for folder in folders {
        all.extend(of_folder(folder, folders.len() > 1)?);
    }
    all.sort_by_key(|candidate| (!candidate.average, candidate.rounded, !candidate.plain));
    Ok(all)
}

/// The weights in this file alone.
pub(super) fn candidate(file: &Path) -> Candidate {
    let folder = file.parent().unwrap_or(Path::new(".")).to_path_buf();
    let variant = file.file_name().and_then(|name| parse(&name.to_string_lossy())).and_then(|name| name.variant);
    let of = |variant: &str| sets::is_average_name(variant);
    Candidate {
        label: variant.clone().unwrap_or_else(|| "plain".into()),
        average: variant.as_deref().is_some_and(of) || is_average_folder(&folder),
        folder,
        file: file.into(),
        rounded: false,
        plain: variant.is_none(),
    }
}

fn of_folder(folder: &Path, one_of_several: bool) -> Result<Vec<Candidate>> {
    let mut found: Vec<(Name, String)> =
        names(folder)?.into_iter().filter_map(|name| Some((parse(&name)?, name))).collect();
    found.sort();
    // One file for each variant: the first in the order of bases and endings.
    found.dedup_by(|later, first| later.0.variant == first.0.variant);
    if found.is_empty() {
        found.push((Name::default(), only_file(folder)?));
    }
    let raw = |variant: &str| is_raw(variant);
    let has_raw = found.iter().any(|(name, _)| name.variant.as_deref().is_some_and(raw));
    let average_folder = is_average_folder(folder);
    let part = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let candidate = |(name, file): (Name, String)| {
        let variant = name.variant.as_deref();
        let label = match (one_of_several, variant) {
            (false, None) => "plain".into(),
            (false, Some(variant)) => variant.to_string(),
            (true, None) => part.clone(),
            (true, Some(variant)) => format!("{part}.{variant}"),
        };
        // Where a variant says that it is no average, the others are averages.
        let average = match variant {
            Some(variant) if is_raw(variant) => false,
            Some(variant) => sets::is_average_name(variant) || has_raw || average_folder,
            None => has_raw || average_folder,
        };
        let rounded = variant.is_some_and(|variant| PRECISIONS.contains(&variant));
        let (folder, file) = (folder.to_path_buf(), folder.join(file));
        Candidate { label, folder, file, average, rounded, plain: variant.is_none() }
    };
    Ok(found.into_iter().map(candidate).collect())
}

/// Whether a variant is the model itself beside its averages, such as `non_ema`.
fn is_raw(variant: &str) -> bool {
    !sets::is_average_name(variant) && variant.to_lowercase().ends_with("ema")
}

fn is_average_folder(folder: &Path) -> bool {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    PARTS.iter().flatten().any(|part| *part == name) && sets::is_average_name(&name)
}

/// The parts of a file's name, in the order of preference.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    variant: Option<String>,
    base: usize,
    ending: usize,
    /// Whether it is a file of weights, and not an index of several.
    whole: bool,
}

fn parse(name: &str) -> Option<Name> {
    let (base, rest) =
        BASES.iter().enumerate().find_map(|(i, base)| Some((i, name.strip_prefix(base)?.strip_prefix('.')?)))?;
    let parts: Vec<&str> = rest.split('.').collect();
    let (ending, variant, whole) = match parts[..] {
        [ending] => (ending, None, true),
        [variant, ending] => (ending, Some(variant), true),
        [ending, "index", "json"] => (ending, None, false),
        [ending, "index", variant, "json"] => (ending, Some(variant), false),
        _ => return None,
    };
    let ending = ENDINGS.iter().position(|known| *known == ending)?;
    // A part of weights is no weights.
    let variant = variant.map(str::to_string);
    let is_shard = variant.as_ref().is_some_and(|variant| variant.contains("-of-"));
    (!is_shard).then_some(Name { variant, base, ending, whole })
}

/// Names of the files in a folder, sorted; hidden ones are left out.
fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |e: std::io::Error| Error::io(folder, "listing", &e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_file() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The only file in a folder that can hold weights.
fn only_file(folder: &Path) -> Result<String> {
    let can = |name: &&String| {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase()).unwrap_or_default();
        let lower = name.to_lowercase();
        ANY_ENDING.contains(&ending.as_str()) && !NO_WEIGHTS.iter().any(|word| lower.contains(word))
    };
    let all = names(folder)?;
    let found: Vec<&String> = all.iter().filter(can).collect();
    match found[..] {
        [one] => Ok(one.clone()),
        [] => {
            let bases: Vec<String> = BASES.iter().map(|base| format!("{base}.safetensors")).collect();
            let problem = format!("there are no weights beside config.json ({}, or .bin)", bases.join(", "));
            Err(Error::file(folder, problem, "Download or copy the weights too."))
        }
        [first, ..] => {
            let names: Vec<&str> = found.iter().take(8).map(|name| name.as_str()).collect();
            let problem = format!("which of its files holds the weights is open: {}", names.join(", "));
            Err(Error::file(
                folder,
                problem,
                format!("Give the file itself, such as {}.", folder.join(first).display()),
            ))
        }
    }
}

/// The candidate that `asked` names, and whether the question is answered by it; without a question the first.
pub(super) fn choose<'a>(all: &'a [Candidate], asked: Option<&str>) -> Option<(&'a Candidate, bool)> {
    let first = all.first()?;
    let Some(asked) = asked else { return Some((first, true)) };
    let average = |wanted: bool| all.iter().find(|candidate| candidate.average == wanted);
    let named = all.iter().find(|candidate| candidate.label == asked);
    let found = named.or_else(|| match asked {
        "ema" => average(true),
        "raw" | "model" if all.len() > 1 => average(false),
        _ => None,
    });
    Some(found.map_or((first, false), |candidate| (candidate, true)))
}

/// Which weights are used; `None` where there are no others and the name says nothing.
pub(super) fn used(all: &[Candidate], chosen: &Candidate) -> Option<WeightsUsed> {
    let has_plain = all.iter().any(|candidate| candidate.plain && candidate.average == chosen.average);
    let differ = |candidate: &&Candidate| candidate.label == chosen.label || !(candidate.rounded && has_plain);
    let names: Vec<String> = all.iter().filter(differ).map(|candidate| candidate.label.clone()).collect();
    let only = || WeightsUsed { name: chosen.label.clone(), all: vec![chosen.label.clone()] };
    sets::used(&names, &chosen.label).or_else(|| (!chosen.plain).then(only))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(files: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), r#"{"weight_map": {"a": "x.safetensors"}}"#).unwrap();
        }
        let describe =
            |all: Vec<Candidate>| all.into_iter().map(|c| format!("{}{}", c.label, if c.average { "*" } else { "" }));
        match candidates(&[folder.path().to_path_buf()]) {
            Ok(all) => describe(all).collect(),
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn every_writers_names_are_known() {
        for name in [
            "diffusion_pytorch_model.safetensors",
            "diffusion_pytorch_model.bin",
            "diffusion_pytorch_model.safetensors.index.json",
            "model.safetensors",
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
        ] {
            assert_eq!(parse(name).unwrap().variant, None, "{name}");
        }
        for (name, variant) in [
            ("diffusion_pytorch_model.fp16.safetensors", "fp16"),
            ("diffusion_pytorch_model.non_ema.bin", "non_ema"),
            ("diffusion_pytorch_model.safetensors.index.bf16.json", "bf16"),
        ] {
            assert_eq!(parse(name).unwrap().variant.as_deref(), Some(variant), "{name}");
        }
        for name in [
            "diffusion_pytorch_model-00001-of-00002.safetensors",
            "diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
            "optimizer.bin",
            "model.onnx",
            "diffusion_flax_model.msgpack",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn averages_come_first_and_half_precision_last() {
        let (plain, fp16) = ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.fp16.bin");
        let (raw, ema) = ("diffusion_pytorch_model.non_ema.bin", "diffusion_pytorch_model.ema.safetensors");
        assert_eq!(labels(&[plain, fp16]), ["plain", "fp16"]);
        assert_eq!(labels(&[raw, fp16]), ["fp16*", "non_ema"]);
        assert_eq!(labels(&[raw, plain]), ["plain*", "non_ema"]);
        assert_eq!(labels(&[plain, ema]), ["ema*", "plain"]);
        assert_eq!(labels(&["weights.pt", "optimizer.pt"]), ["plain"]);
        assert!(labels(&["a.pt", "b.pt"])[0].contains("is open: a.pt, b.pt"));
        assert!(labels(&["optimizer.bin"])[0].contains("there are no weights beside config.json"));
    }

    #[test]
    fn a_question_is_answered_by_what_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let folders: Vec<PathBuf> = ["unet", "unet_ema"].iter().map(|part| folder.path().join(part)).collect();
        for folder in &folders {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("config.json"), "{}").unwrap();
            std::fs::write(folder.join("model.safetensors"), "").unwrap();
        }
        let found = model_folders(folder.path());
        assert_eq!(found.len(), 2);
        let all = candidates(&found).unwrap();
        let chosen = |asked| choose(&all, asked).map(|(candidate, answered)| (candidate.label.as_str(), answered));
        assert_eq!(chosen(None), Some(("unet_ema", true)));
        assert_eq!(chosen(Some("ema")), Some(("unet_ema", true)));
        assert_eq!(chosen(Some("raw")), Some(("unet", true)));
        assert_eq!(chosen(Some("unet")), Some(("unet", true)));
        assert_eq!(chosen(Some("swa")), Some(("unet_ema", false)));
        let used = used(&all, &all[0]).unwrap();
        assert_eq!((used.name.as_str(), used.all.join(", ")), ("unet_ema", "unet_ema, unet".into()));
    }
}
