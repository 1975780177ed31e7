//! The bytes of a pickle, taken one after the other.

use std::sync::Arc;

type Step<T> = Result<T, String>;

/// A place in a pickle.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes taken so far.
    pub fn at(&self) -> usize {
        self.at
    }

    /// One byte.
    pub fn byte(&mut self) -> Step<u8> {
        self.array::<1>().map(|[b]| b)
    }

    /// `n` bytes.
    pub fn take(&mut self, n: u64) -> Step<&'a [u8]> {
        let end = usize::try_from(n).ok().and_then(|n| self.at.checked_add(n));
        let bytes = end.and_then(|end| self.bytes.get(self.at..end)).ok_or("its pickle is cut short")?;
        self.at += bytes.len();
        Ok(bytes)
    }

    /// `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        self.take(N as u64)?.try_into().map_err(|_| "its pickle is cut short".into())
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
    pub fn line(&mut self) -> Step<&'a str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let n = rest.iter().position(|&b| b == b'\n').ok_or("its pickle is cut short")?;
        let line = self.take(n as u64)?;
        self.byte()?;
        std::str::from_utf8(line).map_err(|_| "its pickle has a name that is not UTF-8".into())
    }
}
