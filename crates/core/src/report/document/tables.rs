//! A report of tables, for readers.

use super::{Document, Drawing, Shown, Source, provenance, words};
use crate::error::Result;
use crate::report::tidy_files::{data_frame, file_stem};
use crate::report::{Chart, TidyReport, chart};

pub(super) fn document(report: &TidyReport) -> Result<Document> {
    let mut tables = Vec::new();
    for table in &report.tables {
        file_stem(&table.name)?;
        tables.push(Shown { frame: Some(data_frame(table)?), table: table.clone() });
    }
    let drawings = report.charts.iter().map(|asked| drawing(report, asked)).collect::<Result<_>>()?;
    Ok(Document {
        title: report.title.clone(),
        command: report.command.clone(),
        complete: report.complete,
        reading: report.reading.clone(),
        warnings: words(&report.warnings),
        drawings,
        tables,
        provenance: provenance(&report.provenance),
        plan: report.provenance.plan.clone(),
    })
}

fn drawing(report: &TidyReport, asked: &Chart) -> Result<Drawing> {
    file_stem(&asked.name)?;
    let source = Source::Chart(Box::new(asked.clone()));
    Drawing::new(chart::describe(report, asked)?, &asked.title, String::new(), source)
}
