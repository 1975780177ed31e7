//! `tar:PATTERN`: shards as WebDataset writes them. Files that share their path up to the first dot of their name are one
//! sample: a picture, and its class in a `.cls` file of digits, or under `label`, `cls` or `class` in a `.json`.
//!
//! One pass over the headers finds where everything lies (POSIX.1-2001, "ustar Interchange Format" and "pax Interchange
//! Format"; GNU's long names and large sizes); pictures are then read by position.

mod headers;

use super::Encoded;
use super::files::files;
use super::folder::{ENDINGS, is_hidden, is_picture};
use crate::error::{Error, Result};
use crate::tensor_file::Source;
use headers::{Headers, Member};
use std::path::{Path, PathBuf};

/// Keys of the class in a `.json` file.
const CLASS_KEYS: [&str; 3] = ["label", "cls", "class"];
/// Bytes of a `.cls` or `.json` file that are read at most.
const MOST_TEXT: u64 = 1 << 20;
/// Shards that are kept open; of more, each is opened again to be read.
const MOST_OPEN: usize = 256;

/// The pictures of tar files, in the order of the files and of their places in them.
pub(super) struct Shards {
    pattern: PathBuf,
    shards: Vec<Shard>,
    pictures: Vec<Place>,
    /// Names of the pictures within their shards, one behind the other.
    names: Vec<u8>,
    labels: Option<Vec<i64>>,
}

struct Shard {
    path: PathBuf,
    bytes: u64,
    open: Option<Source>,
}

/// Where a picture lies.
struct Place {
    shard: u32,
    bytes: u32,
    at: u64,
    /// End of its name.
    name_end: usize,
}

/// The sample whose files come one after the other.
#[derive(Default)]
struct Sample {
    key: String,
    picture: Option<Member>,
    label: Option<i64>,
}

impl Shards {
    /// Finds the pictures of all shards.
    ///
    /// # Errors
    /// A shard is damaged or cut short, a sample has two pictures, or there is none at all.
    pub fn open(pattern: &Path) -> Result<Self> {
        let paths = files(pattern, "tar")?;
        let keep = paths.len() <= MOST_OPEN;
        let mut all = Shards {
            pattern: pattern.into(),
            shards: Vec::new(),
            pictures: Vec::new(),
            names: Vec::new(),
            labels: Some(Vec::new()),
        };
        for path in paths {
            let source = Source::open(&path)?;
            all.index(&source)?;
            all.shards.push(Shard { path, bytes: source.bytes(), open: keep.then_some(source) });
        }
        if all.pictures.is_empty() {
            let problem = format!("there are no pictures in it ({})", ENDINGS.join(", "));
            return Err(Error::file(pattern, problem, "Give tar files of pictures."));
        }
        all.pictures.shrink_to_fit();
        all.names.shrink_to_fit();
        Ok(all)
    }

    /// Adds the samples of one shard.
    fn index(&mut self, source: &Source) -> Result<()> {
        let mut sample = Sample::default();
        for member in Headers::of(source) {
            let member = member?;
            // `tar -C DIR .` begins every name with ./, which hides nothing.
            if member.name.split('/').any(|part| part != "." && is_hidden(part)) {
                continue;
            }
            let key = key(&member.name);
            if key != sample.key {
                let last = std::mem::replace(&mut sample, Sample { key: key.into(), ..Sample::default() });
                self.add(last, source)?;
            }
            if is_picture(Path::new(&member.name)) {
                if let Some(first) = sample.picture.replace(member) {
                    let problem = format!("the sample {} has two pictures, one of them {}", sample.key, first.name);
                    let next =
                        "Files that share a path up to the first dot are one sample: write one picture into each.";
                    return Err(Error::file(source.path(), problem, next));
                }
            } else if sample.label.is_none() {
                sample.label = label(source, &member)?;
            }
        }
        self.add(sample, source)
    }

    fn add(&mut self, sample: Sample, source: &Source) -> Result<()> {
        let Some(Member { name, at, bytes }) = sample.picture else { return Ok(()) };
        let (Ok(shard), Ok(bytes)) = (u32::try_from(self.shards.len()), u32::try_from(bytes)) else {
            let problem = format!("{name} has {bytes} bytes, more than a picture can have");
            return Err(Error::file(source.path(), problem, "Remove or replace it."));
        };
        self.names.extend_from_slice(name.as_bytes());
        self.pictures.push(Place { shard, bytes, at, name_end: self.names.len() });
        // Classes count only where all samples have one.
        match (&mut self.labels, sample.label) {
            (Some(labels), Some(label)) => labels.push(label),
            _ => self.labels = None,
        }
        Ok(())
    }

    fn name(&self, place: usize) -> &[u8] {
        let from = place.checked_sub(1).and_then(|before| self.pictures.get(before)).map_or(0, |p| p.name_end);
        let to = self.pictures.get(place).map_or(from, |p| p.name_end);
        &self.names[from..to]
    }
}

impl Encoded for Shards {
    fn count(&self) -> usize {
        self.pictures.len()
    }

    fn bytes(&self, place: usize) -> Result<Vec<u8>> {
        let Place { shard, bytes, at, .. } = self.pictures[place];
        let Shard { path, bytes: whole, open } = &self.shards[shard as usize];
        if let Some(source) = open {
            return source.read(at, bytes.into());
        }
        let source = Source::open(path)?;
        if source.bytes() != *whole {
            let problem = format!("it had {whole} bytes when its pictures were found, and has {} now", source.bytes());
            return Err(Error::file(path, problem, "Leave the data as it is while it is used."));
        }
        source.read(at, bytes.into())
    }

    fn path(&self, place: usize) -> PathBuf {
        let shard = self.pictures.get(place).and_then(|picture| self.shards.get(picture.shard as usize));
        let shard = shard.map_or(self.pattern.as_path(), |shard| shard.path.as_path());
        shard.join(String::from_utf8_lossy(self.name(place)).as_ref())
    }

    fn listing(&self, add: &mut dyn FnMut(&[u8])) -> Result<()> {
        for (place, picture) in self.pictures.iter().enumerate() {
            add(&picture.shard.to_le_bytes());
            add(self.name(place));
            add(&[0]);
            add(&u64::from(picture.bytes).to_le_bytes());
        }
        Ok(())
    }

    fn labels(&self) -> Option<Vec<i64>> {
        self.labels.clone()
    }

    fn name(&self) -> String {
        format!("pictures of {} ({} tar files)", self.pattern.display(), self.shards.len())
    }
}

/// The path up to the first dot of the file's name.
fn key(name: &str) -> &str {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    name[file..].find('.').map_or(name, |dot| &name[..file + dot])
}

/// The class that a file beside a picture names.
fn label(source: &Source, member: &Member) -> Result<Option<i64>> {
    let ending = member.name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if !["cls", "json"].contains(&ending) || member.bytes > MOST_TEXT {
        return Ok(None);
    }
    let text = source.read(member.at, member.bytes)?;
    if ending == "cls" {
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
        return number.map(Some).ok_or_else(|| {
            let problem = format!("{} holds no whole number", member.name);
            Error::file(source.path(), problem, "A .cls file holds the class, in digits.")
        });
    }
    let value: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
    Ok(value.and_then(|value| CLASS_KEYS.iter().find_map(|key| value.get(key)?.as_i64())))
}

#[cfg(test)]
mod tests {
    use super::headers::tests::tar;
    use super::*;

    fn open(members: &[(&str, &[u8])]) -> Result<Shards> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        std::fs::write(&path, tar(members)).unwrap();
        Shards::open(&path)
    }

    #[test]
    fn files_of_one_key_are_a_sample() {
        let long = format!("{}/x.png", "deep/".repeat(60));
        let shards = open(&[
            ("a/1.png", b"one"),
            ("a/1.cls", b"7\n"),
            ("a/1.txt", b"a caption"),
            ("./a/1b.png", b"dotted"),
            ("./a/1b.cls", b"4"),
            ("a/2.json", br#"{"label": 3}"#),
            ("a/2.jpg", b"second"),
            ("._a/3.png", b"hidden"),
            (&long, b"long"),
            (&long.replace("png", "cls"), b"-1"),
        ]);
        let shards = shards.unwrap();
        let read: Vec<Vec<u8>> = (0..shards.count()).map(|place| shards.bytes(place).unwrap()).collect();
        assert_eq!(read, [&b"one"[..], b"dotted", b"second", b"long"]);
        assert_eq!(shards.labels(), Some(vec![7, 4, 3, -1]));
        assert!(shards.path(3).ends_with(&long), "{:?}", shards.path(3));
    }

    #[test]
    fn classes_count_where_all_samples_have_one() {
        assert_eq!(open(&[("1.png", b"a"), ("1.cls", b"1"), ("2.png", b"b")]).unwrap().labels(), None);
        let complaint = |members: &[(&str, &[u8])]| open(members).err().unwrap().to_string();
        assert!(complaint(&[("1.png", b"a"), ("1.cls", b"cat")]).contains("no whole number"));
        assert!(complaint(&[("1.a.png", b"a"), ("1.b.png", b"b")]).contains("two pictures"));
        assert!(complaint(&[("1.txt", b"a")]).contains("no pictures"));
    }
}
