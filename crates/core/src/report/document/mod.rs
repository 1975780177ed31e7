//! What a page and a notebook show of a report, whichever kind it is: words, tables, plots.

mod curves;
mod sharing;
mod tables;

use super::figure::Horizontal;
use super::plot::{self, Plot};
use super::{Cell, Chart, Figure, Finished, Provenance, Table, Warning};
use crate::error::Result;
use polars::prelude::{AnyValue, DataFrame};
use serde_json::Value;

/// A report for readers.
pub(super) struct Document {
    /// The head of the page.
    pub title: String,
    /// The command that measured.
    pub command: String,
    /// `false` where the run was interrupted.
    pub complete: bool,
    /// What the numbers come to.
    pub reading: Vec<String>,
    /// What a reader must know before trusting them.
    pub warnings: Vec<String>,
    /// The figures.
    pub drawings: Vec<Drawing>,
    /// The tables.
    pub tables: Vec<Shown>,
    /// Provenance: what and which.
    pub provenance: Vec<(String, String)>,
    /// Every setting that the numbers depend on.
    pub plan: Value,
}

/// A table for readers.
pub(super) struct Shown {
    /// Words and numbers.
    pub table: Table,
    /// What stands in its file; `None` for a table that is only for readers.
    pub frame: Option<DataFrame>,
}

/// A figure for readers.
pub(super) struct Drawing {
    /// What it shows.
    pub plot: Plot,
    /// The picture.
    pub figure: Figure,
    /// The line above it.
    pub title: String,
    /// What its vertical axis shows, in full; empty where the label says it.
    pub about: String,
    /// How it is drawn again from the files.
    pub source: Source,
}

impl Drawing {
    fn new(plot: Plot, title: &str, about: String, source: Source) -> Result<Drawing> {
        let (figure, _) = plot::draw(&plot)?;
        Ok(Drawing { plot, figure, title: title.into(), about, source })
    }
}

/// Where the values of a figure are.
pub(super) enum Source {
    /// In `curve.csv`.
    Curves {
        /// Where the window near the data ends on the horizontal axis.
        until: f64,
        /// What that axis shows.
        horizontal: Horizontal,
    },
    /// In `attribution.csv`: the parts of a kind, as a map of their norms or as stacked shares.
    Parts {
        /// `site` or `frequency`.
        kind: &'static str,
        /// Whether it is the map.
        map: bool,
    },
    /// In the chart's table.
    Chart(Box<Chart>),
}

impl Document {
    /// Arranges a report.
    ///
    /// # Errors
    ///
    /// What does not hold together: see [`super::export()`].
    pub fn new(finished: &Finished) -> Result<Document> {
        match finished {
            Finished::Curves(report) => curves::document(report),
            Finished::Tables(report) => tables::document(report),
        }
    }
}

fn words(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(ToString::to_string).collect()
}

/// What both kinds say about how the numbers came about.
fn provenance(provenance: &Provenance) -> Vec<(String, String)> {
    let mut said = vec![("began".to_string(), provenance.began.clone())];
    said.push(("wall time".into(), format!("{:.1} s", provenance.wall_seconds)));
    said.push(("device".into(), format!("{}, {} CPU threads", provenance.device, provenance.threads)));
    said.extend(provenance.versions.iter().map(|(name, version)| (name.clone(), version.clone())));
    said.extend(provenance.basis_lines().into_iter().map(|(label, line)| (format!("{label}: rests on"), line)));
    if let Some(seed) = provenance.plan.get("seed") {
        said.push(("seed".into(), seed.to_string()));
    }
    said
}

/// A data frame as a table; `about` says what the columns are, in their order.
fn table(name: &str, title: &str, frame: &DataFrame, about: &[&str]) -> Table {
    let names: Vec<(&str, &str)> = frame
        .columns()
        .iter()
        .enumerate()
        .map(|(i, column)| (column.name().as_str(), about.get(i).copied().unwrap_or_default()))
        .collect();
    let mut table = Table::new(name, title, &names);
    let cell = |value: polars::prelude::PolarsResult<AnyValue>| match value {
        Ok(AnyValue::String(word)) => Cell::text(word),
        Ok(value) => Cell::optional(value.extract::<f64>()),
        Err(_) => Cell::Missing(()),
    };
    table.rows = (0..frame.height()).map(|i| frame.columns().iter().map(|c| cell(c.get(i))).collect()).collect();
    table
}
