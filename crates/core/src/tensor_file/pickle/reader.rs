//! The bytes of a pickle, taken one after the other: from memory, or from a file whose long byte strings are passed over.

use super::MAX_BYTES;
use crate::tensor_file::source::Source;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

type Step<T> = Result<T, String>;

/// Read of a file at a time, and the longest line in one.
const CHUNK: u64 = 1 << 16;

/// A place in a pickle.
pub(super) struct Reader<'a> {
    /// Where more bytes are; `None` for a pickle in memory.
    file: Option<&'a Source>,
    /// Bytes from `start` on.
    window: Cow<'a, [u8]>,
    start: u64,
    at: u64,
    end: u64,
    /// Bytes that may still be taken: those passed over do not count.
    left: u64,
}

impl<'a> Reader<'a> {
    /// The beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        let end = bytes.len() as u64;
        Self { file: None, window: Cow::Borrowed(bytes), start: 0, at: 0, end, left: end }
    }

    /// The beginning of a file.
    pub fn of_file(file: &'a Source) -> Self {
        let window = Cow::Borrowed([].as_slice());
        Self { file: Some(file), window, start: 0, at: 0, end: file.bytes(), left: MAX_BYTES }
    }

    /// Bytes taken and passed over so far.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// One byte.
    pub fn byte(&mut self) -> Step<u8> {
        self.array::<1>().map(|[b]| b)
    }

    /// `n` bytes.
    pub fn take(&mut self, n: u64) -> Step<&[u8]> {
        let range = self.skip(n)?;
        self.left = self.left.checked_sub(n).ok_or_else(too_long)?;
        self.see(range)
    }

    /// Passes over `n` bytes; says where they are.
    pub fn skip(&mut self, n: u64) -> Step<Range<u64>> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.end).ok_or_else(cut_short)?;
        Ok(std::mem::replace(&mut self.at, end)..end)
    }

    /// Bytes anywhere in the pickle, wherever it is being read.
    pub fn copy(&self, range: Range<u64>) -> Step<Vec<u8>> {
        match self.file {
            Some(file) => file.read(range.start, range.end.saturating_sub(range.start)).map_err(|e| e.problem()),
            None => self.within(&range).map(<[u8]>::to_vec).ok_or_else(cut_short),
        }
    }

    /// The part of the window that is `range`.
    fn within(&self, range: &Range<u64>) -> Option<&[u8]> {
        let from = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        let until = usize::try_from(range.end.checked_sub(self.start)?).ok()?;
        self.window.get(from..until)
    }

    /// These bytes, which lie before the end; the window goes where they are.
    fn see(&mut self, range: Range<u64>) -> Step<&[u8]> {
        if self.within(&range).is_none() {
            let count = (range.end - range.start).max(CHUNK).min(self.end - range.start);
            self.window = Cow::Owned(self.copy(range.start..range.start + count)?);
            self.start = range.start;
        }
        self.within(&range).ok_or_else(cut_short)
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
        let rest = self.end - self.at;
        let count = if self.file.is_some() { rest.min(CHUNK) } else { rest };
        let bytes = self.see(self.at..self.at + count)?;
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
