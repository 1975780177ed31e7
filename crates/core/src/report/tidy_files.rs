//! A report of tables as files and as text: `report.json`, one `<table>.csv` each, the charts, and what the terminal
//! shows.

use super::csv::{column, floats, steps, write};
use super::table::{number, one_line, render};
use super::{Artifact, Cell, FigureFormat, Table, TidyReport, chart};
use crate::error::{Error, Result};
use polars::prelude::{Column, DataFrame};

/// Rows that the terminal shows at most, per table.
const ROWS: usize = 40;

/// `<table>.csv`: what is missing is an empty field; floats have the shortest digits that read back to the same bits.
///
/// # Errors
///
/// A row with more or fewer cells than columns, two columns of one name, or a name that is no file's.
pub fn tidy_csv(table: &Table) -> Result<Artifact> {
    let stem = file_stem(&table.name)?;
    write(&format!("{stem}.csv"), &mut data_frame(table)?)
}

/// The table with typed columns: whole numbers, floats or words.
pub(super) fn data_frame(table: &Table) -> Result<DataFrame> {
    let width = table.columns.len();
    if let Some((i, row)) = table.rows.iter().enumerate().find(|(_, row)| row.len() != width) {
        let problem = format!("row {i} of the table `{}` has {} cells for {width} columns", table.name, row.len());
        return Err(Error::mismatch(problem, "Take the report as lipscope wrote it."));
    }
    let columns = (0..width).map(|i| typed(table, i)).collect();
    DataFrame::new_infer_height(columns).map_err(|e| {
        let problem = format!("the table `{}` does not hold together ({e})", table.name);
        Error::mismatch(problem, "Take the report as lipscope wrote it.")
    })
}

fn typed(table: &Table, i: usize) -> Column {
    let cells = || table.rows.iter().map(|row| &row[i]);
    let name = &table.columns[i].name;
    if cells().any(|cell| cell.as_text().is_some()) {
        let word = |cell: &Cell| (*cell != Cell::Missing(())).then(|| cell.shown());
        return column(name, cells().map(word).collect::<Vec<Option<String>>>());
    }
    let numbers: Vec<Option<f64>> = cells().map(Cell::as_number).collect();
    if numbers.iter().all(Option::is_none) { floats(name, numbers) } else { steps(name, numbers) }
}

/// report.json, the tables, and the charts in these formats.
///
/// # Errors
///
/// As [`tidy_csv`] and [`chart()`], and two files of one name.
pub fn tidy_files(report: &TidyReport, formats: &[FigureFormat]) -> Result<Vec<Artifact>> {
    let json = serde_json::to_string(report)
        .map_err(|e| Error::mismatch(format!("JSON cannot be written ({e})"), "Report this."))?;
    let mut artifacts = vec![Artifact::new("report.json", json)];
    for table in &report.tables {
        artifacts.push(tidy_csv(table)?);
    }
    for asked in report.charts.iter().filter(|_| !formats.is_empty()) {
        file_stem(&asked.name)?;
        let figure = chart(report, asked)?;
        for format in formats {
            artifacts.push(figure.artifact(*format)?);
        }
    }
    distinct(&artifacts)?;
    Ok(artifacts)
}

/// The name as the stem of a file in the folder itself, whatever a foreign report holds.
pub(super) fn file_stem(name: &str) -> Result<&str> {
    let harmless = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && name.len() <= 120 && name.chars().all(harmless) && !name.starts_with('.') {
        return Ok(name);
    }
    let problem = format!("`{}` names a table or a chart, and no file can be called so", one_line(name));
    Err(Error::mismatch(problem, "Names have letters, digits, dashes, underscores and dots, at most 120."))
}

/// That no file would be written over another.
pub(super) fn distinct(artifacts: &[Artifact]) -> Result<()> {
    for (i, artifact) in artifacts.iter().enumerate() {
        if artifacts[..i].iter().any(|other| other.file_name == artifact.file_name) {
            let problem = format!("two parts of the report would both be the file {}", artifact.file_name);
            return Err(Error::mismatch(problem, "Give tables and charts names of their own."));
        }
    }
    Ok(())
}

/// The table for a terminal of `width` columns: its title, its first rows, and what is left out of them.
pub fn tidy_text(table: &Table, width: u16) -> String {
    let title = one_line(&table.title);
    if table.rows.is_empty() {
        return format!("{title}\n(no rows yet)");
    }
    let header: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let shown: Vec<Vec<String>> = (0..header.len()).map(|i| column_text(table, i)).collect();
    let row = |k: usize| shown.iter().map(|column| column[k].clone()).collect::<Vec<String>>();
    let rows: Vec<Vec<String>> = (0..table.rows.len().min(ROWS)).map(row).collect();
    let drawn = render(&header, &rows, width);
    let mut left_out = Vec::new();
    let columns = header.iter().filter(|name| !drawn.lines().next().unwrap_or_default().contains(**name)).count();
    if table.rows.len() > ROWS {
        left_out.push(format!("{} more rows", table.rows.len() - ROWS));
    }
    if columns > 0 {
        left_out.push(format!("{columns} more columns"));
    }
    let rest =
        if left_out.is_empty() { String::new() } else { format!("\n({} in {}.csv)", left_out.join(", "), table.name) };
    format!("{title}\n{drawn}{rest}")
}

/// A column for readers: whole numbers in full, others with three digits, an en dash for what is missing.
pub(super) fn column_text(table: &Table, i: usize) -> Vec<String> {
    let cells = || table.rows.iter().map(|row| row.get(i).unwrap_or(&Cell::Missing(())));
    let whole = cells().filter_map(Cell::as_number).all(|v| v.fract() == 0.0 && v.abs() < 1e12);
    let text = |cell: &Cell| match cell {
        Cell::Number(value) if whole => value.to_string(),
        Cell::Number(value) => number(Some(*value)),
        Cell::Text(word) => one_line(word),
        Cell::Missing(()) => "–".into(),
    };
    cells().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic::quality;

    fn text(artifact: &Artifact) -> String {
        String::from_utf8(artifact.bytes.clone()).unwrap()
    }

    #[test]
    fn tables_become_files_with_typed_columns() {
        let mut table = Table::new("odd", "Odd", &[("word", ""), ("count", ""), ("value", ""), ("none", "")]);
        let missing = Cell::Missing(());
        table.rows = vec![
            vec![Cell::text("a, \"b\""), Cell::number(5.0), Cell::number(0.1 + 0.2), missing.clone()],
            vec![missing.clone(), missing.clone(), Cell::number(1.0), missing.clone()],
            vec![Cell::number(2.0), Cell::number(7.0), missing.clone(), missing],
        ];
        let csv = tidy_csv(&table).unwrap();
        assert_eq!(csv.file_name, "odd.csv");
        let expected = "word,count,value,none\n\"a, \"\"b\"\"\",5,0.30000000000000004,\n,,1.0,\n2,7,,\n";
        assert_eq!(text(&csv), expected);
    }

    #[test]
    fn a_header_stands_over_no_rows() {
        assert_eq!(text(&tidy_csv(&Table::new("t", "T", &[("x", ""), ("y", "")])).unwrap()), "x,y\n");
    }

    #[test]
    fn broken_tables_and_hostile_names_are_refused() {
        let mut table = Table::new("t", "T", &[("x", "")]);
        table.rows.push(vec![Cell::number(1.0); 2]);
        assert!(tidy_csv(&table).unwrap_err().to_string().contains("2 cells for 1 columns"));
        let twice = Table::new("t", "T", &[("x", ""), ("x", "")]);
        assert!(tidy_csv(&twice).is_err());
        for name in ["../t", "a/b", "", ".hidden", "c:\\t", "a\0"] {
            let error = tidy_csv(&Table::new(name, "T", &[("x", "")])).unwrap_err().to_string();
            assert!(error.contains("no file can be called so"), "{error}");
        }
    }

    #[test]
    fn everything_is_written_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = quality();
        let files =
            crate::report::write_all(folder.path(), &tidy_files(&report, &[FigureFormat::Svg]).unwrap()).unwrap();
        let names: Vec<String> = files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into()).collect();
        assert_eq!(names, ["report.json", "quality.csv", "quality-over-nfe.svg", "quality-by-sampler.svg"]);
        let read: TidyReport = serde_json::from_str(&std::fs::read_to_string(&files[0]).unwrap()).unwrap();
        assert_eq!(read.tables, report.tables);
        let empty = tempfile::tempdir().unwrap();
        report.charts[1].name = "quality-over-nfe".into();
        let error = tidy_files(&report, &[FigureFormat::Svg]).unwrap_err().to_string();
        assert!(error.contains("quality-over-nfe.svg"), "{error}");
        report.charts[1].name = "../evil".into();
        assert!(tidy_files(&report, &[FigureFormat::Svg]).is_err());
        assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_terminal_gets_what_fits() {
        let mut table = quality().tables.remove(0);
        let wide = tidy_text(&table, 120);
        assert!(wide.starts_with("Sample quality\n") && wide.contains("frechet_ci_high"), "{wide}");
        assert!(wide.contains("DDPM") && wide.contains(" 100 ") && wide.contains("84.0"), "{wide}");
        let narrow = tidy_text(&table, 60);
        assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
        assert!(narrow.ends_with("more columns in quality.csv)"), "{narrow}");
        let row = table.rows[0].clone();
        table.rows.resize(50, row);
        assert!(tidy_text(&table, 120).contains("(10 more rows in quality.csv)"));
        table.rows.clear();
        assert!(tidy_text(&table, 120).contains("no rows yet"));
    }
}
