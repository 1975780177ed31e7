//! The pages of a column in one row group: where they lie, and what they hold.
//!
//! A page that is not trusted: what its header claims is checked against the file and a budget before memory is taken.

use super::column::{Column, Place};
use super::levels::hybrid;
use crate::error::{Error, Result};
use crate::tensor_file::{Budget, Source};
use polars_parquet::parquet::compression::{Compression, DecompressionContext, decompress};
use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{PageHeader, RowGroup};
use std::path::Path;

/// Bytes that hold any header of a page: it may carry the smallest and the largest value.
const MOST_HEADER: u64 = 64 << 10;
/// Encodings (`parquet.thrift`): values one after the other, and indices into a dictionary, old name and new.
const PLAIN: i32 = 0;
const BY_DICTIONARY: [i32; 2] = [2, 8];
/// Types of pages.
const DATA: i32 = 0;
const DICTIONARY: i32 = 2;
const DATA_V2: i32 = 3;

/// A column in one row group.
pub(super) struct Chunk {
    at: u64,
    end: u64,
    rows: usize,
    compression: Compression,
    /// Definition level of a value that is there.
    level: u32,
    /// Whether its numbers have four bytes, not eight.
    is_short: bool,
}

/// The pages of a chunk.
#[derive(Default)]
pub(super) struct Pages {
    pub dictionary: Option<Page>,
    data: Vec<Page>,
}

/// A page.
#[derive(Clone)]
pub(super) struct Page {
    /// Where its header ends.
    pub at: u64,
    packed: u64,
    unpacked: u64,
    /// First of its rows within the row group, and their number.
    pub first: usize,
    rows: usize,
    pub by_dictionary: bool,
    /// Whether it is the dictionary, which has no levels.
    is_dictionary: bool,
    /// Of version 2: bytes of levels, which are never packed, and whether the rest is.
    second: Option<(u64, bool)>,
}

/// Values of a page, one behind the other, and where each lies; a value that is missing lies nowhere.
pub(super) struct Values {
    bytes: Vec<u8>,
    spans: Vec<Option<(u32, u32)>>,
}

impl Values {
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let (from, to) = (*self.spans.get(row)?)?;
        self.bytes.get(from as usize..to as usize)
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&self.spans[..])
    }
}

fn wrong(path: &Path, problem: impl std::fmt::Display) -> Error {
    Error::file(path, format!("a page of it is damaged: {problem}"), "Copy or download it again.")
}

impl Chunk {
    /// Column `number` of a row group.
    pub fn new(column: &Column, group: &RowGroup, number: usize, source: &Source) -> Result<Self> {
        let bad = |problem: String| wrong(source.path(), problem);
        let place = group.columns.get(number).and_then(Place::of).filter(|place| place.end <= source.bytes());
        let Place { at, end, compression } =
            place.ok_or_else(|| bad(format!("column {} lies beyond the end of the file", column.path.join("."))))?;
        let rows = usize::try_from(group.num_rows).map_err(|_| bad("its number of rows is negative".into()))?;
        // A run stands for many rows in no bytes.
        Budget::for_file(source.bytes())
            .spend((rows as u64).saturating_mul(size_of::<Option<(u32, u32)>>() as u64))
            .map_err(|problem| bad(format!("it claims {rows} rows: {problem}")))?;
        Ok(Chunk { at, end, rows, compression, level: column.level, is_short: column.is_short() })
    }

    /// Its number of values, missing ones included.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes in the file.
    pub fn bytes(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }
}

impl Pages {
    /// Finds the pages by their headers.
    pub fn find(source: &Source, chunk: &Chunk) -> Result<Self> {
        let (mut pages, mut at, mut first) = (Pages::default(), chunk.at, 0);
        let bad = |problem: &str| wrong(source.path(), problem);
        while first < chunk.rows {
            let window = source.read(at, MOST_HEADER.min(chunk.end.saturating_sub(at)))?;
            let mut rest = &window[..];
            let mut protocol = TCompactInputProtocol::new(&mut rest, window.len());
            let header = PageHeader::read_from_in_protocol(&mut protocol);
            let header = header.map_err(|e| wrong(source.path(), format!("its header cannot be read ({e})")))?;
            let begins = at + (window.len() - rest.len()) as u64;
            let packed = u64::try_from(header.compressed_page_size).map_err(|_| bad("its size is negative"))?;
            at = begins.checked_add(packed).filter(|end| *end <= chunk.end).ok_or_else(|| bad("it is cut short"))?;
            let Some((mut page, rows)) = page(&header, begins, packed, source.path())? else { continue };
            if page.is_dictionary {
                page.rows = rows;
                pages.dictionary = Some(page);
                continue;
            }
            (page.first, page.rows) = (first, rows.min(chunk.rows - first));
            first += page.rows;
            pages.data.push(page);
        }
        Ok(pages)
    }

    /// The page of a row.
    pub fn of(&self, row: usize) -> Option<&Page> {
        self.data.get(self.data.partition_point(|page| page.first + page.rows <= row))
    }
}

/// A page as its header has it, and its number of values; `None` of an index.
fn page(header: &PageHeader, at: u64, packed: u64, path: &Path) -> Result<Option<(Page, usize)>> {
    let bad = |problem: &str| wrong(path, problem);
    let unpacked = u64::try_from(header.uncompressed_page_size).map_err(|_| bad("its size is negative"))?;
    Budget::for_file(packed).spend(unpacked).map_err(|problem| bad(&problem))?;
    let mut second = None;
    let (encoding, count) = match header.type_.0 {
        DATA => header.data_page_header.as_ref().map(|data| (data.encoding.0, data.num_values)),
        DICTIONARY => header.dictionary_page_header.as_ref().map(|data| (PLAIN, data.num_values)),
        DATA_V2 => header.data_page_header_v2.as_ref().map(|data| {
            let levels = i64::from(data.definition_levels_byte_length) + i64::from(data.repetition_levels_byte_length);
            second = Some((u64::try_from(levels).unwrap_or(u64::MAX), data.is_compressed.unwrap_or(true)));
            (data.encoding.0, data.num_values)
        }),
        _ => return Ok(None),
    }
    .ok_or_else(|| bad("its header is incomplete"))?;
    let by_dictionary = BY_DICTIONARY.contains(&encoding);
    if !by_dictionary && encoding != PLAIN {
        let next = "Write it anew with plain or dictionary encoding, such as pyarrow's default.";
        return Err(Error::file(
            path,
            format!("a page of it has the encoding {encoding}, which is not read here"),
            next,
        ));
    }
    let count = usize::try_from(count).map_err(|_| bad("its number of values is negative"))?;
    let is_dictionary = header.type_.0 == DICTIONARY;
    Ok(Some((Page { at, packed, unpacked, first: 0, rows: 0, by_dictionary, is_dictionary, second }, count)))
}

/// The levels of a page, one a row, and the bytes of its values; no levels where no value can be missing.
fn unpack(source: &Source, chunk: &Chunk, page: &Page) -> Result<(Option<Vec<bool>>, Vec<u8>)> {
    let path = source.path();
    let packed = source.read(page.at, page.packed)?;
    let ahead = page.second.map_or(0, |(levels, _)| levels);
    let is_packed = chunk.compression != Compression::Uncompressed && page.second.is_none_or(|(_, packed)| packed);
    let cut = || wrong(path, "its levels are cut short");
    let (levels, body) = packed.split_at_checked(usize::try_from(ahead).unwrap_or(usize::MAX)).ok_or_else(cut)?;
    let mut bytes = if is_packed {
        let room = page.unpacked.checked_sub(ahead).ok_or_else(cut)?;
        let mut bytes = vec![0; room as usize];
        if !(body.is_empty() && bytes.is_empty()) {
            decompress(chunk.compression, body, &mut bytes, &mut DecompressionContext::Unset)
                .map_err(|e| wrong(path, e))?;
        }
        bytes
    } else {
        body.to_vec()
    };
    if chunk.level == 0 || page.is_dictionary {
        return Ok((None, bytes));
    }
    let bits = u32::BITS - chunk.level.leading_zeros();
    let there = |bytes: &[u8]| -> Option<Vec<bool>> {
        Some(hybrid(bytes, bits, page.rows)?.into_iter().map(|level| level == chunk.level).collect())
    };
    if page.second.is_some() {
        return Ok((Some(there(levels).ok_or_else(cut)?), bytes));
    }
    let length = bytes.first_chunk().map(|length| u32::from_le_bytes(*length) as usize).ok_or_else(cut)?;
    let levels = bytes.get(4..).and_then(|rest| rest.get(..length)).and_then(there).ok_or_else(cut)?;
    bytes.drain(..4 + length);
    Ok((Some(levels), bytes))
}

/// The indices that a page by dictionary has: their bits, then the hybrid of runs and groups.
fn indices(bytes: &[u8], count: usize) -> Option<Vec<u32>> {
    let (bits, rest) = bytes.split_first()?;
    hybrid(rest, u32::from(*bits), count)
}

/// The byte strings of a page.
pub(super) fn strings(source: &Source, chunk: &Chunk, page: &Page, dictionary: Option<&Values>) -> Result<Values> {
    let bad = |problem: &str| wrong(source.path(), problem);
    let (there, bytes) = unpack(source, chunk, page)?;
    let count = there.as_ref().map_or(page.rows, |there| there.iter().filter(|there| **there).count());
    let (bytes, found) = if page.by_dictionary {
        let dictionary = dictionary.ok_or_else(|| bad("it has no dictionary"))?;
        let indices = indices(&bytes, count).ok_or_else(|| bad("its indices are cut short"))?;
        let mut copied = Vec::new();
        let mut spans = Vec::with_capacity(count);
        for index in indices {
            let value = dictionary.get(index as usize).ok_or_else(|| bad("it names a value that is not there"))?;
            let from = copied.len();
            copied.extend_from_slice(value);
            spans.push(span(from, copied.len()).ok_or_else(|| bad("it is too large"))?);
        }
        (copied, spans)
    } else {
        let spans = plain(&bytes, count).ok_or_else(|| bad("its values are cut short"))?;
        (bytes, spans)
    };
    let mut found = found.into_iter();
    let spans = match there {
        None => found.map(Some).collect(),
        Some(there) => there.into_iter().map(|there| if there { found.next() } else { None }).collect(),
    };
    Ok(Values { bytes, spans })
}

fn span(from: usize, to: usize) -> Option<(u32, u32)> {
    Some((u32::try_from(from).ok()?, u32::try_from(to).ok()?))
}

/// Where `count` byte strings lie, each behind its length in four bytes.
fn plain(bytes: &[u8], count: usize) -> Option<Vec<(u32, u32)>> {
    let mut at = 0usize;
    let mut spans = Vec::new();
    for _ in 0..count {
        let length = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize;
        let from = at + 4;
        at = from.checked_add(length).filter(|end| *end <= bytes.len())?;
        spans.push(span(from, at)?);
    }
    Some(spans)
}

/// The integers of a whole chunk; `None` where one is missing.
pub(super) fn integers(source: &Source, chunk: &Chunk) -> Result<Option<Vec<i64>>> {
    let bad = |problem: &str| wrong(source.path(), problem);
    let numbers = |bytes: &[u8], count: usize| -> Option<Vec<i64>> {
        let width = if chunk.is_short { 4 } else { 8 };
        let bytes = bytes.get(..count.checked_mul(width)?)?;
        Some(if width == 4 {
            bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b).into()).collect()
        } else {
            bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()
        })
    };
    let pages = Pages::find(source, chunk)?;
    let dictionary = match &pages.dictionary {
        Some(page) => {
            let (_, bytes) = unpack(source, chunk, page)?;
            numbers(&bytes, page.rows).ok_or_else(|| bad("its dictionary is cut short"))?
        }
        None => Vec::new(),
    };
    let mut all = Vec::new();
    for page in &pages.data {
        let (there, bytes) = unpack(source, chunk, page)?;
        if there.is_some_and(|there| there.contains(&false)) {
            return Ok(None);
        }
        let found = if page.by_dictionary {
            let indices = indices(&bytes, page.rows);
            indices.and_then(|indices| indices.iter().map(|i| dictionary.get(*i as usize).copied()).collect())
        } else {
            numbers(&bytes, page.rows)
        };
        all.extend(found.ok_or_else(|| bad("its values are cut short"))?);
    }
    Ok(Some(all))
}
