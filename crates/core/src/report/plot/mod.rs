//! One grammar for every figure: a [`Plot`] says what it shows, panels of traces over two axes, and [`draw`] draws it.
//!
//! On a logarithmic axis, values at or below 0 stand in a strip below it, a row per series; jumps between them rise from
//! it as stems.

mod axis;
mod grammar;
mod layer;
mod layout;
mod legend;
mod panel;
mod run;
pub(in crate::report) mod scale;
mod tiles;

use super::Figure;
use super::drawing::font;
use super::drawing::ink::Ink;
use crate::error::Result;
use layout::Sheet;

pub(in crate::report) use grammar::{Form, Mark, Panel, Plot, Series, Spot, Trace, Variable};

/// Draws a plot: the figure, and the values of every panel where they stand in it.
pub(in crate::report) fn draw(plot: &Plot) -> Result<(Figure, Vec<Vec<Mark>>)> {
    font::register()?;
    let sheet = Sheet::new(plot);
    let ink = Ink::default();
    let marks = sheet.draw(&ink);
    let figure = Figure::new(ink, (sheet.width, sheet.height), &plot.name, plot.description.clone())?;
    Ok((figure, marks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{chart, figure, synthetic};

    #[test]
    fn every_value_is_marked_where_it_is_drawn() {
        let report = synthetic::shared_pair();
        let plot = figure::describe(&report).unwrap();
        let (figure, marks) = draw(&plot).unwrap();
        assert_eq!(marks.len(), 2);
        assert_eq!(marks[0].len(), plot.panels[0].traces.iter().map(|t| t.spots.len()).sum::<usize>());
        let (width, height) = (0.75 * figure.tree().size().width(), 0.75 * figure.tree().size().height());
        for mark in marks.iter().flatten() {
            assert!((0.0..f64::from(width)).contains(&mark.at.0) && (0.0..f64::from(height)).contains(&mark.at.1));
        }
        let higher = |a: &Mark, b: &Mark| a.spot.y > b.spot.y && a.at.1 > b.at.1;
        assert!(!marks[0].iter().zip(&marks[0][1..]).any(|(a, b)| higher(a, b)), "larger values stand higher");
    }

    #[test]
    fn charts_mark_every_row_once() {
        let report = synthetic::quality();
        let (_, marks) = draw(&chart::describe(&report, &report.charts[0]).unwrap()).unwrap();
        assert_eq!(marks.iter().map(Vec::len).sum::<usize>(), report.tables[0].rows.len());
    }
}
