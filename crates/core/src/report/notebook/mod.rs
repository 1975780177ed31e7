//! `report.ipynb`: a Jupyter notebook (nbformat 4.5) that reads the CSV files and draws the figures with matplotlib.
//!
//! Its outputs are rendered here, and it says so: tables as the cells show them, figures as lipscope draws them. The same
//! report gives the same bytes.

use super::document::{Document, Drawing, Shown, Source};
use super::figure::Horizontal;
use super::{Artifact, Cell, Chart, FigureFormat, Table};
use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const SETUP: &str = include_str!("setup.py");
const CHART: &str = include_str!("chart.py");
const CURVES: &str = include_str!("curves.py");
const PARTS: &str = include_str!("parts.py");

/// How the function of the curves becomes one over the noise level.
const OVER_NOISE_LEVEL: [(&str, &str); 4] = [
    ("over all timesteps and near t = 0", "over the noise level σ/α and towards the data"),
    ("    figure, axes =", "    rows = rows.assign(timestep=rows[\"sigma\"] / rows[\"alpha\"])\n    figure, axes ="),
    (
        "        axis.set_xlabel(\"timestep t\")\n",
        "        axis.set_xscale(\"log\")\n        axis.set_xlabel(\"noise level σ/α\")\n",
    ),
    ("\"near t = 0\"", "\"towards the data\""),
];

/// Rows of a table that a cell shows.
const HEAD: usize = 8;

/// What the first cell says about the outputs.
const ABOUT: &str = "This notebook reads the CSV files beside it with pandas and draws the figures with matplotlib. Its outputs \
     were rendered by `lipscope export`: the tables as the cells show them, the figures as lipscope draws them. Running \
     the cells draws them anew with matplotlib.";

/// The notebook of a report.
pub(super) fn notebook(document: &Document) -> Result<Artifact> {
    let mut cells = Cells::default();
    cells.markdown(&introduction(document));
    let mut code = SETUP.trim_end().to_string();
    let mut functions: Vec<String> = Vec::new();
    for drawing in &document.drawings {
        let function = function(&drawing.source);
        if !functions.contains(&function) {
            code.push_str("\n\n\n");
            code.push_str(function.trim_end());
            functions.push(function);
        }
    }
    cells.code(&code, None);
    for shown in &document.tables {
        table_cells(&mut cells, shown)?;
    }
    for drawing in &document.drawings {
        cells.markdown(format!("## {}\n\n{}", markdown(&drawing.title), markdown(&drawing.about)).trim_end());
        let image = STANDARD.encode(drawing.figure.artifact(FigureFormat::Png)?.bytes);
        let output = json!({"image/png": image, "text/plain": [drawing.figure.title()]});
        // A PNG of 300 dpi would be three times as large as its letters are meant to be.
        let width = (1.5 * drawing.figure.size().0).round();
        let shown = json!({"image/png": {"width": width, "alt": drawing.figure.title()}});
        cells.code(&drawn_again(drawing)?, Some(Output::Image(output, shown)));
    }
    cells.markdown(&provenance(document)?);
    let notebook = json!({
        "cells": cells.cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    });
    let mut text = serde_json::to_string_pretty(&notebook).map_err(|e| unwritable(&e))?;
    text.push('\n');
    Ok(Artifact::new("report.ipynb", text))
}

/// The function that draws a figure.
fn function(source: &Source) -> String {
    match source {
        Source::Chart(_) => CHART.into(),
        Source::Parts { .. } => PARTS.into(),
        Source::Curves { horizontal: Horizontal::Timestep, .. } => CURVES.into(),
        Source::Curves { horizontal: Horizontal::NoiseLevel, .. } => {
            OVER_NOISE_LEVEL.iter().fold(CURVES.into(), |code, (from, to)| code.replacen(from, to, 1))
        }
    }
}

fn unwritable(e: &dyn std::fmt::Display) -> Error {
    Error::mismatch(format!("report.ipynb cannot be written ({e})"), "Please report this together with report.json.")
}

/// What a cell shows: its data by media type.
enum Output {
    /// The value of its last line.
    Value(Value),
    /// A figure, how large it is shown, and what it shows in words.
    Image(Value, Value),
}

/// Cells in their order; an id is the cell's number.
#[derive(Default)]
struct Cells {
    cells: Vec<Value>,
    executed: usize,
}

impl Cells {
    fn id(&self) -> String {
        format!("cell-{}", self.cells.len())
    }

    fn markdown(&mut self, text: &str) {
        let cell = json!({"cell_type": "markdown", "id": self.id(), "metadata": {}, "source": lines(text)});
        self.cells.push(cell);
    }

    /// A code cell with what it shows.
    fn code(&mut self, source: &str, shows: Option<Output>) {
        self.executed += 1;
        let count = self.executed;
        let output = shows.map(|shows| match shows {
            Output::Value(data) => {
                json!({"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"})
            }
            Output::Image(data, metadata) => {
                json!({"data": data, "metadata": metadata, "output_type": "display_data"})
            }
        });
        let outputs: Vec<Value> = output.into_iter().collect();
        let cell = json!({
            "cell_type": "code",
            "execution_count": count,
            "id": self.id(),
            "metadata": {},
            "outputs": outputs,
            "source": lines(source),
        });
        self.cells.push(cell);
    }
}

/// Text as the format has it: lines with their ends.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Words of a report inside Markdown, which may hold HTML and mathematics: here neither.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '$' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

fn introduction(document: &Document) -> String {
    let mut text = format!("# {}\n\n{ABOUT}\n", markdown(&document.title));
    if !document.complete {
        text.push_str("\n**The run was interrupted: numbers are missing.**\n");
    }
    for said in &document.reading {
        text.push_str(&format!("\n{}\n", markdown(said)));
    }
    if !document.warnings.is_empty() {
        text.push_str("\n**Before trusting the numbers**\n\n");
        text.extend(document.warnings.iter().map(|warning| format!("- {}\n", markdown(warning))));
    }
    text
}

/// A table: read and shown by a cell if it is a file, else as it is.
fn table_cells(cells: &mut Cells, shown: &Shown) -> Result<()> {
    let table = &shown.table;
    let heading = format!("## {}\n", markdown(&table.title));
    if shown.frame.is_none() {
        cells.markdown(&format!("{heading}\n{}", markdown_table(table)));
        return Ok(());
    }
    let about = |c: &super::Column| format!("- `{}`: {}\n", c.name.replace('`', "'"), markdown(&c.about));
    cells.markdown(&format!("{heading}\n{}", table.columns.iter().map(about).collect::<String>()));
    let name = variable(&table.name);
    let file = literal(&format!("{}.csv", table.name))?;
    let source = format!("{name} = table({file})\n{name}.head({HEAD})");
    let data = json!({"text/html": lines(&head_html(table)), "text/plain": lines(&head_text(table))});
    cells.code(&source, Some(Output::Value(data)));
    Ok(())
}

fn markdown_table(table: &Table) -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = row(table.columns.iter().map(|c| markdown(&c.name)).collect());
    text.push_str(&row(vec!["---".into(); table.columns.len()]));
    let columns: Vec<Vec<String>> =
        (0..table.columns.len()).map(|i| super::tidy_files::column_text(table, i)).collect();
    text.extend((0..table.rows.len()).map(|k| row(columns.iter().map(|c| markdown(&c[k])).collect())));
    text
}

/// A Python name for a table; with a letter in front, so that it is no keyword and no function's.
fn variable(name: &str) -> String {
    let word: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{word}_rows").trim_start_matches(|c: char| c.is_ascii_digit() || c == '_').to_string()
}

/// The first rows with all columns, in the manner of pandas.
fn head(table: &Table) -> Vec<Vec<String>> {
    let shown = |cell: &Cell| if *cell == Cell::Missing(()) { "NaN".into() } else { cell.shown() };
    table.rows.iter().take(HEAD).map(|row| row.iter().map(shown).collect()).collect()
}

fn head_html(table: &Table) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut html = String::from("<table border=\"1\" class=\"dataframe\">\n<thead><tr><th></th>");
    html.extend(table.columns.iter().map(|column| format!("<th>{}</th>", escape(&column.name))));
    html.push_str("</tr></thead>\n<tbody>\n");
    for (i, row) in head(table).into_iter().enumerate() {
        let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        html.push_str(&format!("<tr><th>{i}</th>{cells}</tr>\n"));
    }
    html.push_str("</tbody>\n</table>");
    html
}

fn head_text(table: &Table) -> String {
    let mut rows = vec![table.columns.iter().map(|column| column.name.clone()).collect::<Vec<String>>()];
    rows.extend(head(table));
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let line = |(k, row): (usize, &Vec<String>)| {
        let index = k.checked_sub(1).map_or_else(String::new, |k| k.to_string());
        let cells: String = row.iter().zip(&widths).map(|(cell, width)| format!("  {cell:>width$}")).collect();
        format!("{index:<2}{cells}")
    };
    rows.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// A string as Python writes it; JSON's escapes are Python's.
fn literal(text: &str) -> Result<String> {
    serde_json::to_string(text).map_err(|e| unwritable(&e))
}

/// The cell that draws a figure.
fn drawn_again(drawing: &Drawing) -> Result<String> {
    match &drawing.source {
        Source::Curves { until, .. } => {
            Ok(format!("curves(curve_rows, until={until}, label={})", literal(drawing.plot.y.short_label())?))
        }
        Source::Parts { kind, map } => {
            let how = if *map { "part_map" } else { "part_shares" };
            Ok(format!("{how}(attribution_rows, kind={})", literal(kind)?))
        }
        Source::Chart(chart) => chart_call(chart, drawing),
    }
}

fn chart_call(chart: &Chart, drawing: &Drawing) -> Result<String> {
    let mut rows = variable(&chart.table);
    for (column, cell) in &chart.only {
        let name = literal(column)?;
        rows = match cell {
            Cell::Number(value) => format!("{rows}[{rows}[{name}] == {value}]"),
            Cell::Text(word) => format!("{rows}[{rows}[{name}] == {}]", literal(word)?),
            Cell::Missing(()) => format!("{rows}[{rows}[{name}].isna()]"),
        };
    }
    let mut arguments =
        vec![rows, format!("x={}", literal(&chart.x.column)?), format!("y={}", literal(&chart.y.column)?)];
    if let Some((low, high)) = &chart.interval {
        arguments.push(format!("interval=({}, {})", literal(low)?, literal(high)?));
    }
    for (name, column) in [("series", &chart.series), ("panels", &chart.panels)] {
        if let Some(column) = column {
            arguments.push(format!("{name}={}", literal(column)?));
        }
    }
    for (name, log) in [("log_x", chart.x.log), ("log_y", chart.y.log)] {
        arguments.extend(log.then(|| format!("{name}=True")));
    }
    arguments.push(format!("labels=({}, {})", literal(drawing.plot.x.label())?, literal(drawing.plot.y.label())?));
    arguments.push(format!("title={}", literal(&drawing.title)?));
    Ok(format!("chart(\n    {},\n)", arguments.join(",\n    ")))
}

fn provenance(document: &Document) -> Result<String> {
    let mut text = String::from("## Provenance\n\n");
    text.push_str(&format!("- command: {}\n", markdown(&document.command)));
    let said = document.provenance.iter();
    text.extend(said.map(|(what, which)| format!("- {}: {}\n", markdown(what), markdown(which))));
    let plan = serde_json::to_string(&document.plan).map_err(|e| unwritable(&e))?;
    text.push_str(&format!("\nThe resolved plan:\n\n```json\n{}\n```\n", plan.replace("```", "\\u0060\\u0060\\u0060")));
    Ok(text)
}

#[cfg(test)]
mod tests;
