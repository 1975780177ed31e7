//! `report.html`: one page that needs nothing else, offline, in light and dark.
//!
//! Tables and figures are there without scripts; with them tables are sorted by their heads, and figures are read by
//! pointer and keyboard. Words of a report are escaped wherever they stand, and a content security policy allows no
//! request and no script but the page's own.

mod escape;
mod figure;
mod glossary;

use super::document::{Document, Shown};
use super::tidy_files::column_text;
use super::{Artifact, Cell, Table, csv};
use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use escape::escaped;
use glossary::Glossary;
use serde_json::Value;
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = concat!(include_str!("page.js"), include_str!("figure.js"));
/// Longer tables are folded.
const FOLDED: usize = 30;
/// Longer words in a first column, which stays while the others scroll, are broken.
const BROKEN: usize = 20;

/// The page of a report.
pub(super) fn page(document: &Document) -> Result<Artifact> {
    let mut glossary = Glossary::default();
    let reading = document.reading.iter().map(|text| format!("<p>{}</p>\n", glossary.marked(text))).collect();
    let warnings = warnings(&document.warnings, &mut glossary);
    let drawings = document.drawings.iter().enumerate();
    let embedded_figures = drawings.map(|(i, drawing)| figure::embedded(i, drawing, &mut glossary));
    let (figures, data): (Vec<String>, Vec<Value>) = embedded_figures.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let plan = serde_json::to_string_pretty(&document.plan).map_err(|e| unwritable(&e))?;
    let values = [
        ("title", escaped(&document.title)),
        ("command", escaped(&document.command)),
        ("state", state(document.complete)),
        ("style", STYLE.to_string()),
        ("script_hash", STANDARD.encode(Sha256::digest(SCRIPT))),
        ("script", SCRIPT.to_string()),
        ("reading", reading),
        ("warnings", warnings),
        ("figures", figures.concat()),
        ("tables", document.tables.iter().map(shown).collect::<Result<String>>()?),
        ("words", glossary.list()),
        ("provenance", document.provenance.iter().map(definition).collect()),
        ("plan", escaped(&plan)),
        ("data", embedded(&Value::Array(data))),
    ];
    Ok(Artifact::new("report.html", filled(PAGE, &values)?))
}

fn unwritable(e: &dyn std::fmt::Display) -> Error {
    Error::mismatch(format!("report.html cannot be written ({e})"), "Please report this together with report.json.")
}

/// The template with every `{{name}}` replaced, in one pass: what is put in is not looked at again.
fn filled(template: &str, values: &[(&str, String)]) -> Result<String> {
    let mut parts = template.split("{{");
    let mut page = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (name, rest) = part.split_once("}}").ok_or_else(|| unwritable(&"a name without an end"))?;
        let value = values.iter().find(|(known, _)| *known == name).ok_or_else(|| unwritable(&name))?;
        page.push_str(&value.1);
        page.push_str(rest);
    }
    Ok(page)
}

/// JSON inside a script element, which no word in it can end.
fn embedded(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn state(complete: bool) -> String {
    if complete { String::new() } else { "<span class=\"state\">unfinished run</span>".into() }
}

fn warnings(warnings: &[String], glossary: &mut Glossary) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let items: String = warnings.iter().map(|text| format!("<li>{}</li>\n", glossary.marked(text))).collect();
    format!("<aside class=\"warnings\">\n<h2>Before trusting the numbers</h2>\n<ul>\n{items}</ul>\n</aside>\n")
}

fn definition((what, which): &(String, String)) -> String {
    format!("<dt>{}</dt><dd>{}</dd>\n", escaped(what), escaped(which))
}

/// A table with its head and its file; a long one is folded.
fn shown(shown: &Shown) -> Result<String> {
    let table = &shown.table;
    let file = shown.frame.as_ref().map(|frame| csv::write(&format!("{}.csv", table.name), &mut frame.clone()));
    let file = file.transpose()?.map(|file| download(&file)).unwrap_or_default();
    let head = format!("<h2>{}{file}</h2>\n", escaped(&table.title));
    let body = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">\n{}</div>\n{}",
        escaped(&table.title),
        rows(table),
        columns(table)
    );
    if table.rows.len() <= FOLDED {
        return Ok(format!("<section>\n{head}{body}</section>\n"));
    }
    let count = table.rows.len();
    Ok(format!("<section>\n{head}<details><summary>{count} rows</summary>\n{body}</details>\n</section>\n"))
}

/// What the columns are, also for those who cannot hover over their heads.
fn columns(table: &Table) -> String {
    let said = table.columns.iter().filter(|column| !column.about.is_empty());
    let entries: String = said.map(|column| definition(&(column.name.clone(), column.about.clone()))).collect();
    if entries.is_empty() {
        return entries;
    }
    format!("<details class=\"columns\"><summary>Columns</summary>\n<dl>\n{entries}</dl>\n</details>\n")
}

/// The file itself within its link: a page has no server to ask, and in a notebook no script to make it.
fn download(file: &Artifact) -> String {
    let name = escaped(&file.file_name);
    let text: String = String::from_utf8_lossy(&file.bytes).chars().map(in_address).collect();
    format!(
        "<a class=\"file\" download=\"{name}\" href=\"data:text/csv;charset=utf-8,{text}\" aria-label=\"Download {name}\">{name}</a>"
    )
}

/// A character as it stands in an address within an attribute: what either would take for its end is escaped.
fn in_address(c: char) -> String {
    match c {
        '\n' | '\r' | '\t' | ' ' | '"' | '#' | '%' | '&' | '<' | '>' | '\'' | '\\' | '?' => {
            format!("%{:02X}", c as u32)
        }
        c => c.to_string(),
    }
}

fn rows(table: &Table) -> String {
    let columns: Vec<Vec<String>> = (0..table.columns.len()).map(|i| column_text(table, i)).collect();
    let numeric: Vec<bool> = (0..table.columns.len())
        .map(|i| table.rows.iter().all(|row| row.get(i).is_none_or(|cell| cell.as_text().is_none())))
        .collect();
    let class = |i: usize| if numeric[i] { " class=\"n\"" } else { "" };
    let long = columns.first().is_some_and(|column| column.iter().any(|text| text.chars().count() > BROKEN));
    let mut html = format!("<table{}>\n<thead><tr>", if long { " class=\"long\"" } else { "" });
    for (i, column) in table.columns.iter().enumerate() {
        let (name, about) = (escaped(&column.name), escaped(&column.about));
        html.push_str(&format!(
            "<th scope=\"col\"{} title=\"{about}\"><span class=\"name\">{name}</span></th>",
            class(i)
        ));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (k, row) in table.rows.iter().enumerate() {
        html.push_str("<tr>");
        for (i, column) in columns.iter().enumerate() {
            let exact = match row.get(i) {
                Some(Cell::Number(value)) if numeric[i] && value.to_string() != column[k] => {
                    format!(" data-v=\"{value}\"")
                }
                Some(Cell::Missing(())) | None => " data-missing".into(),
                _ => String::new(),
            };
            html.push_str(&format!("<td{}{exact}>{}</td>", class(i), escaped(&column[k])));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n");
    html
}

#[cfg(test)]
mod tests;
