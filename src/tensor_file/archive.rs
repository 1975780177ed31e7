//! Zip archives, read with distrust: no entry may claim or unpack to more than the file could honestly hold.

use super::budget::Budget;
use super::damaged;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use zip::{CompressionMethod, ZipArchive};

/// An open zip archive.
pub(super) struct Archive {
    path: PathBuf,
    zip: ZipArchive<BufReader<File>>,
    file_bytes: u64,
    /// What may still be unpacked.
    pub budget: Budget,
}

impl Archive {
    /// Opens the archive and reads its directory.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "opening", &e))?;
        let file_bytes = file.metadata().map_err(|e| Error::io(path, "reading", &e))?.len();
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|e| {
            damaged(path, format!("it begins like a zip archive, but its directory cannot be read ({e})"))
        })?;
        Ok(Self { path: path.into(), zip, file_bytes, budget: Budget::for_file(file_bytes) })
    }

    /// Names of the entries, in the order of the directory.
    pub fn names(&self) -> Vec<String> {
        (0..self.zip.len()).filter_map(|i| self.zip.name_for_index(i)).map(str::to_string).collect()
    }

    /// Whether there is an entry of this name.
    pub fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    /// The whole entry, which may be up to `limit` bytes long.
    pub fn read(&mut self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let (size, mut data) = self.start(name, limit.saturating_add(1))?;
        if size > limit {
            return Err(damaged(&self.path, format!("its entry {name} claims {size} bytes; up to {limit} are read")));
        }
        if data.len() as u64 != size {
            let problem = format!("its entry {name} claims {size} bytes but holds {}", data.len());
            return Err(damaged(&self.path, problem));
        }
        data.shrink_to_fit();
        Ok(data)
    }

    /// The claimed size of an entry, and up to `count` of its first bytes.
    pub fn start(&mut self, name: &str, count: u64) -> Result<(u64, Vec<u8>)> {
        let path = &self.path;
        let entry =
            self.zip.by_name(name).map_err(|e| damaged(path, format!("its entry {name} cannot be read ({e})")))?;
        let (size, packed) = (entry.size(), entry.compressed_size());
        let stored = entry.compression() == CompressionMethod::Stored;
        if packed > self.file_bytes || (stored && size != packed) {
            let problem = format!(
                "its entry {name} claims {size} bytes from {packed} stored ones, in a file of {} bytes",
                self.file_bytes
            );
            return Err(damaged(path, problem));
        }
        let wanted = size.min(count);
        self.budget.spend(wanted).map_err(|e| damaged(path, format!("reading its entry {name} was refused: {e}")))?;
        let mut data = Vec::new();
        let room = usize::try_from(wanted).unwrap_or(usize::MAX);
        data.try_reserve_exact(room)
            .map_err(|_| damaged(path, format!("its entry {name} of {size} bytes does not fit into memory")))?;
        // One byte more than claimed, so that an entry which unpacks to more than it says is noticed.
        let most = if wanted == size { size.saturating_add(1) } else { wanted };
        entry
            .take(most)
            .read_to_end(&mut data)
            .map_err(|e| damaged(path, format!("its entry {name} is damaged ({e})")))?;
        Ok((size, data))
    }
}
