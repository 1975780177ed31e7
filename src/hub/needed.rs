//! Which of a repository's files a model is made of: configuration, scheduler and one set of weights, in whatever form is
//! opened fastest.

/// Folders of the networks of a pipeline; text encoders and autoencoders are not measured.
const PARTS: [&str; 2] = ["unet", "transformer"];

/// What is read besides weights, where it is there.
const BESIDE: [&str; 6] = [
    "config.json",
    "lipscope.json",
    "model_index.json",
    "scheduler_config.json",
    "scheduler/scheduler_config.json",
    "train_config.json",
];

/// Forms of weights, the preferred first.
const FORMS: [&str; 6] = ["safetensors", "bin", "pt", "pth", "ckpt", "pkl"];

/// What no model is made of, though it ends like one.
const OTHER: [&str; 5] = ["optimizer", "scheduler", "training_args", "random_states", "rng_state"];

/// The files of a model.
#[derive(Debug, PartialEq)]
pub(super) struct Needed {
    /// Paths within the repository.
    pub files: Vec<String>,
    /// What of it is opened: a folder (`""` for all of it) or a file.
    pub opened: String,
}

/// The files that the model `inside` a repository needs; `None` where there is none, or its weights are not complete.
pub(super) fn needed(all: &[String], inside: &str) -> Option<Needed> {
    let at = |folder: &str, name: &str| if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") };
    let beside =
        |folder: &str| BESIDE.iter().map(|name| at(folder, name)).filter(|path| all.contains(path)).collect::<Vec<_>>();
    if all.iter().any(|path| path == inside) {
        let folder = inside.rsplit_once('/').map_or("", |(folder, _)| folder);
        return Some(Needed { files: [beside(folder), vec![inside.into()]].concat(), opened: inside.into() });
    }
    let parts = PARTS.iter().map(|part| at(inside, part)).filter(|part| all.contains(&at(part, "config.json")));
    let mut files = Vec::new();
    for part in parts {
        files.push(at(&part, "config.json"));
        files.extend(weights(all, &part)?);
    }
    let own = beside(inside);
    if !files.is_empty() {
        return Some(Needed { files: [own, files].concat(), opened: inside.into() });
    }
    let weights = weights(all, inside)?;
    let is_model = own.contains(&at(inside, "config.json"));
    // Without a configuration it is the file that is a model, and not its folder.
    let opened = if is_model || weights.len() > 1 { inside.into() } else { weights[0].clone() };
    Some(Needed { files: [own, weights].concat(), opened })
}

/// One set of weights in a folder, with the index of its parts.
fn weights(all: &[String], folder: &str) -> Option<Vec<String>> {
    let here: Vec<(&String, &str)> = all.iter().filter_map(|path| Some((path, within(path, folder)?))).collect();
    let sets = here.iter().filter_map(|(_, name)| set(name));
    let best = sets.min_by_key(|(stem, form)| {
        (stem.contains('.'), FORMS.iter().position(|known| known == form), preference(stem), stem.to_string())
    })?;
    let parts: Vec<String> =
        here.iter().filter(|(_, name)| set(name) == Some(best)).map(|(path, _)| path.to_string()).collect();
    let wanted = parts.iter().find_map(|path| count(path)).unwrap_or(1);
    let index = here
        .iter()
        .filter(|(_, name)| name.contains(".index.") && name.ends_with(".json"))
        .map(|(path, _)| path.to_string());
    (parts.len() == wanted).then(|| if wanted > 1 { parts.into_iter().chain(index).collect() } else { parts })
}

/// The name of a file of this folder, not of one below.
fn within<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let name = if folder.is_empty() { path } else { path.strip_prefix(folder)?.strip_prefix('/')? };
    Some(name).filter(|name| !name.contains('/'))
}

/// `("model", "safetensors")` of `model-00001-of-00002.safetensors`.
fn set(name: &str) -> Option<(&str, &str)> {
    let (stem, form) = name.rsplit_once('.')?;
    let known = FORMS.contains(&form) && !OTHER.iter().any(|other| stem.starts_with(other));
    let stem = match stem.rsplit_once("-of-").and_then(|(start, _)| start.rsplit_once('-')) {
        Some((stem, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => stem,
    };
    known.then_some((stem, form))
}

/// How many parts a set has, by the name of one.
fn count(path: &str) -> Option<usize> {
    path.rsplit_once('.')?.0.rsplit_once("-of-")?.1.parse().ok()
}

/// The usual names first.
fn preference(stem: &str) -> usize {
    ["diffusion_pytorch_model", "model", "pytorch_model"].iter().position(|known| *known == stem).unwrap_or(9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str], inside: &str) -> Option<Needed> {
        needed(&files.iter().map(|file| file.to_string()).collect::<Vec<_>>(), inside)
    }

    #[test]
    fn a_pipeline_needs_its_network_and_scheduler_once() {
        let files = [
            "README.md",
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/model.safetensors",
            "unet/config.json",
            "unet/diffusion_pytorch_model.bin",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "unet/diffusion_pytorch_model.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
            "v1-5.ckpt",
        ];
        let found = of(&files, "").unwrap();
        assert_eq!(found.opened, "");
        let wanted = [
            "model_index.json",
            "scheduler/scheduler_config.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
        ];
        assert_eq!(found.files, wanted);
        assert_eq!(of(&files, "unet").unwrap().files, [files[4], files[7]]);
        assert_eq!(
            of(&files, "v1-5.ckpt").unwrap(),
            Needed {
                files: vec!["model_index.json".into(), "scheduler/scheduler_config.json".into(), "v1-5.ckpt".into()],
                opened: "v1-5.ckpt".into()
            }
        );
    }

    #[test]
    fn parts_come_whole_or_not_at_all() {
        let parts =
            ["config.json", "m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors", "m.safetensors.index.json"];
        assert_eq!(of(&parts, "").unwrap().files.len(), 4);
        assert_eq!(of(&[parts[0], parts[1], parts[3]], ""), None);
        assert_eq!(of(&["config.json", "README.md", "optimizer.pt"], ""), None);
        assert_eq!(of(&["README.md", "edm.pkl"], "").unwrap().opened, "edm.pkl");
    }
}
