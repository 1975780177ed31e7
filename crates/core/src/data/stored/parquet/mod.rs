//! `parquet:PATTERN`: pictures in a column of parquet files, as the Hugging Face hub has them: a struct of `bytes` and `path`
//! (or plain bytes), and a column of classes.
//!
//! The footers say where row groups lie. Which pages a group has is found when it is first touched; a picture is read by
//! its page (a megabyte as pyarrow writes them), and pages that were unpacked lately are kept. <https://parquet.apache.org/docs/file-format/>

mod cache;
mod column;
mod levels;
mod pages;

use super::Encoded;
use super::files::files;
use crate::error::{Error, Result};
use crate::tensor_file::Source;
use cache::Cache;
use column::Column;
use pages::{Chunk, Page, Pages, Values};
use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{FileMetaData, RowGroup};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

/// Bytes of a footer at most.
const MOST_FOOTER: u64 = 1 << 30;
/// Bytes of memory for each byte of a footer.
const FOOTER_RATIO: usize = 64;

/// The pictures of parquet files, in the order of the files and of their rows.
pub(super) struct Tables {
    pattern: PathBuf,
    files: Vec<Source>,
    groups: Vec<Group>,
    labels: Option<Vec<i64>>,
    cache: Mutex<Cache>,
}

/// The pictures of a row group.
struct Group {
    file: usize,
    /// Rows of all groups before it.
    first: usize,
    chunk: Chunk,
    pages: OnceLock<Arc<Pages>>,
}

impl Group {
    fn rows(&self) -> usize {
        self.chunk.rows()
    }
}

impl Tables {
    /// Reads the footers of all files, and the classes.
    ///
    /// # Errors
    /// A file is damaged, has no column of pictures, or it is not clear which.
    pub fn open(pattern: &Path, column: Option<&str>) -> Result<Self> {
        let mut tables = Tables {
            pattern: pattern.into(),
            files: Vec::new(),
            groups: Vec::new(),
            labels: Some(Vec::new()),
            cache: Mutex::new(Cache::default()),
        };
        for path in files(pattern, "parquet")? {
            tables.add(Source::open(&path)?, column)?;
        }
        if tables.count() == 0 {
            return Err(Error::file(pattern, "its tables have no rows", "Give parquet files of pictures."));
        }
        Ok(tables)
    }

    fn add(&mut self, source: Source, column: Option<&str>) -> Result<()> {
        let (columns, groups) = footer(&source)?;
        let pictures = column::pictures(&columns, column, source.path())?;
        let classes = column::labels(&columns);
        let (mut first, file) = (self.count(), self.files.len());
        let chunk = |group: &RowGroup, column: usize| Chunk::new(&columns[column], group, column, &source);
        for group in &groups {
            let pictures = chunk(group, pictures)?;
            self.labels = match (self.labels.take(), classes) {
                (Some(mut labels), Some(classes)) => pages::integers(&source, &chunk(group, classes)?)?.map(|found| {
                    labels.extend(found);
                    labels
                }),
                _ => None,
            };
            self.groups.push(Group { file, first, chunk: pictures, pages: OnceLock::new() });
            first += self.groups.last().map_or(0, Group::rows);
        }
        self.files.push(source);
        Ok(())
    }

    /// The group of a row, and its number.
    fn group(&self, place: usize) -> Option<(usize, &Group)> {
        let number = self.groups.partition_point(|group| group.first + group.rows() <= place);
        self.groups.get(number).map(|group| (number, group))
    }

    fn pages(&self, group: &Group) -> Result<Arc<Pages>> {
        if let Some(pages) = group.pages.get() {
            return Ok(Arc::clone(pages));
        }
        let pages = Arc::new(Pages::find(&self.files[group.file], &group.chunk)?);
        Ok(Arc::clone(group.pages.get_or_init(|| pages)))
    }

    /// The unpacked page `key`, from the cache where it is there.
    fn cached(&self, key: (usize, u64), unpack: impl FnOnce() -> Result<Values>) -> Result<Arc<Values>> {
        let lock = || self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = lock().get(key) {
            return Ok(found);
        }
        // Unlocked meanwhile: others read on.
        let values = Arc::new(unpack()?);
        lock().put(key, Arc::clone(&values));
        Ok(values)
    }

    fn values(&self, number: usize, group: &Group, pages: &Pages, page: &Page) -> Result<Arc<Values>> {
        let source = &self.files[group.file];
        self.cached((number, page.at), || {
            let dictionary = match pages.dictionary.as_ref().filter(|_| page.by_dictionary) {
                Some(page) => {
                    Some(self.cached((number, page.at), || pages::strings(source, &group.chunk, page, None))?)
                }
                None => None,
            };
            pages::strings(source, &group.chunk, page, dictionary.as_deref())
        })
    }
}

impl Encoded for Tables {
    fn count(&self) -> usize {
        self.groups.last().map_or(0, |group| group.first + group.rows())
    }

    fn bytes(&self, place: usize) -> Result<Vec<u8>> {
        let missing = || Error::file(self.path(place), "there is no picture in this row", "Remove or replace it.");
        let (number, group) = self.group(place).ok_or_else(missing)?;
        let pages = self.pages(group)?;
        let row = place - group.first;
        let page = pages.of(row).ok_or_else(missing)?;
        let values = self.values(number, group, &pages, page)?;
        values.get(row - page.first).map(<[u8]>::to_vec).ok_or_else(missing)
    }

    fn path(&self, place: usize) -> PathBuf {
        let found = self.group(place).and_then(|(_, group)| Some((self.files.get(group.file)?, group)));
        let Some((file, group)) = found else { return self.pattern.clone() };
        let of_file = self.groups.iter().find(|other| other.file == group.file).map_or(0, |first| first.first);
        file.path().join(format!("row {}", place - of_file))
    }

    fn listing(&self, add: &mut dyn FnMut(&[u8])) -> Result<()> {
        for file in &self.files {
            add(file.path().file_name().unwrap_or_default().as_encoded_bytes());
            add(&[0]);
            add(&file.bytes().to_le_bytes());
        }
        for group in &self.groups {
            add(&(group.rows() as u64).to_le_bytes());
            add(&group.chunk.bytes().to_le_bytes());
        }
        Ok(())
    }

    fn labels(&self) -> Option<Vec<i64>> {
        self.labels.clone()
    }

    fn name(&self) -> String {
        format!("pictures of {} ({} parquet files)", self.pattern.display(), self.files.len())
    }
}

/// The columns and row groups that the end of a file names.
fn footer(source: &Source) -> Result<(Vec<Column>, Vec<RowGroup>)> {
    let wrong = |problem: String| Error::file(source.path(), problem, "Copy or download it again.");
    let tail = source.bytes().checked_sub(8).map(|at| source.read(at, 8)).transpose()?;
    let length = match tail.as_deref() {
        Some([a, b, c, d, rest @ ..]) if rest == b"PAR1" => u64::from(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => return Err(wrong("it is no parquet file, or cut short: it does not end with PAR1".into())),
    };
    let at = source.bytes().checked_sub(length + 8).filter(|_| length <= MOST_FOOTER);
    let bytes = source.read(at.ok_or_else(|| wrong(format!("its footer claims {length} bytes")))?, length)?;
    let mut protocol = TCompactInputProtocol::new(&bytes[..], bytes.len().saturating_mul(FOOTER_RATIO));
    let metadata = FileMetaData::read_from_in_protocol(&mut protocol);
    let metadata = metadata.map_err(|e| wrong(format!("its footer is damaged ({e})")))?;
    let columns = Column::all(&metadata.schema).ok_or_else(|| wrong("its schema is damaged".into()))?;
    Ok((columns, metadata.row_groups))
}
