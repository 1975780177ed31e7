//! A report rendered again, in any format; nothing is measured.

use super::document::Document;
use super::parquet::parquet;
use super::tidy_files::distinct;
use super::{Artifact, FigureFormat, Finished, csv, html, notebook};
use crate::error::Result;
use clap::ValueEnum;
use clap::builder::PossibleValue;

/// What a report can be rendered as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExportFormat {
    /// One file per table.
    Csv,
    /// One file per table, typed.
    Parquet,
    /// One file per figure.
    Figure(FigureFormat),
    /// One page that needs nothing else.
    Html,
    /// One Jupyter notebook over the CSV files.
    Notebook,
}

impl ExportFormat {
    /// All formats.
    pub const ALL: [ExportFormat; 7] = [
        ExportFormat::Csv,
        ExportFormat::Parquet,
        ExportFormat::Figure(FigureFormat::Svg),
        ExportFormat::Figure(FigureFormat::Png),
        ExportFormat::Figure(FigureFormat::Pdf),
        ExportFormat::Html,
        ExportFormat::Notebook,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ExportFormat::Csv => "csv",
            ExportFormat::Parquet => "parquet",
            ExportFormat::Figure(format) => format.extension(),
            ExportFormat::Html => "html",
            ExportFormat::Notebook => "notebook",
        }
    }
}

impl ValueEnum for ExportFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

/// The files of a report; a notebook comes with the CSV files that it reads.
///
/// # Errors
///
/// A report that does not hold together: tables with rows of different lengths, charts of columns that are not there, no
/// value to draw, or names that no file can have.
pub fn export(finished: &Finished, title: Option<&str>, formats: &[ExportFormat]) -> Result<Vec<Artifact>> {
    let mut document = Document::new(finished)?;
    if let Some(title) = title {
        document.title = title.into();
    }
    let wants = |format: ExportFormat| formats.contains(&format);
    let mut artifacts = Vec::new();
    for table in &document.tables {
        let Some(frame) = &table.frame else { continue };
        let stem = &table.table.name;
        if wants(ExportFormat::Csv) || wants(ExportFormat::Notebook) {
            artifacts.push(csv::write(&format!("{stem}.csv"), &mut frame.clone())?);
        }
        if wants(ExportFormat::Parquet) {
            artifacts.push(parquet(stem, frame.clone())?);
        }
    }
    for format in FigureFormat::ALL.into_iter().filter(|format| wants(ExportFormat::Figure(*format))) {
        for drawing in &document.drawings {
            artifacts.push(drawing.figure.artifact(format)?);
        }
    }
    if wants(ExportFormat::Html) {
        artifacts.push(html::page(&document)?);
    }
    if wants(ExportFormat::Notebook) {
        artifacts.push(notebook::notebook(&document)?);
    }
    distinct(&artifacts)?;
    Ok(artifacts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic::{quality, shared_pair};
    use crate::report::{curve_csv, tidy_csv};

    #[test]
    fn every_format_of_both_kinds() {
        let names = |finished: &Finished| {
            let artifacts = export(finished, None, &ExportFormat::ALL).unwrap();
            artifacts.into_iter().map(|artifact| artifact.file_name).collect::<Vec<_>>()
        };
        let curves = ["curve.csv", "curve.parquet", "comparison.csv", "comparison.parquet"];
        let rest = ["lipschitz.svg", "lipschitz.png", "lipschitz.pdf", "report.html", "report.ipynb"];
        assert_eq!(names(&Finished::Curves(Box::new(shared_pair()))), [&curves[..], &rest].concat());
        let tables = names(&Finished::Tables(Box::new(quality())));
        assert_eq!(tables.len(), 2 + 6 + 2);
        assert!(tables.contains(&"quality-by-sampler.pdf".to_string()));
    }

    #[test]
    fn the_csv_files_are_those_of_the_measuring_command() {
        let curves = export(&Finished::Curves(Box::new(shared_pair())), None, &[ExportFormat::Csv]).unwrap();
        assert_eq!(curves[0], curve_csv(&shared_pair()).unwrap());
        let tables = export(&Finished::Tables(Box::new(quality())), None, &[ExportFormat::Csv]).unwrap();
        assert_eq!(tables, [tidy_csv(&quality().tables[0]).unwrap()]);
    }
}
