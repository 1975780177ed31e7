//! What to say where a path is no checkpoint: what it is instead, and the next step.

use super::{FORMATS, Source, diffusers};
use crate::error::Error;
use crate::tensor_file::{self, Format as File, Listing};
use std::path::Path;

/// The error for a path that no format recognises.
pub(super) fn unrecognised(source: &Source) -> Error {
    let path = source.path;
    let accepted = || FORMATS.iter().map(|format| format.about).collect::<Vec<_>>().join("; ");
    let (problem, next) = match source.sniffed.as_ref().map(|sniffed| sniffed.format) {
        None => return folder(path, &accepted()),
        Some(File::Empty) => ("the file is empty".to_string(), "Was the download or the copy interrupted?".to_string()),
        Some(format @ (File::TorchSave | File::TorchSaveLegacy | File::Safetensors | File::Pickle)) => {
            match tensor_file::entries(path) {
                Err(error) => return error,
                Ok(listing) => arrays(&listing, format),
            }
        }
        Some(format @ (File::LfsPointer | File::Html | File::Tar)) => {
            (format!("this is not a checkpoint: the file is {format}"), tensor_file::next_step(format).into())
        }
        Some(File::ExportedProgram) => (
            "this is what torch.export.save writes, and no TorchScript module".into(),
            "Trace the model with torch.jit.trace and save it with torch.jit.save, or save its state_dict with \
             torch.save."
                .into(),
        ),
        Some(format) => {
            (format!("this is not a checkpoint: the file is {format}"), format!("What can be opened: {}.", accepted()))
        }
    };
    Error::file(path, problem, next)
}

/// A file of arrays that are no weights of a known architecture.
fn arrays(listing: &Listing, format: File) -> (String, String) {
    let is_moment =
        |name: &str| [".exp_avg", ".exp_avg_sq", ".momentum_buffer", ".square_avg"].iter().any(|m| name.ends_with(m));
    let entries = &listing.entries;
    if entries.iter().any(|entry| is_moment(&entry.name)) && entries.iter().all(|entry| is_state(&entry.name)) {
        return (
            "it holds the state of an optimizer, and no weights".into(),
            "Give the weights that the trainer saved beside it, such as model*.pt or ema_*.pt beside opt*.pt.".into(),
        );
    }
    (
        format!("this is {format} with weights of no architecture that is known by their names"),
        "Export the model to TorchScript (torch.jit.trace, then torch.jit.save), or lay its config.json beside it if it \
         is a model of diffusers; lipscope inspect lists what the file holds."
            .into(),
    )
}

/// `state.0.exp_avg`, `optimizer.state.0.step`: what an optimizer keeps of its parameters, by their numbers.
fn is_state(name: &str) -> bool {
    let mut parts = name.split('.').skip_while(|part| *part != "state");
    parts.next().is_some() && parts.next().is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn folder(path: &Path, accepted: &str) -> Error {
    let below = |keep: &dyn Fn(&Path) -> bool| -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let visible =
            |path: &std::path::PathBuf| path.file_name().is_some_and(|n| !n.to_string_lossy().starts_with('.'));
        entries.filter(visible).filter(|path| keep(path)).collect()
    };
    let step = |path: &Path| diffusers::training_step(&path.file_name()?.to_string_lossy());
    let newest = below(&|path| path.is_dir() && step(path).is_some()).into_iter().max_by_key(|path| step(path));
    if let Some(newest) = newest {
        let problem = "this folder holds the steps of a training, and no model of its own";
        return Error::file(path, problem, format!("Give one of them, such as the newest: {}.", newest.display()));
    }
    let weights = |path: &Path| {
        let weights = [File::TorchSave, File::TorchSaveLegacy, File::Safetensors, File::TorchScript];
        path.is_file() && tensor_file::sniff(path).is_ok_and(|sniffed| weights.contains(&sniffed.format))
    };
    let mut files = below(&weights);
    files.sort();
    if let Some(first) = files.first() {
        let problem = "this folder is not a diffusers model: there is no config.json in it";
        return Error::file(path, problem, format!("Give a file in it, such as {}.", first.display()));
    }
    Error::file(path, "this folder is not a diffusers model", format!("What can be opened: {accepted}."))
}

/// The error for a path that cannot be opened: a name on a hub is no path.
pub(super) fn cannot_open(path: &Path, error: &std::io::Error) -> Error {
    let text = path.to_string_lossy();
    let parts: Vec<&str> = text.split('/').collect();
    let plain = |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.contains(':');
    let is_name = error.kind() == std::io::ErrorKind::NotFound
        && matches!(parts[..], [owner, name] if plain(&owner) && plain(&name) && !Path::new(owner).exists());
    if !is_name
        || path
            .extension()
            .is_some_and(|ending| ["pt", "pth", "ckpt", "safetensors", "bin"].iter().any(|e| ending == *e))
    {
        return Error::io(path, "opening the checkpoint", error);
    }
    let next = format!(
        "If it is a repository of the Hugging Face hub, download it first: hf download {text} --local-dir \
         FOLDER; then give FOLDER."
    );
    Error::file(path, "there is no such file or folder", next)
}
