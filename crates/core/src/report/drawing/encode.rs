//! One drawing as SVG, PNG and PDF, through one parsed tree, so that the three cannot differ.

use super::font;
use crate::error::{Error, Result};
use resvg::tiny_skia::Pixmap;
use resvg::usvg::{Indent, Options, Transform, Tree, WriteOptions};

/// CSS pixels per inch, by which SVG counts.
const CSS_DPI: f32 = 96.0;
/// Resolution of the PNG.
const PNG_DPI: f32 = 300.0;
/// A PNG chunk that says 11811 pixels per metre (300 dpi), with its length and CRC.
const PNG_RESOLUTION: [u8; 21] =
    [0, 0, 0, 9, b'p', b'H', b'Y', b's', 0, 0, 0x2e, 0x23, 0, 0, 0x2e, 0x23, 1, 0x78, 0xa5, 0x3f, 0x76];
/// Signature and header chunk of a PNG; further chunks go behind.
const PNG_HEADER: usize = 8 + 25;

/// Reads elements drawn in points, as a page of `width` × `height` points.
pub(in crate::report) fn parse(drawn: &str, width: f64, height: f64) -> Result<Tree> {
    let page = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}pt\" height=\"{height}pt\" viewBox=\"0 0 {width} {height}\" \
         stroke-linejoin=\"round\" stroke-linecap=\"butt\">\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>{drawn}</svg>"
    );
    let options = Options { fontdb: font::database(), font_family: font::FAMILY.into(), ..Options::default() };
    Tree::from_str(&page, &options).map_err(failed)
}

/// The page with every letter as an outline, so that no reader's fonts matter.
pub(in crate::report) fn svg(tree: &Tree, title: &str) -> String {
    let written = written(tree);
    let Some((head, body)) = written.split_once('>') else { return written };
    let escaped = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("{head} role=\"img\">\n    <title>{escaped}</title>{body}")
}

/// What the page holds, without its root.
pub(in crate::report) fn elements(tree: &Tree) -> String {
    let written = written(tree);
    let body = written.split_once('>').map_or("", |(_, body)| body);
    body.trim_end().trim_end_matches("</svg>").trim_start().to_string()
}

fn written(tree: &Tree) -> String {
    tree.to_string(&WriteOptions {
        preserve_text: false,
        coordinates_precision: 3,
        indent: Indent::None,
        ..WriteOptions::default()
    })
}

/// The page at 300 dpi.
pub(in crate::report) fn png(tree: &Tree) -> Result<Vec<u8>> {
    let scale = PNG_DPI / CSS_DPI;
    let (width, height) = ((tree.size().width() * scale).round(), (tree.size().height() * scale).round());
    let mut pixels = Pixmap::new(width as u32, height as u32).ok_or_else(|| failed("the page has no size"))?;
    resvg::render(tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    let mut bytes = pixels.encode_png().map_err(failed)?;
    bytes.splice(PNG_HEADER..PNG_HEADER, PNG_RESOLUTION);
    Ok(bytes)
}

/// The page as a one-page document of its true size, with text that can be searched.
pub(in crate::report) fn pdf(tree: &Tree) -> Result<Vec<u8>> {
    let page = svg2pdf::PageOptions { dpi: CSS_DPI };
    svg2pdf::to_pdf(tree, svg2pdf::ConversionOptions::default(), page).map_err(failed)
}

fn failed(e: impl std::fmt::Display) -> Error {
    Error::mismatch(format!("the figure cannot be written ({e})"), "Please report this together with report.json.")
}

/// The texts of a drawing with their boxes, for tests that nothing overlaps.
#[cfg(test)]
pub(in crate::report) fn text_boxes(group: &resvg::usvg::Group) -> Vec<(String, resvg::usvg::Rect)> {
    use resvg::usvg::Node;
    let mut found = Vec::new();
    for node in group.children() {
        match node {
            Node::Group(inner) => found.extend(text_boxes(inner)),
            Node::Text(text) => {
                let words = text.chunks().iter().map(|c| c.text()).collect();
                found.push((words, text.abs_bounding_box()));
            }
            _ => {}
        }
    }
    found
}
