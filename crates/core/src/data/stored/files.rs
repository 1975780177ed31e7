//! The files that a set lies in: one, all of a folder, or those of a pattern, as WebDataset writes it.

use super::folder::is_hidden;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Files of a pattern at most.
const MOST: u64 = 1_000_000;

/// `FILE`, `DIR` (its files with this ending), `shard-{000..146}.tar` or `train-*.parquet`; in the order of their names.
pub(super) fn files(pattern: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    if pattern.is_file() {
        return Ok(vec![pattern.into()]);
    }
    if pattern.is_dir() {
        let wanted = |name: &str| name.to_lowercase().ends_with(&format!(".{ending}"));
        return some(pattern, within(pattern, &wanted)?, &format!("there is no file *.{ending} in it"));
    }
    let text = pattern.to_string_lossy();
    if let Some(files) = braces(&text) {
        return files;
    }
    let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some((before, after)) = name.split_once('*') {
        let folder = pattern.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let wanted =
            |name: &str| name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after);
        return some(pattern, within(folder, &wanted)?, "there is no such file");
    }
    let next = format!("Give a file, a folder of *.{ending}, or a pattern such as train-{{000..146}}.{ending}.");
    Err(Error::file(pattern, "there is no such file or folder", next))
}

fn some(pattern: &Path, files: Vec<PathBuf>, problem: &str) -> Result<Vec<PathBuf>> {
    if files.is_empty() { Err(Error::file(pattern, problem, "Give the place of the files.")) } else { Ok(files) }
}

fn within(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let failed = |e: std::io::Error| Error::io(folder, "listing", &e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if !is_hidden(&name) && wanted(&name) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// `a{00..12}b`: the numbers have as many digits as the first; `None` without such braces.
fn braces(text: &str) -> Option<Result<Vec<PathBuf>>> {
    let (before, rest) = text.split_once('{')?;
    let (range, after) = rest.split_once('}')?;
    let (first, last) = range.split_once("..")?;
    let (from, to) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    let digits = first.len();
    if from > to || to - from >= MOST {
        let problem = format!("{{{range}}} is no range of at most {MOST} files");
        return Some(Err(Error::file(Path::new(text), problem, "Write the smaller number first.")));
    }
    let files = (from..=to).map(|n| PathBuf::from(format!("{before}{n:0digits$}{after}")));
    Some(files.map(|file| if file.is_file() { Ok(file) } else { Err(missing(&file)) }).collect())
}

fn missing(file: &Path) -> Error {
    Error::file(
        file,
        "there is no such file",
        "The numbers in braces name every file; correct them, or fetch this one.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_folder_by_numbers_and_by_a_star() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b-01.tar", "b-00.tar", "c.parquet", "._b-02.tar", "b-02.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Result<Vec<String>> {
            let files = files(&folder.path().join(pattern), "tar")?;
            Ok(files.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect())
        };
        let both = ["b-00.tar", "b-01.tar"];
        assert_eq!(names("").unwrap(), both);
        assert_eq!(names("b-{00..01}.tar").unwrap(), both);
        assert_eq!(names("b-*.tar").unwrap(), both);
        assert_eq!(names("b-01.tar").unwrap(), both[1..]);
        assert!(names("b-{00..02}.tar").unwrap_err().to_string().contains("b-02.tar"));
        assert!(names("b-{1..0}.tar").unwrap_err().to_string().contains("smaller number"));
        assert!(names("d-*.tar").is_err() && names("d.tar").unwrap_err().to_string().contains("{000..146}"));
    }
}
