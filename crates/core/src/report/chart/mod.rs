//! Charts of tables: lines with intervals over numbers, or dots with intervals over words; panels side by side.

mod data;

use super::drawing::style::look;
use super::plot::{self, Form, Plot, Series, Variable};
use super::{Chart, Figure, TidyReport};
use crate::error::Result;
use data::{DENSE, Data};

/// Draws a chart of a report: one column wide, or two where it has several panels or many words.
///
/// # Errors
///
/// A table or column that is not there, words on the vertical axis, or nothing to draw.
pub fn chart(report: &TidyReport, chart: &Chart) -> Result<Figure> {
    Ok(plot::draw(&describe(report, chart)?)?.0)
}

/// What a chart of a report shows.
pub(super) fn describe(report: &TidyReport, chart: &Chart) -> Result<Plot> {
    let data = Data::new(report, chart)?;
    let words = !data.categories.is_empty();
    let series = |(i, name)| Series { name, look: look(i, false), boundaries: Vec::new() };
    let mut plot = Plot {
        name: chart.name.clone(),
        title: chart.title.clone(),
        description: format!("{}: {} over {}", chart.title, chart.y.label, chart.x.label),
        x: Variable::new(&chart.x.label, chart.x.log && !words),
        y: Variable::new(&chart.y.label, chart.y.log),
        series: data.series.into_iter().enumerate().map(series).collect(),
        bands: !words && data.panels.iter().flat_map(|panel| &panel.traces).any(|trace| trace.spots.len() > DENSE),
        categories: data.categories,
        panels: data.panels,
        stacked: false,
        form: Form::Lines,
    };
    // Without a positive value no axis is logarithmic.
    plot.y.log = chart.y.log && plot.spots().any(|spot| spot.y.is_some_and(|y| y > 0.0));
    Ok(plot)
}

#[cfg(test)]
mod tests;
