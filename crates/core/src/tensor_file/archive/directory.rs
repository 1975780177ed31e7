//! The directory of a zip archive, at its end: PKWARE's APPNOTE.TXT, sections 4.3.12 to 4.3.16, and 4.5.3 for archives
//! beyond 4 GiB.
//!
//! Stricter than the format: readers differ in what they make of entries that share a name or overlap, of a directory
//! with other entries than it promises, and of two ends that disagree, so such archives are refused.

use super::super::source::Source;
use crate::error::Result;
use std::collections::HashSet;

/// An entry as the directory describes it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub name: String,
    pub encrypted: bool,
    pub method: u16,
    pub crc: u32,
    /// Bytes in the archive.
    pub packed: u64,
    /// Bytes when unpacked.
    pub size: u64,
    /// Where its own header begins.
    pub at: u64,
    /// Where the next entry, or the directory, begins.
    pub end: u64,
}

/// Not compressed.
pub(super) const STORED: u16 = 0;
/// Longest directory that is read: that of half a million entries.
const MAX_BYTES: u64 = 64 << 20;
/// Length of the end record, without its comment of up to 65,535 bytes.
const END: usize = 22;
/// Lengths of what points to the wide end record, and of that record.
const LOCATOR: u64 = 20;
const WIDE_END: u64 = 56;

type Checked<T> = std::result::Result<T, String>;

/// What an end record says of the directory.
#[derive(Debug, Clone, Copy)]
struct Place {
    entries: u64,
    bytes: u64,
    at: u64,
}

/// Reads the directory, in its order; says what is wrong with it otherwise.
pub(super) fn read(source: &Source) -> Result<Checked<Vec<Entry>>> {
    let place = match place(source)? {
        Ok(place) => place,
        Err(problem) => return Ok(Err(problem)),
    };
    let bytes = source.read(place.at, place.bytes)?;
    Ok(entries(&bytes, place.entries).and_then(|entries| apart(entries, place.at, source.bytes())))
}

fn place(source: &Source) -> Result<Checked<Place>> {
    let length = source.bytes();
    let tail_at = length.saturating_sub(END as u64 + 65_535);
    let tail = source.read(tail_at, length - tail_at)?;
    let is_end = |at: &usize| {
        tail.get(*at..at + 4) == Some(b"PK\x05\x06")
            && number(&tail, at + 20, 2).is_some_and(|comment| (at + END) as u64 + comment == tail.len() as u64)
    };
    let Some(at) = (0..tail.len().saturating_sub(END - 1)).rev().find(is_end) else {
        return Ok(Err("it begins like a zip archive, but its directory cannot be read: it has no end record".into()));
    };
    let end_at = tail_at + at as u64;
    let field = |offset, n| number(&tail, at + offset, n).unwrap_or(0);
    let narrow = Place { entries: field(10, 2), bytes: field(12, 4), at: field(16, 4) };
    let (mut place, mut before, mut parts) = (narrow, end_at, field(4, 2) + field(6, 2));
    if end_at >= LOCATOR {
        let locator = source.read(end_at - LOCATOR, LOCATOR)?;
        if locator.starts_with(b"PK\x06\x07") {
            before = number(&locator, 8, 8).unwrap_or(0);
            if before.checked_add(WIDE_END).is_none_or(|end| end > end_at - LOCATOR) {
                return Ok(Err(format!("its zip64 end record is said to be at byte {before}, where it cannot be")));
            }
            let wide = source.read(before, WIDE_END)?;
            if !wide.starts_with(b"PK\x06\x06") {
                return Ok(Err(format!("it has no zip64 end record at byte {before}, where it is said to be")));
            }
            let field = |offset, n| number(&wide, offset, n).unwrap_or(0);
            place = Place { entries: field(32, 8), bytes: field(40, 8), at: field(48, 8) };
            parts = field(16, 4) + field(20, 4);
            let agree = |narrow: u64, wide: u64, unset: u64| narrow == unset || narrow == wide;
            if !(agree(narrow.entries, place.entries, 0xffff)
                && agree(narrow.bytes, place.bytes, 0xffff_ffff)
                && agree(narrow.at, place.at, 0xffff_ffff))
            {
                return Ok(Err("its two end records disagree about its directory".into()));
            }
        }
    }
    if parts != 0 {
        return Ok(Err("it is one of several parts of a zip archive".into()));
    }
    if place.at.checked_add(place.bytes).is_none_or(|end| end > before) || place.bytes > MAX_BYTES {
        return Ok(Err(format!(
            "its directory cannot be read: it claims {} bytes from byte {} on, in a file of {length} bytes",
            place.bytes, place.at
        )));
    }
    Ok(Ok(place))
}

fn entries(bytes: &[u8], promised: u64) -> Checked<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut names = HashSet::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (entry, length) = entry(rest).ok_or("its directory cannot be read: an entry of it is damaged")?;
        if !names.insert(entry.name.clone()) {
            return Err(format!("two of its entries are called {}", entry.name));
        }
        entries.push(entry);
        rest = rest.get(length..).unwrap_or_default();
    }
    if entries.len() as u64 != promised {
        return Err(format!("its directory promises {promised} entries and lists {}", entries.len()));
    }
    Ok(entries)
}

/// The entry at the beginning of `bytes`, and how many of them describe it.
fn entry(bytes: &[u8]) -> Option<(Entry, usize)> {
    if !bytes.starts_with(b"PK\x01\x02") {
        return None;
    }
    let field = |offset, n| number(bytes, offset, n);
    let [name, extra, comment] = [field(28, 2)?, field(30, 2)?, field(32, 2)?].map(|n| n as usize);
    let length = 46 + name + extra + comment;
    bytes.get(..length)?;
    let mut wide = wide_fields(bytes.get(46 + name..46 + name + extra)?);
    // The order is the format's: only fields that are all ones here are in the extra one.
    let mut widen = |narrow: u64| if narrow == 0xffff_ffff { wide.next() } else { Some(narrow) };
    let (size, packed, at) = (widen(field(24, 4)?)?, widen(field(20, 4)?)?, widen(field(42, 4)?)?);
    let name = String::from_utf8_lossy(bytes.get(46..46 + name)?).into_owned();
    let (encrypted, method, crc) = (field(8, 2)? & 1 != 0, field(10, 2)? as u16, field(16, 4)? as u32);
    Some((Entry { name, encrypted, method, crc, packed, size, at, end: 0 }, length))
}

/// The numbers of the extra field 1, of 8 bytes each.
fn wide_fields(mut extra: &[u8]) -> std::vec::IntoIter<u64> {
    while let (Some(id), Some(length)) = (number(extra, 0, 2), number(extra, 2, 2)) {
        let end = 4 + length as usize;
        if id == 1 {
            let inside = extra.get(4..end).unwrap_or_default();
            return inside.as_chunks::<8>().0.iter().map(|&n| u64::from_le_bytes(n)).collect::<Vec<_>>().into_iter();
        }
        extra = extra.get(end..).unwrap_or_default();
    }
    Vec::new().into_iter()
}

/// Refuses entries that claim what cannot be or overlap, and notes where each has to end.
fn apart(mut entries: Vec<Entry>, directory: u64, file: u64) -> Checked<Vec<Entry>> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&i| entries.get(i).map_or(0, |entry| entry.at));
    let mut next: Option<(u64, String)> = None;
    for i in order.into_iter().rev() {
        let Some(entry) = entries.get_mut(i) else { continue };
        let (name, packed, size) = (&entry.name, entry.packed, entry.size);
        if packed > file || (entry.method == STORED && size != packed) {
            return Err(format!("its entry {name} claims {size} bytes from {packed} stored ones, in a file of {file}"));
        }
        entry.end = next.as_ref().map_or(directory, |(at, _)| *at);
        let least = 30 + name.len() as u64 + packed;
        if entry.at.checked_add(least).is_none_or(|end| end > entry.end) {
            let other = next.map_or("its directory".to_string(), |(_, name)| name);
            return Err(format!("its entry {name} overlaps {other}"));
        }
        next = Some((entry.at, name.clone()));
    }
    Ok(entries)
}

/// A little-endian number of `n` ≤ 8 bytes at `at`.
pub(super) fn number(bytes: &[u8], at: usize, n: usize) -> Option<u64> {
    let mut wide = [0; 8];
    wide.get_mut(..n)?.copy_from_slice(bytes.get(at..at.checked_add(n)?)?);
    Some(u64::from_le_bytes(wide))
}
