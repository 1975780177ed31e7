//! Which columns hold pictures and classes.

use crate::error::{Error, Result};
use polars_parquet::parquet::metadata::ColumnChunkMetadata;
use polars_parquet::parquet::schema::types::PhysicalType;
use std::path::Path;

/// A column in one row group.
pub(super) type Column = ColumnChunkMetadata;

/// Names of plain columns that are pictures.
const PICTURES: [&str; 7] = ["image", "img", "picture", "jpg", "jpeg", "png", "bytes"];
/// Names of columns of classes, the first that is there.
const LABELS: [&str; 7] = ["label", "labels", "cls", "class", "y", "target", "fine_label"];

fn path(column: &Column) -> Vec<&str> {
    column.descriptor().path_in_schema.iter().map(|part| part.as_str()).collect()
}

fn is_bytes(column: &Column) -> bool {
    column.physical_type() == PhysicalType::ByteArray && column.descriptor().descriptor.max_rep_level == 0
}

/// The column of pictures: that called `wanted`, or the one that cannot be mistaken.
pub(super) fn pictures<'c>(columns: &'c [Column], wanted: Option<&str>, file: &Path) -> Result<&'c Column> {
    let name = |column: &Column| path(column).first().map(|name| name.to_string()).unwrap_or_default();
    let of_images = |column: &&Column| is_bytes(column) && matches!(path(column)[..], [_, "bytes"]);
    let plain = |column: &&Column| is_bytes(column) && matches!(path(column)[..], [name] if PICTURES.contains(&name));
    let found: Vec<&Column> = match wanted {
        Some(wanted) => {
            let called = columns.iter().filter(|column| name(column) == wanted && is_bytes(column));
            called.filter(|column| path(column).len() == 1 || of_images(column)).collect()
        }
        None => {
            let images: Vec<&Column> = columns.iter().filter(of_images).collect();
            if images.is_empty() { columns.iter().filter(plain).collect() } else { images }
        }
    };
    if let [only] = found[..] {
        return Ok(only);
    }
    let mut names: Vec<String> = columns.iter().map(name).collect();
    names.dedup();
    let names = names.join(", ");
    let (problem, next) = match (found.first(), wanted) {
        (Some(first), _) => (
            format!("it has several columns of pictures (of {names})"),
            format!("Say which behind a #, such as parquet:{}#{}.", file.display(), name(first)),
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

/// The column of classes, where there is one of integers.
pub(super) fn labels(columns: &[Column]) -> Option<&Column> {
    let is_integer = |column: &&Column| {
        matches!(column.physical_type(), PhysicalType::Int32 | PhysicalType::Int64)
            && column.descriptor().descriptor.max_rep_level == 0
    };
    LABELS.iter().find_map(|wanted| columns.iter().filter(is_integer).find(|column| path(column)[..] == [*wanted]))
}
