//! Which columns hold pictures and classes.

use crate::error::{Error, Result};
use polars_parquet::parquet::compression::Compression;
use polars_parquet_format::{ColumnChunk, SchemaElement};
use std::path::Path;

/// Physical types (`parquet.thrift`).
const INT32: i32 = 1;
const INT64: i32 = 2;
const BYTE_ARRAY: i32 = 6;

/// Nesting of columns at most.
const MOST_DEPTH: usize = 64;

/// A column of a file.
#[derive(Debug, PartialEq)]
pub(super) struct Column {
    /// Its name and those of the fields below.
    pub path: Vec<String>,
    physical: i32,
    /// Definition level of a value that is there.
    pub level: u32,
    is_repeated: bool,
}

/// Where a column lies in one row group.
pub(super) struct Place {
    pub at: u64,
    pub end: u64,
    pub compression: Compression,
}

impl Column {
    /// The columns of a schema, which is a tree in depth-first order; `None` of one that is none.
    pub fn all(schema: &[SchemaElement]) -> Option<Vec<Column>> {
        let (root, mut rest) = schema.split_first()?;
        let mut columns = Vec::new();
        let above = Column { path: Vec::new(), physical: 0, level: 0, is_repeated: false };
        (0..root.num_children?).try_for_each(|_| below(&mut rest, &above, &mut columns))?;
        Some(columns)
    }

    /// Whether its numbers have four bytes, not eight.
    pub fn is_short(&self) -> bool {
        self.physical == INT32
    }

    fn path(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    fn name(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    fn is_bytes(&self) -> bool {
        self.physical == BYTE_ARRAY && !self.is_repeated
    }
}

/// Adds the columns of the next element of a schema.
fn below(rest: &mut &[SchemaElement], above: &Column, columns: &mut Vec<Column>) -> Option<()> {
    let (element, tail) = rest.split_first()?;
    *rest = tail;
    let repetition = element.repetition_type.map_or(0, |repetition| repetition.0);
    let column = Column {
        path: above.path.iter().chain([&element.name]).cloned().collect(),
        physical: element.type_.map_or(-1, |physical| physical.0),
        level: above.level + u32::from(repetition != 0),
        is_repeated: above.is_repeated || repetition == 2,
    };
    if column.path.len() > MOST_DEPTH {
        return None;
    }
    match element.num_children.unwrap_or(0) {
        ..=0 => columns.push(column),
        children => (0..children).try_for_each(|_| below(rest, &column, columns))?,
    }
    Some(())
}

impl Place {
    /// From what the footer says; `None` where that is no place.
    pub fn of(chunk: &ColumnChunk) -> Option<Self> {
        let column = chunk.meta_data.as_ref()?;
        let data = column.data_page_offset;
        let at = column.dictionary_page_offset.filter(|at| (1..data).contains(at)).unwrap_or(data);
        let end = at.checked_add(column.total_compressed_size)?;
        let compression = Compression::try_from(column.codec).ok()?;
        Some(Place { at: u64::try_from(at).ok()?, end: u64::try_from(end).ok()?, compression })
    }
}

/// Names of plain columns that are pictures.
const PICTURES: [&str; 7] = ["image", "img", "picture", "jpg", "jpeg", "png", "bytes"];
/// Names of columns of classes, the first that is there.
const LABELS: [&str; 7] = ["label", "labels", "cls", "class", "y", "target", "fine_label"];

/// The place among the columns of the one of pictures: that called `wanted`, or the one that cannot be mistaken.
pub(super) fn pictures(columns: &[Column], wanted: Option<&str>, file: &Path) -> Result<usize> {
    let of_images = |column: &Column| column.is_bytes() && matches!(column.path()[..], [_, "bytes"]);
    let plain = |column: &Column| column.is_bytes() && column.path.len() == 1;
    let usual = |column: &Column| plain(column) && PICTURES.contains(&column.name());
    let found =
        |is: &dyn Fn(&Column) -> bool| -> Vec<usize> { (0..columns.len()).filter(|i| is(&columns[*i])).collect() };
    let found = match wanted {
        Some(wanted) => found(&|column| column.name() == wanted && (plain(column) || of_images(column))),
        None => Some(found(&of_images)).filter(|found| !found.is_empty()).unwrap_or_else(|| found(&usual)),
    };
    if let [only] = found[..] {
        return Ok(only);
    }
    let mut names: Vec<&str> = columns.iter().map(Column::name).collect();
    names.dedup();
    let names = names.join(", ");
    let (problem, next) = match (found.first(), wanted) {
        (Some(first), _) => (
            format!("it has several columns of pictures (of {names})"),
            format!("Say which behind a #, such as parquet:{}#{}.", file.display(), columns[*first].name()),
        ),
        (None, Some(wanted)) => (
            format!("it has no column `{wanted}` of pictures; its columns are {names}"),
            "Name a column of bytes, or of structs with bytes, behind the #.".into(),
        ),
        (None, None) => (
            format!("it has no column of pictures; its columns are {names}"),
            "Pictures are a struct {bytes, path}, or bytes: name a column of bytes behind a #.".into(),
        ),
    };
    Err(Error::file(file, problem, next))
}

/// The place among the columns of the one of classes, where there is one of integers.
pub(super) fn labels(columns: &[Column]) -> Option<usize> {
    let is_integer = |column: &Column| [INT32, INT64].contains(&column.physical) && !column.is_repeated;
    LABELS.iter().find_map(|name| columns.iter().position(|column| is_integer(column) && column.path()[..] == [*name]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_parquet_format::{FieldRepetitionType, Type};

    fn element(name: &str, children: Option<i32>, repetition: FieldRepetitionType) -> SchemaElement {
        SchemaElement {
            type_: children.is_none().then_some(Type::BYTE_ARRAY),
            type_length: None,
            repetition_type: Some(repetition),
            name: name.into(),
            num_children: children,
            converted_type: None,
            scale: None,
            precision: None,
            field_id: None,
            logical_type: None,
        }
    }

    #[test]
    fn levels_count_what_can_be_missing_on_the_way() {
        let (required, optional) = (FieldRepetitionType::REQUIRED, FieldRepetitionType::OPTIONAL);
        let image =
            [element("image", Some(2), optional), element("bytes", None, optional), element("path", None, required)];
        let mut schema = vec![element("schema", Some(2), required)];
        schema.extend(image);
        schema.push(element("many", None, FieldRepetitionType::REPEATED));
        let columns = Column::all(&schema).unwrap();
        let found: Vec<(Vec<&str>, u32, bool)> = columns.iter().map(|c| (c.path(), c.level, c.is_repeated)).collect();
        let expected = [(vec!["image", "bytes"], 2, false), (vec!["image", "path"], 1, false), (vec!["many"], 1, true)];
        assert_eq!(found, expected);
        assert_eq!(pictures(&columns, None, Path::new("a")).unwrap(), 0);
        assert_eq!(Column::all(&schema[..3]), None);
        assert_eq!(Column::all(&vec![element("deep", Some(1), required); 100]), None);
        assert_eq!(Column::all(&[element("endless", Some(i32::MAX), required)]), None);
    }
}
