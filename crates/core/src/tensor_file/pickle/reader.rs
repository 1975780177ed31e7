//! The bytes of a pickle, taken one after the other: from memory, or from a file whose long byte strings are passed over.

use super::MAX_BYTES;
use crate::tensor_file::source::Source;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

type Step<T> = Result<T, String>;

/// Read of a file at a time, and the longest line in one.
const CHUNK: u64 = 1 << 12;

/// A place in a pickle.
pub(super) struct Reader<'a> {
    /// Where more bytes are; `None` for a pickle in memory.
    file: Option<&'a Source>,
    /// Bytes from `start` on; those before `next` are taken.
    window: Cow<'a, [u8]>,
    start: u64,
    next: usize,
    end: u64,
    /// Bytes that may still be read of a file: those passed over do not count.
    left: u64,
}

impl<'a> Reader<'a> {
    /// The beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        let end = bytes.len() as u64;
        Self { file: None, window: Cow::Borrowed(bytes), start: 0, next: 0, end, left: 0 }
    }

    /// The beginning of a file.
    pub fn of_file(file: &'a Source) -> Self {
        let window = Cow::Borrowed([].as_slice());
        Self { file: Some(file), window, start: 0, next: 0, end: file.bytes(), left: MAX_BYTES }
    }

    /// Bytes taken and passed over so far.
    pub fn at(&self) -> u64 {
        self.start + self.next as u64
    }

    /// One byte.
    pub fn byte(&mut self) -> Step<u8> {
        if self.next >= self.window.len() {
            self.fill(1)?;
        }
        let byte = self.window.get(self.next).copied().ok_or_else(cut_short)?;
        self.next += 1;
        Ok(byte)
    }

    /// `n` bytes.
    pub fn take(&mut self, n: u64) -> Step<&[u8]> {
        if n > (self.window.len() - self.next) as u64 {
            self.fill(n)?;
        }
        let from = self.next;
        self.next += n as usize;
        self.window.get(from..self.next).ok_or_else(cut_short)
    }

    /// Passes over `n` bytes; says where they are.
    pub fn skip(&mut self, n: u64) -> Step<Range<u64>> {
        let at = self.at();
        let end = at.checked_add(n).filter(|end| *end <= self.end).ok_or_else(cut_short)?;
        match usize::try_from(end - self.start) {
            Ok(next) if next <= self.window.len() => self.next = next,
            _ => (self.window, self.start, self.next) = (Cow::Borrowed([].as_slice()), end, 0),
        }
        Ok(at..end)
    }

    /// Bytes anywhere in the pickle, wherever it is being read.
    pub fn copy(&self, range: Range<u64>) -> Step<Vec<u8>> {
        match self.file {
            Some(file) => file.read(range.start, range.end.saturating_sub(range.start)).map_err(|e| e.problem()),
            None => {
                let bytes = self.window.get(range.start as usize..range.end as usize);
                bytes.map(<[u8]>::to_vec).ok_or_else(cut_short)
            }
        }
    }

    /// Brings the next `n` bytes into the window, and some more.
    fn fill(&mut self, n: u64) -> Step<()> {
        let at = self.at();
        if self.file.is_none() || at.checked_add(n).is_none_or(|end| end > self.end) {
            return Err(cut_short());
        }
        let count = n.max(CHUNK).min(self.end - at);
        self.left = self.left.checked_sub(count).ok_or_else(too_long)?;
        (self.window, self.start, self.next) = (Cow::Owned(self.copy(at..at + count)?), at, 0);
        Ok(())
    }

    /// `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        self.take(N as u64)?.try_into().map_err(|_| cut_short())
    }

    /// A little-endian count in 4 bytes.
    pub fn u32(&mut self) -> Step<u64> {
        self.array().map(u32::from_le_bytes).map(u64::from)
    }

    /// A little-endian count in 8 bytes.
    pub fn u64(&mut self) -> Step<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Text of `n` bytes.
    pub fn text(&mut self, n: u64) -> Step<Arc<str>> {
        let bytes = self.take(n)?;
        // Lone surrogates are legal in a pickle, and no name that matters here has one.
        Ok(String::from_utf8_lossy(bytes).into())
    }

    /// The rest of the line; the newline is taken and left out.
    pub fn line(&mut self) -> Step<String> {
        if !self.window.iter().skip(self.next).any(|&b| b == b'\n') {
            self.fill(CHUNK.min(self.end - self.at()))?;
        }
        let bytes = self.window.get(self.next..).unwrap_or_default();
        let n = bytes.iter().position(|&b| b == b'\n').ok_or_else(cut_short)?;
        let line = self.take(n as u64)?;
        let line = std::str::from_utf8(line).map_err(|_| "its pickle has a name that is not UTF-8")?.to_string();
        self.byte()?;
        Ok(line)
    }
}

fn cut_short() -> String {
    "its pickle is cut short".into()
}

fn too_long() -> String {
    format!("its pickle has over {} MiB beside the byte strings in it", MAX_BYTES >> 20)
}
