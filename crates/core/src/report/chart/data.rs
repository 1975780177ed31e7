//! From the rows of a table to what a chart shows: panels of lines or dots, with every value as it stands in the table.

use crate::error::{Error, Result};
use crate::report::{Cell, Chart, Table, TidyReport};
use serde::Serialize;

/// What one chart shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::report) struct Data {
    /// Names of the series; one without a name where nothing tells lines apart.
    pub series: Vec<String>,
    /// Names of the places on the x axis; empty where x is a number.
    pub categories: Vec<String>,
    /// Panels, side by side.
    pub panels: Vec<PanelData>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::report) struct PanelData {
    /// The line above it; empty for a panel that stands alone.
    pub caption: String,
    /// Its lines.
    pub traces: Vec<Trace>,
    /// Ends of the intervals of x that are shaded in turns.
    pub shades: Vec<f64>,
}

/// The points of one series within one panel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::report) struct Trace {
    /// Index of the series.
    pub series: usize,
    /// By ascending x.
    pub spots: Vec<Spot>,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(in crate::report) struct Spot {
    /// Where it stands, a category by its index.
    pub x: f64,
    /// `None` breaks the line.
    pub y: Option<f64>,
    /// 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// Whether it rises alone from zeros: no line joins it to its neighbours.
    pub jump: bool,
}

impl Data {
    /// Reads the chart's rows.
    ///
    /// # Errors
    ///
    /// A table or a column that does not exist, words where numbers are needed, or nothing to draw.
    pub fn new(report: &TidyReport, chart: &Chart) -> Result<Data> {
        let table = report.tables.iter().find(|table| table.name == chart.table).ok_or_else(|| {
            let names: Vec<&str> = report.tables.iter().map(|table| table.name.as_str()).collect();
            let problem = format!("the chart `{}` shows the table `{}`, which is not there", chart.name, chart.table);
            Error::mismatch(problem, format!("The report has {}.", names.join(", ")))
        })?;
        let rows = chosen(table, chart)?;
        let columns = Columns::new(table, chart)?;
        let words = rows.iter().any(|row| matches!(row.get(columns.x), Some(Cell::Text(_))));
        let mut data = Data { series: Vec::new(), categories: Vec::new(), panels: Vec::new() };
        for row in rows {
            columns.add(&mut data, row, words, chart)?;
        }
        for trace in data.panels.iter_mut().flat_map(|panel| &mut panel.traces) {
            trace.spots.sort_by(|a, b| a.x.total_cmp(&b.x));
        }
        if data.spots().all(|spot| spot.y.is_none()) {
            let problem = format!("the chart `{}` has nothing to draw: no row that it shows has a value", chart.name);
            return Err(Error::mismatch(problem, "Export the tables alone, or finish the run first."));
        }
        Ok(data)
    }

    /// All points of all panels.
    pub fn spots(&self) -> impl Iterator<Item = &Spot> {
        self.panels.iter().flat_map(|panel| &panel.traces).flat_map(|trace| &trace.spots)
    }
}

/// The rows that hold what the chart asks for.
fn chosen<'a>(table: &'a Table, chart: &Chart) -> Result<Vec<&'a [Cell]>> {
    let wanted: Vec<(usize, &Cell)> =
        chart.only.iter().map(|(name, cell)| table.column(name).map(|i| (i, cell))).collect::<Result<_>>()?;
    let holds = |row: &&Vec<Cell>| wanted.iter().all(|(i, cell)| row.get(*i) == Some(*cell));
    Ok(table.rows.iter().filter(holds).map(Vec::as_slice).collect())
}

/// Where the chart's variables stand in a row.
struct Columns {
    x: usize,
    y: usize,
    interval: Option<(usize, usize)>,
    series: Option<usize>,
    panels: Option<usize>,
}

impl Columns {
    fn new(table: &Table, chart: &Chart) -> Result<Columns> {
        let ends = chart.interval.as_ref();
        let optional = |name: &Option<String>| name.as_ref().map(|name| table.column(name)).transpose();
        Ok(Columns {
            x: table.column(&chart.x.column)?,
            y: table.column(&chart.y.column)?,
            interval: ends.map(|(low, high)| Ok((table.column(low)?, table.column(high)?))).transpose()?,
            series: optional(&chart.series)?,
            panels: optional(&chart.panels)?,
        })
    }

    fn add(&self, data: &mut Data, row: &[Cell], words: bool, chart: &Chart) -> Result<()> {
        let cell = |i: usize| row.get(i).unwrap_or(&Cell::Missing(()));
        // A number alone does not say what it is.
        let name = |i: Option<usize>, column: &Option<String>| match (i.map(cell), column) {
            (Some(number @ Cell::Number(_)), Some(column)) => format!("{column} = {}", number.shown()),
            (Some(other), _) => other.shown(),
            (None, _) => String::new(),
        };
        // A word without a value anywhere has no place, and a panel of such words is none.
        if words && *cell(self.y) == Cell::Missing(()) {
            return Ok(());
        }
        let x = match (words, cell(self.x)) {
            (_, Cell::Missing(())) => None,
            (true, cell) => Some(place(&mut data.categories, cell.shown()) as f64),
            (false, cell) => cell.as_number(),
        };
        // A row without a place makes no series and no panel.
        let Some(x) = x else { return Ok(()) };
        let series = place(&mut data.series, name(self.series, &chart.series));
        let caption = name(self.panels, &chart.panels);
        let panel = match data.panels.iter().position(|panel| panel.caption == caption) {
            Some(there) => there,
            None => {
                data.panels.push(PanelData { caption, traces: Vec::new(), shades: Vec::new() });
                data.panels.len() - 1
            }
        };
        if let Some(word) = cell(self.y).as_text() {
            let problem =
                format!("the chart `{}` draws `{}`, which holds the word `{word}`", chart.name, chart.y.column);
            return Err(Error::mismatch(problem, "A vertical axis takes numbers; draw another column."));
        }
        let ends = self.interval.and_then(|(low, high)| cell(low).as_number().zip(cell(high).as_number()));
        let traces = &mut data.panels[panel].traces;
        let trace = match traces.iter().position(|trace| trace.series == series) {
            Some(there) => there,
            None => {
                traces.push(Trace { series, spots: Vec::new() });
                traces.len() - 1
            }
        };
        traces[trace].spots.push(Spot { x, y: cell(self.y).as_number(), interval: ends, jump: false });
        Ok(())
    }
}

/// Index of a name, which is added if it is new.
fn place(names: &mut Vec<String>, name: String) -> usize {
    names.iter().position(|known| *known == name).unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    })
}
