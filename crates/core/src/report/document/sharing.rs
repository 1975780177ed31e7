//! The sub-intervals in which a model shares its timesteps, by their numbers.

use super::Shown;
use crate::quantity::Quantity;
use crate::report::model::steps_over;
use crate::report::{Cell, ModelReport, Report, Table};

/// A row for every sub-interval of every model that shares; `None` where none does.
pub(super) fn intervals(report: &Report) -> Option<Shown> {
    let columns = [
        ("model", "label"),
        ("sub_interval", "its number, from t = 0 on"),
        ("first", "first timestep"),
        ("last", "last timestep"),
        ("told", "the t that the network is told throughout"),
        ("jump", "K from its last timestep to the next one; empty where that was not measured"),
    ];
    let mut table = Table::new("sub_intervals", "Shared sub-intervals", &columns);
    table.rows = report.models.iter().flat_map(rows).collect();
    (!table.rows.is_empty()).then_some(Shown { table, frame: None })
}

fn rows(model: &ModelReport) -> Vec<Vec<Cell>> {
    let pairs = model.model.boundaries.windows(2).enumerate();
    let row = |(i, pair): (usize, &[f64])| {
        let (first, end) = (pair[0], pair[1]);
        vec![
            Cell::text(&model.label),
            Cell::number((i + 1) as f64),
            Cell::number(first.ceil()),
            Cell::number(end.ceil() - 1.0),
            Cell::number(first),
            Cell::optional(jump(model, end)),
        ]
    };
    pairs.map(row).collect()
}

/// K over the step that crosses a boundary.
fn jump(model: &ModelReport, boundary: f64) -> Option<f64> {
    let curve = model.curves.iter().find(|curve| curve.quantity == Quantity::Secant && curve.block.is_none())?;
    curve.points.iter().find(|point| point.t_next.is_some_and(|next| steps_over(boundary, point.timestep, next)))?.mean
}

/// Sub-intervals that are named in a caption; the table has all.
const NAMED: usize = 8;

/// `1 [0, 20), 2 [20, 40)`, of the first model that shares; of many, the first ones and the last.
pub(super) fn in_words(report: &Report) -> Option<String> {
    let model = report.models.iter().find(|model| !model.model.boundaries.is_empty())?;
    let name = |(i, pair): (usize, &[f64])| format!("{}\u{a0}[{}, {})", i + 1, pair[0], pair[1]);
    let mut names: Vec<String> = model.model.boundaries.windows(2).enumerate().map(name).collect();
    if names.len() > NAMED {
        names.splice(NAMED - 2..names.len() - 1, ["…".to_string()]);
    }
    Some(names.join(", "))
}
