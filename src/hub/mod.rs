//! Models of the Hugging Face Hub by their ids, `org/name[@revision][/subfolder]`: from the cache that Python's
//! huggingface_hub keeps too, or by [`fetch`] from the Hub.
//!
//! The environment says what it says to Python: `HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`.

mod cached;
mod client;
mod needed;

pub use client::{Progress, fetch};

use crate::error::{Error, Result};
use hf_hub::{Cache, Repo, RepoType};
use std::borrow::Cow;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

/// A model of the Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubId {
    /// `org/name`.
    pub repo: String,
    /// Branch, tag or commit; `main` where none is given.
    pub revision: String,
    /// A folder or a file of it; empty for all of it.
    pub inside: String,
}

/// What a file that exists only here ends in: a path with it, which is missing, is no id.
const OF_FILES: [&str; 12] =
    ["pt", "pth", "ckpt", "pkl", "bin", "safetensors", "npy", "npz", "json", "yaml", "zip", "tar"];

impl HubId {
    /// The id that `text` is, if it is one: what lies here under this name is none, nor what looks like a path.
    pub fn of(text: &str) -> Option<Self> {
        let id = Self::parse(text)?;
        let org = id.repo.split('/').next().unwrap_or_default();
        (!Path::new(text).exists() && !Path::new(org).exists()).then_some(id)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split('/');
        let (org, name) = (words.next()?, words.next()?);
        let inside = words.collect::<Vec<_>>().join("/");
        let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
        let plain = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_alphanumeric())
                && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let file = Path::new(name).extension().is_some_and(|e| OF_FILES.iter().any(|known| e == *known));
        let sound = [org, name, revision].into_iter().all(plain) && !(file && inside.is_empty());
        let sound = sound && inside.split('/').all(|word| inside.is_empty() || !matches!(word, "" | "." | ".."));
        sound.then(|| HubId { repo: format!("{org}/{name}"), revision: revision.into(), inside })
    }

    fn at(&self, revision: &str) -> Repo {
        Repo::with_revision(self.repo.clone(), RepoType::Model, revision.into())
    }
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        if self.revision != "main" {
            write!(f, "@{}", self.revision)?;
        }
        if self.inside.is_empty() { Ok(()) } else { write!(f, "/{}", self.inside) }
    }
}

/// What the environment says.
struct Environment {
    cache: Cache,
    endpoint: String,
    token: Option<String>,
    offline: bool,
}

impl Environment {
    fn read() -> Self {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
        let home = variable("HF_HOME").map(PathBuf::from);
        let cache = match (variable("HF_HUB_CACHE"), home) {
            (Some(folder), _) => Cache::new(folder.into()),
            (None, Some(home)) => Cache::new(home.join("hub")),
            (None, None) => Cache::default(),
        };
        let of_file = || match (variable("HF_TOKEN_PATH"), variable("HF_HOME")) {
            (Some(file), _) => std::fs::read_to_string(file).ok(),
            (None, Some(home)) => std::fs::read_to_string(Path::new(&home).join("token")).ok(),
            (None, None) => Cache::default().token(),
        };
        let token = variable("HF_TOKEN").or_else(of_file).map(|token| token.trim().to_string());
        Environment {
            cache,
            endpoint: variable("HF_ENDPOINT")
                .map_or("https://huggingface.co".into(), |address| address.trim_end_matches('/').to_string()),
            token: token.filter(|token| !token.is_empty()),
            offline: variable("HF_HUB_OFFLINE")
                .is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())),
        }
    }
}

/// Where what `path` names lies: there, or in the Hub's cache.
///
/// # Errors
/// It is an id of the Hub, and not in the cache; [`fetch`] brings it there.
pub(crate) fn local(path: &Path) -> Result<Cow<'_, Path>> {
    let Some(id) = path.to_str().and_then(HubId::of) else { return Ok(Cow::Borrowed(path)) };
    match cached::find(&id, &Environment::read().cache) {
        Some(found) => Ok(Cow::Owned(found)),
        None => Err(missing(&id, "it is not in the cache of the Hub either")),
    }
}

/// The id with the commit that it stood for, `org/name@commit/subfolder`: what a report says of a model from the cache.
pub(crate) fn named(path: &Path, local: &Path) -> PathBuf {
    let mut folders =
        local.components().map(|part| part.as_os_str().to_string_lossy()).skip_while(|part| part != "snapshots");
    match (path.to_str().and_then(HubId::parse), folders.nth(1)) {
        (Some(id), Some(commit)) => PathBuf::from(HubId { revision: commit.into_owned(), ..id }.to_string()),
        _ => path.into(),
    }
}

/// It is nowhere to be had, because of this.
fn missing(id: &HubId, why: &str) -> Error {
    let name = id.repo.rsplit('/').next().unwrap_or_default();
    let revision = if id.revision == "main" { String::new() } else { format!(" --revision {}", id.revision) };
    let next = format!(
        "If it is a file or folder, check its name. Else fetch it where there is a network, `hf download {}{revision} --local-dir {name}`, \
         and give that folder.",
        id.repo
    );
    Error::file(Path::new(&id.to_string()), format!("there is no such file or folder here, and {why}"), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_written_alike_and_paths_are_none() {
        for text in ["google/ddpm-cifar10-32", "a/b@v1.0", "a/b/unet", "a/b@fp16/unet/x.safetensors"] {
            assert_eq!(HubId::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "model.pt",
            "ddpm",
            "./a/b",
            "/a/b",
            "~/a",
            "../a/b",
            "runs/model.pt",
            "a//b",
            "a/b/../c",
            "a b/c",
            "",
            "a/",
            "a/b@",
        ] {
            assert_eq!(HubId::parse(text), None, "{text}");
        }
        // `src` is a folder here: a misspelt name in it is not asked for elsewhere.
        assert!(HubId::of("src/nothing").is_none() && HubId::of("nobody-here/nothing").is_some());
    }
}
