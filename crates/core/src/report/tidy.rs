//! Results that are tables rather than curves: sample quality, stability, sweeps. Every renderer reads this one type.

use super::{Provenance, Warning};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Everything that a command found out, as tables, and how they are drawn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TidyReport {
    /// [`super::SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// `false` while rows are missing.
    pub complete: bool,
    /// `evaluate`, `stability` or `reproduce`.
    pub command: String,
    /// One line for the head of a page.
    pub title: String,
    /// Provenance of the numbers.
    pub provenance: Provenance,
    /// The tables, each of them a file `<name>.csv`.
    pub tables: Vec<Table>,
    /// The figures, each of them a file `<name>.svg|png|pdf`.
    pub charts: Vec<Chart>,
    /// What the numbers come to, a sentence or two each.
    pub reading: Vec<String>,
    /// What a reader must know before trusting the numbers, with what to do about it.
    pub warnings: Vec<Warning>,
}

/// One observation per row, one variable per column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Stem of its file's name.
    pub name: String,
    /// One line for its head.
    pub title: String,
    /// What the columns are.
    pub columns: Vec<Column>,
    /// As many cells as columns.
    pub rows: Vec<Vec<Cell>>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the file.
    pub name: String,
    /// What it holds, with its unit.
    pub about: String,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A finite number.
    Number(f64),
    /// A word.
    Text(String),
    /// Not measured or not defined; an empty field in a file, never 0.
    Missing(()),
}

/// A figure of one table: lines with intervals over x, or bars where x is a word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// Stem of its file's name.
    pub name: String,
    /// One line above it.
    pub title: String,
    /// Name of the table.
    pub table: String,
    /// Only rows that hold these values, column and value.
    #[serde(default)]
    pub only: Vec<(String, Cell)>,
    /// Horizontal axis. A column of words gives categories in the order of their rows.
    pub x: ChartAxis,
    /// Vertical axis.
    pub y: ChartAxis,
    /// Columns of the lower and upper end of a row's interval.
    #[serde(default)]
    pub interval: Option<(String, String)>,
    /// The column that tells lines apart.
    #[serde(default)]
    pub series: Option<String>,
    /// The column that tells panels apart, side by side.
    #[serde(default)]
    pub panels: Option<String>,
}

/// An axis of a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChartAxis {
    /// The column.
    pub column: String,
    /// Label, with the unit.
    pub label: String,
    /// Whether it is logarithmic.
    #[serde(default)]
    pub log: bool,
}

impl Cell {
    /// A number, missing where it is not finite.
    pub fn number(value: f64) -> Cell {
        if value.is_finite() { Cell::Number(value) } else { Cell::Missing(()) }
    }

    /// A number, missing where there is none.
    pub fn optional(value: Option<f64>) -> Cell {
        value.map_or(Cell::Missing(()), Cell::number)
    }

    /// A word.
    pub fn text(value: impl Into<String>) -> Cell {
        Cell::Text(value.into())
    }

    /// The number, where it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Cell::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// The word, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Cell::Text(value) => Some(value),
            _ => None,
        }
    }

    /// For readers: the word, the number with the shortest digits that are its own, or an en dash.
    pub fn shown(&self) -> String {
        match self {
            Cell::Number(value) => value.to_string(),
            Cell::Text(value) => value.clone(),
            Cell::Missing(()) => "–".into(),
        }
    }
}

impl Table {
    /// An empty table.
    pub fn new(name: &str, title: &str, columns: &[(&str, &str)]) -> Table {
        let column = |(name, about): &(&str, &str)| Column { name: (*name).into(), about: (*about).into() };
        Table {
            name: name.into(),
            title: title.into(),
            columns: columns.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    /// Index of a column.
    ///
    /// # Errors
    ///
    /// The table has no such column.
    pub fn column(&self, name: &str) -> Result<usize> {
        self.columns.iter().position(|column| column.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            let problem = format!("the table `{}` has no column `{name}`", self.name);
            Error::mismatch(problem, format!("It has {}.", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_their_kind_in_json() {
        let row = vec![Cell::number(0.5), Cell::text("ddim"), Cell::number(f64::NAN)];
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(text, r#"[0.5,"ddim",null]"#);
        assert_eq!(serde_json::from_str::<Vec<Cell>>(&text).unwrap(), row);
    }

    #[test]
    fn a_missing_column_is_named() {
        let table = Table::new("quality", "Quality", &[("nfe", "network evaluations")]);
        assert_eq!(table.column("nfe").unwrap(), 0);
        assert!(table.column("fid").unwrap_err().to_string().contains("has no column `fid`"));
    }
}
