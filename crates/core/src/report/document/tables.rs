//! A report of tables, for readers.

use super::{Document, Plot, Shown, Source, provenance, words};
use crate::error::Result;
use crate::report::chart::data::Data;
use crate::report::tidy_files::{data_frame, file_stem};
use crate::report::{Chart, TidyReport, chart};

pub(super) fn document(report: &TidyReport) -> Result<Document> {
    let mut tables = Vec::new();
    for table in &report.tables {
        file_stem(&table.name)?;
        tables.push(Shown { frame: Some(data_frame(table)?), table: table.clone() });
    }
    let plots = report.charts.iter().map(|asked| plot(report, asked)).collect::<Result<_>>()?;
    Ok(Document {
        title: report.title.clone(),
        command: report.command.clone(),
        complete: report.complete,
        reading: report.reading.clone(),
        warnings: words(&report.warnings),
        plots,
        tables,
        provenance: provenance(&report.provenance),
        plan: report.provenance.plan.clone(),
    })
}

fn plot(report: &TidyReport, asked: &Chart) -> Result<Plot> {
    file_stem(&asked.name)?;
    Ok(Plot {
        figure: chart(report, asked)?,
        title: asked.title.clone(),
        about: String::new(),
        data: Data::new(report, asked)?,
        x: (asked.x.label.clone(), asked.x.log),
        y: (asked.y.label.clone(), asked.y.log),
        source: Source::Chart(Box::new(asked.clone())),
    })
}
