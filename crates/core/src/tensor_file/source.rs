//! A file on disk, opened once and read by position.
//!
//! Not mapped into memory: a mapped file that is cut short while it is in use ends the process with SIGBUS, which whoever
//! can write to the file could bring about. A read that finds less than there was gives an error instead.

use super::damage::damaged;
use crate::error::{Error, Result};
use std::fs::{File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// An open regular file, of the length that it had when it was opened.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Source {
    /// Opens a file. Folders, pipes, sockets and devices are refused, and never waited for.
    pub fn open(path: &Path) -> Result<Self> {
        // Looked at before it is opened, because opening a device may do something; and again after, because what is at
        // the path may have changed, which is also why the opening must not wait for the other end of a pipe.
        regular(path, &std::fs::metadata(path).map_err(|e| Error::io(path, "opening", &e))?)?;
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let file = file.map_err(|e| Error::io(path, "opening", &e))?;
        let metadata = file.metadata().map_err(|e| Error::io(path, "reading", &e))?;
        regular(path, &metadata)?;
        Ok(Self { path: path.into(), file, bytes: metadata.len() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `count` bytes from byte `at` on.
    pub fn read(&self, at: u64, count: u64) -> Result<Vec<u8>> {
        self.read_into(at, count, Vec::new())
    }

    /// The same in memory that is there already, as far as it suffices.
    pub fn read_into(&self, at: u64, count: u64, mut data: Vec<u8>) -> Result<Vec<u8>> {
        if at.checked_add(count).is_none_or(|end| end > self.bytes) {
            let problem = format!("{count} bytes from byte {at} on are beyond its end at byte {}", self.bytes);
            return Err(damaged(&self.path, problem));
        }
        data.clear();
        let room = usize::try_from(count).unwrap_or(usize::MAX);
        data.try_reserve_exact(room)
            .map_err(|_| damaged(&self.path, format!("{count} bytes of it do not fit into memory")))?;
        data.resize(room, 0);
        // By position, so that several threads can read at once.
        match self.file.read_exact_at(&mut data, at) {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Err(self.ended()),
            other => other.map_err(|e| Error::io(&self.path, "reading", &e))?,
        }
        Ok(data)
    }

    /// It has become shorter.
    fn ended(&self) -> Error {
        let now = self.file.metadata().map_or(0, |metadata| metadata.len());
        let problem =
            format!("it had {} bytes when it was opened, and ended at byte {now} while it was read", self.bytes);
        Error::file(&self.path, problem, "Wait until whatever writes it has finished.")
    }

    /// Up to `count` of its first bytes.
    pub fn start(&self, count: u64) -> Result<Vec<u8>> {
        self.read(0, count.min(self.bytes))
    }
}

fn regular(path: &Path, metadata: &Metadata) -> Result<()> {
    let kind = metadata.file_type();
    let what = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => "a folder",
        _ if kind.is_fifo() => "a named pipe",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    };
    Err(Error::file(path, format!("it is {what}, not a regular file"), "Name a file here."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_shrinks_is_noticed_and_one_that_grows_is_read_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [7; 100_000]).unwrap();
        let source = Source::open(&path).unwrap();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(200_000).unwrap();
        assert_eq!(source.read(90_000, 10_000).unwrap(), [7; 10_000]);
        assert!(source.read(90_000, 10_001).unwrap_err().to_string().contains("beyond its end at byte 100000"));
        assert!(source.read(u64::MAX, 2).unwrap_err().to_string().contains("beyond its end"));
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(50_000).unwrap();
        let message = source.read(10, 90_000).unwrap_err().to_string();
        assert!(message.contains("had 100000 bytes when it was opened, and ended at byte 50000"), "{message}");
    }
}
