//! Zip archives, read with distrust: no entry may claim or unpack to more than the file could honestly hold.

mod directory;

use super::budget::Budget;
use super::damage::damaged;
use super::source::Source;
use crate::error::{Error, Result};
use directory::{Entry, STORED, number};
use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::ops::Range;
use std::path::Path;

/// An open zip archive.
#[derive(Debug)]
pub(super) struct Archive {
    source: Source,
    entries: Vec<Entry>,
    places: HashMap<String, usize>,
    /// The entry that was last unpacked for a part of it.
    unpacked: Option<(String, Vec<u8>)>,
    /// What may still be unpacked.
    pub budget: Budget,
}

const DEFLATED: u16 = 8;

impl Archive {
    /// Opens the archive and reads its directory.
    pub fn open(path: &Path) -> Result<Self> {
        let source = Source::open(path)?;
        let entries = directory::read(&source)?.map_err(|problem| damaged(path, problem))?;
        let places = entries.iter().enumerate().map(|(i, entry)| (entry.name.clone(), i)).collect();
        let budget = Budget::for_file(source.bytes());
        Ok(Self { source, entries, places, unpacked: None, budget })
    }

    /// Names of the entries, in the order of the directory.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// Whether there is an entry of this name.
    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Length of an entry when it is unpacked.
    pub fn size(&self, name: &str) -> Result<u64> {
        self.entry(name).map(|entry| entry.size)
    }

    /// The whole entry, which may be up to `limit` bytes long, checked against its checksum.
    pub fn read(&mut self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let entry = self.entry(name)?.clone();
        if entry.size > limit {
            let problem = format!("its entry {name} claims {} bytes; up to {limit} are read", entry.size);
            return Err(self.damaged(problem));
        }
        let data = self.start(name, entry.size)?;
        let mut crc = Crc::new();
        crc.update(&data);
        if crc.sum() != entry.crc {
            return Err(self.damaged(format!("its entry {name} is damaged: its checksum is wrong")));
        }
        Ok(data)
    }

    /// Checks every entry against its header, its length and its checksum, without keeping any.
    pub fn verify(&mut self) -> Result<()> {
        for entry in &self.entries {
            let name = &entry.name;
            let at = self.data_start(entry)?;
            let packed = BufReader::with_capacity(1 << 16, Packed { source: &self.source, at, end: at + entry.packed });
            let mut unpacked: Box<dyn Read> = match entry.method {
                _ if entry.encrypted => return Err(self.damaged(format!("its entry {name} is encrypted"))),
                STORED => Box::new(packed),
                DEFLATED => Box::new(DeflateDecoder::new(packed)),
                other => {
                    let problem = format!("its entry {name} is compressed by method {other}; 0 and 8 are read");
                    return Err(self.damaged(problem));
                }
            };
            self.budget.spend(entry.size).map_err(|e| damaged(self.source.path(), e))?;
            let (mut crc, mut length, mut buffer) = (Crc::new(), 0u64, vec![0u8; 1 << 16]);
            loop {
                let count = unpacked.read(&mut buffer);
                let count = count.map_err(|e| self.damaged(format!("its entry {name} is damaged ({e})")))?;
                length += count as u64;
                if count == 0 || length > entry.size {
                    break;
                }
                crc.update(buffer.get(..count).unwrap_or_default());
            }
            if length != entry.size || crc.sum() != entry.crc {
                return Err(self.damaged(format!("its entry {name} is damaged: its checksum is wrong")));
            }
        }
        Ok(())
    }

    /// Bytes of an entry. Those around them are not read, where the entry is not compressed.
    pub fn read_range(&mut self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let entry = self.entry(name)?.clone();
        if range == (0..entry.size) {
            return self.read(name, u64::MAX);
        }
        if range.start > range.end || range.end > entry.size {
            return Err(self.damaged(format!("bytes {range:?} are beyond the end of its entry {name}")));
        }
        if entry.method == STORED && !entry.encrypted {
            self.spend(name, range.end - range.start)?;
            return self.source.read(self.data_start(&entry)? + range.start, range.end - range.start);
        }
        let whole = match self.unpacked.take() {
            Some((kept, whole)) if kept == name => whole,
            _ => self.read(name, u64::MAX)?,
        };
        // Within its length, which fits into memory.
        let part = whole.get(range.start as usize..range.end as usize).unwrap_or_default().to_vec();
        self.unpacked = Some((name.to_string(), whole));
        Ok(part)
    }

    /// Up to `count` of an entry's first bytes.
    pub fn start(&mut self, name: &str, count: u64) -> Result<Vec<u8>> {
        let entry = self.entry(name)?.clone();
        let wanted = entry.size.min(count);
        self.spend(name, wanted)?;
        let at = self.data_start(&entry)?;
        match entry.method {
            _ if entry.encrypted => Err(self.damaged(format!("its entry {name} is encrypted"))),
            STORED => self.source.read(at, wanted),
            DEFLATED => self.inflate(&entry, at, wanted),
            other => Err(self.damaged(format!("its entry {name} is compressed by method {other}; 0 and 8 are read"))),
        }
    }

    fn inflate(&self, entry: &Entry, at: u64, wanted: u64) -> Result<Vec<u8>> {
        let (name, size) = (&entry.name, entry.size);
        let mut data = Vec::new();
        data.try_reserve_exact(usize::try_from(wanted).unwrap_or(usize::MAX))
            .map_err(|_| self.damaged(format!("its entry {name} of {size} bytes does not fit into memory")))?;
        // One byte more than claimed, so that an entry which unpacks to more than it says is noticed.
        let most = if wanted == size { size.saturating_add(1) } else { wanted };
        let packed = Packed { source: &self.source, at, end: at + entry.packed };
        DeflateDecoder::new(BufReader::with_capacity(1 << 16, packed))
            .take(most)
            .read_to_end(&mut data)
            .map_err(|e| self.damaged(format!("its entry {name} is damaged ({e})")))?;
        if data.len() as u64 != wanted {
            let held = if data.len() as u64 > wanted { "more".to_string() } else { data.len().to_string() };
            return Err(self.damaged(format!("its entry {name} claims {size} bytes but holds {held}")));
        }
        Ok(data)
    }

    /// Where an entry's bytes begin, by its own header, which must not contradict the directory.
    fn data_start(&self, entry: &Entry) -> Result<u64> {
        let header = self.source.read(entry.at, 30)?;
        let (name, extra) = (number(&header, 26, 2).unwrap_or(0), number(&header, 28, 2).unwrap_or(0));
        let start = entry.at + 30 + name + extra;
        let named = self.source.read(entry.at + 30, name)?;
        if !header.starts_with(b"PK\x03\x04") || String::from_utf8_lossy(&named) != entry.name {
            return Err(self.damaged(format!("its entry {} has another header than its directory says", entry.name)));
        }
        if start + entry.packed > entry.end {
            return Err(self.damaged(format!("its entry {} reaches into what follows it", entry.name)));
        }
        Ok(start)
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        let entry = self.places.get(name).and_then(|&i| self.entries.get(i));
        entry.ok_or_else(|| self.damaged(format!("it has no entry {name}")))
    }

    fn spend(&mut self, name: &str, bytes: u64) -> Result<()> {
        let spent = self.budget.spend(bytes);
        spent.map_err(|e| self.damaged(format!("reading its entry {name} was refused: {e}")))
    }

    fn damaged(&self, problem: String) -> Error {
        damaged(self.source.path(), problem)
    }
}

/// The packed bytes of an entry.
struct Packed<'a> {
    source: &'a Source,
    at: u64,
    end: u64,
}

impl Read for Packed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = (buffer.len() as u64).min(self.end - self.at);
        let data = self.source.read(self.at, count).map_err(|e| std::io::Error::other(e.problem()))?;
        self.at += count;
        if let Some(part) = buffer.get_mut(..data.len()) {
            part.copy_from_slice(&data);
        }
        Ok(data.len())
    }
}
