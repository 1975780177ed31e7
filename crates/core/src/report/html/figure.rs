//! A figure within a page: the SVG itself, in the page's colours, and its values where they stand in it.

use super::escape::escaped;
use super::glossary::Glossary;
use crate::error::Result;
use crate::report::document::Drawing;
use crate::report::plot::{self, Mark, Plot};
use serde_json::{Value, json};

/// Pixels of the page per pixel of the figure: letters of a figure are small beside those of a page.
const ENLARGED: f32 = 1.5;
/// Figures of up to one column shrink with a narrow window; wider ones are scrolled there.
const SHRINKS: f32 = 340.0;

/// The figure of this number, with the line above it and the words below, and its values. The first one is described by
/// the reading, for those who do not see it.
pub(super) fn embedded(i: usize, drawing: &Drawing, glossary: &mut Glossary) -> Result<(String, Value)> {
    // The page has the title in its own letters.
    let plot = Plot { title: String::new(), ..drawing.plot.clone() };
    let (figure, marks) = plot::draw(&plot)?;
    let (title, about) = (escaped(&drawing.title), escaped(figure.title()));
    let (width, height) = figure.size();
    let caption = match drawing.about.as_str() {
        "" => String::new(),
        text => format!("<figcaption>{}</figcaption>\n", glossary.marked(text)),
    };
    let least = if width > SHRINKS { format!("min-width:{width:.0}px;") } else { String::new() };
    let style = format!("{least}width:{:.0}px", ENLARGED * width);
    // A sheet that scrolls can be scrolled by the keyboard, with scripts and without.
    let described = if i == 0 { " aria-describedby=\"reading\"" } else { "" };
    let html = format!(
        "<figure data-plot=\"{i}\">\n<h2>{title}</h2>\n<div class=\"sheet\">\n\
         <svg viewBox=\"0 0 {width} {height}\" style=\"{style}\" role=\"img\" aria-label=\"{about}\"{described} tabindex=\"0\">\n{}</svg>\n</div>\n\
         {caption}</figure>\n",
        grouped(&figure.elements())
    );
    Ok((html, values(&plot, &marks)))
}

/// The elements of a figure with its groups as data: a page may hold several figures, whose ids would meet.
fn grouped(elements: &str) -> String {
    let mut parts = elements.split("<g id=\"");
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (id, rest) = part.split_once('"').unwrap_or((part, ""));
        let name = id.split_once('.').map_or(id, |(name, _)| name);
        match name.split_once('-') {
            Some((kind, number)) => out.push_str(&format!("<g data-{kind}=\"{number}\"{rest}")),
            None => out.push_str(&format!("<g{rest}")),
        }
    }
    out
}

/// What a reader's pointer finds: [series, place, x, y, low, high] for every point of every panel.
fn values(plot: &Plot, marks: &[Vec<Mark>]) -> Value {
    let rounded = |place: f64| (place * 100.0).round() / 100.0;
    let mark = |mark: &Mark| {
        let (low, high) = mark.spot.interval.unzip();
        json!([mark.series, rounded(mark.at.0), rounded(mark.at.1), mark.spot.x, mark.spot.y, low, high])
    };
    json!({
        "x": plot.x.short_label(),
        "y": plot.y.short_label(),
        "series": plot.series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>(),
        "categories": plot.categories,
        "panels": marks.iter().map(|marks| marks.iter().map(mark).collect()).collect::<Vec<Vec<Value>>>(),
    })
}
