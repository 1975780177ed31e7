//! From the rows of a table to what a chart shows: panels of lines or dots, with every value as it stands in the table.

use crate::error::{Error, Result};
use crate::report::plot::{Panel, Spot, Trace};
use crate::report::{Cell, Chart, Table, TidyReport};

/// Lines of more points have a band along them.
pub(super) const DENSE: usize = 30;

/// What one chart shows.
pub(super) struct Data {
    /// Names of the series; one without a name where nothing tells lines apart.
    pub series: Vec<String>,
    /// Names of the places on the x axis; empty where x is a number.
    pub categories: Vec<String>,
    /// Panels, side by side.
    pub panels: Vec<Panel>,
}

impl Data {
    /// The rows that the chart asks for, in panels and series by first appearance.
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
            mark_jumps(&mut trace.spots);
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

/// Marks the values of a dense line that stand alone among values at or below 0.
fn mark_jumps(spots: &mut [Spot]) {
    let off: Vec<bool> = spots.iter().map(|spot| spot.y.is_some_and(|y| y <= 0.0)).collect();
    let positive = |spot: Option<&Spot>| spot.is_some_and(|spot| spot.y.is_some_and(|y| y > 0.0));
    for i in 0..spots.len() {
        let alone = !positive(i.checked_sub(1).and_then(|j| spots.get(j))) && !positive(spots.get(i + 1));
        spots[i].jump = spots.len() > DENSE && off.contains(&true) && positive(spots.get(i)) && alone;
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
                data.panels.push(Panel { caption, ..Panel::default() });
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
                traces.push(Trace { series, spots: Vec::new(), undefined: Vec::new() });
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
