//! The tables: one row per seed as it is measured, and what the seeds come to, with intervals and paired ratios.

use super::cells::Sweep;
use super::reading::{interval, name, number, reading, way};
use super::row::{DATA, Row, is_distance};
use crate::quality;
use crate::report::{Cell, Chart, ChartAxis, Column, Table, TidyReport, Warning, slug};
use crate::stats::statistics;

const QUALITY: &str = "quality";
const SEEDS: &str = "seeds";

/// Columns of `seeds` by their place.
const KEY: usize = 5;
const METRIC: usize = 5;
const FEATURES: usize = 6;
const SAMPLES: usize = 7;
const VALUE: usize = 8;
const NON_FINITE: usize = 9;

/// Both tables, without rows.
pub(super) fn empty() -> Vec<Table> {
    let quality = Table::new(
        QUALITY,
        "Sample quality, means over seeds",
        &[
            ("model", "model, or data for the data against itself: the best value to be had"),
            ("sampler", "sampler; empty for ready samples and data"),
            ("spacing", "spacing of the sampler's timesteps"),
            ("nfe", "network evaluations per sample"),
            ("metric", "metric"),
            ("features", "what is compared"),
            ("samples", "samples per seed"),
            ("seeds", "seeds with a value"),
            ("mean", "mean over seeds"),
            ("ci_low", "lower end of its 95 % interval (Student)"),
            ("ci_high", "upper end of its 95 % interval (Student)"),
            ("ratio", "over the first model with the same starting noise, geometric mean over seeds"),
            ("ratio_ci_low", "lower end of its 95 % interval (Student, of the logarithm)"),
            ("ratio_ci_high", "upper end of its 95 % interval (Student, of the logarithm)"),
        ],
    );
    let seeds = Table::new(
        SEEDS,
        "Sample quality, seed by seed",
        &[
            ("model", "model, or data for the data against itself"),
            ("sampler", "sampler"),
            ("spacing", "spacing of the sampler's timesteps"),
            ("nfe", "network evaluations per sample"),
            ("seed", "sampling seed"),
            ("metric", "metric"),
            ("features", "what is compared"),
            ("samples", "samples"),
            ("value", "value; empty where a sample is not finite"),
            ("non_finite", "samples that are NaN or infinite"),
            ("seconds", "seconds for samples, features and all metrics together"),
        ],
    );
    vec![quality, seeds]
}

fn seed_rows(report: &TidyReport) -> &[Row] {
    report.tables.iter().find(|table| table.name == SEEDS).map_or(&[], |table| &table.rows)
}

/// Adds the rows of a cell.
pub(super) fn add(report: &mut TidyReport, rows: Vec<Row>) {
    if let Some(table) = report.tables.iter_mut().find(|table| table.name == SEEDS) {
        table.rows.extend(rows);
    }
}

/// Everything that follows from the rows: means, ratios, charts, reading, warnings about samples.
pub(super) fn summarise(report: &mut TidyReport, sweep: &Sweep) {
    let groups = groups(seed_rows(report));
    let baseline = sweep.subjects.all.first().map_or("", |subject| subject.label.as_str());
    let rows: Vec<Row> = groups.iter().map(|group| group.row(&groups, baseline)).collect();
    report.charts = charts(sweep, &rows);
    report.reading = sweep.yardstick.names().iter().filter_map(|metric| reading(metric, &rows, baseline)).collect();
    if rows.iter().any(|row| row[4].as_text() == Some("frechet")) {
        report.reading.push(format!(
            "A Fréchet distance of {} samples is biased upwards: compare equal numbers only.",
            sweep.wanted.samples
        ));
    }
    let diverged = diverged(seed_rows(report));
    report.warnings.retain(|warning| !matches!(warning, Warning::NonFiniteSamples { .. }));
    report.warnings.extend(diverged);
    if let Some(table) = report.tables.iter_mut().find(|table| table.name == QUALITY) {
        table.rows = rows;
    }
}

/// The rows of all seeds of one model, way of sampling and metric.
struct Group<'a> {
    rows: Vec<&'a Row>,
}

/// In the order in which they begin.
fn groups(rows: &[Row]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|group| same_cell(group.rows[0], row)) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { rows: vec![row] }),
        }
    }
    groups
}

fn same_cell(a: &Row, b: &Row) -> bool {
    a[0] == b[0] && same_way(a, b)
}

/// The same sampler, spacing, evaluations and metric.
fn same_way(a: &Row, b: &Row) -> bool {
    a[1..4] == b[1..4] && a[METRIC] == b[METRIC]
}

impl Group<'_> {
    fn values(&self) -> Vec<f64> {
        self.rows.iter().filter_map(|row| row[VALUE].as_number()).collect()
    }

    fn is_of(&self, label: &str) -> bool {
        self.rows[0][0].as_text() == Some(label)
    }

    fn row(&self, all: &[Group], baseline: &str) -> Row {
        let first = self.rows[0];
        let (values, samples) = (self.values(), self.rows.iter().filter_map(|row| row[SAMPLES].as_number()));
        let found = statistics(&values);
        let mut row: Row = first[..4].to_vec();
        row.extend([first[METRIC].clone(), first[FEATURES].clone()]);
        row.push(Cell::optional(samples.reduce(f64::min)));
        row.push(Cell::number(values.len() as f64));
        let (low, high) = found.interval.unzip();
        row.extend([found.mean, low, high].map(Cell::optional));
        let other = all.iter().find(|other| other.is_of(baseline) && same_way(other.rows[0], first));
        let compared = other.filter(|_| !self.is_of(baseline) && !self.is_of(DATA));
        let ratio = compared.map(|base| ratio(&base.rows, &self.rows)).unwrap_or_default();
        row.extend(ratio.map(Cell::optional));
        row
    }
}

/// Geometric mean of the ratios of equal seeds, with its 95 % interval: Student's of the mean logarithm.
fn ratio(baseline: &[&Row], candidate: &[&Row]) -> [Option<f64>; 3] {
    let value = |row: &Row| row[VALUE].as_number().filter(|value| *value > 0.0);
    let logarithms: Option<Vec<f64>> = candidate
        .iter()
        .filter_map(|row| baseline.iter().find(|base| base[KEY - 1] == row[KEY - 1]).map(|base| (row, base)))
        .map(|(row, base)| Some((value(row)? / value(base)?).ln()))
        .collect();
    // A value at or below 0, as an unbiased estimate may be, has no ratio.
    let found = logarithms.map(|logarithms| statistics(&logarithms)).unwrap_or_default();
    let (low, high) = found.interval.unzip();
    [found.mean, low, high].map(|value| value.map(f64::exp))
}

/// Each metric over network evaluations, panels by sampler; one chart per spacing.
fn charts(sweep: &Sweep, rows: &[Row]) -> Vec<Chart> {
    let several = sweep.wanted.spacings.len() > 1;
    let mut charts = Vec::new();
    for metric in sweep.yardstick.names() {
        for spacing in &sweep.wanted.spacings {
            let only = vec![("metric".into(), Cell::text(metric)), ("spacing".into(), Cell::text(spacing))];
            if !rows.iter().any(|row| row[4] == only[0].1 && row[2] == only[1].1 && row[8].as_number().is_some()) {
                continue;
            }
            let suffix = if several { format!("-{}", slug(spacing)) } else { String::new() };
            let place = if several { format!(", steps by {spacing}") } else { String::new() };
            charts.push(Chart {
                name: format!("{metric}{suffix}"),
                title: format!("{} over network evaluations{place}", capital(label(metric))),
                table: QUALITY.into(),
                only,
                x: ChartAxis { column: "nfe".into(), label: "network evaluations".into(), log: true },
                y: ChartAxis { column: "mean".into(), label: label(metric).into(), log: is_distance(metric) },
                interval: Some(("ci_low".into(), "ci_high".into())),
                series: Some("model".into()),
                panels: Some("sampler".into()),
            });
        }
    }
    charts
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn label(metric: &str) -> &str {
    quality::find(metric).map_or(metric, |member| member.label)
}

/// The table for readers: an interval in one cell, and no column that says the same everywhere.
pub(super) fn shown(report: &TidyReport) -> Option<Table> {
    let table = report.tables.iter().find(|table| table.name == QUALITY)?;
    let mut shown = Table { columns: Vec::new(), rows: vec![Vec::new(); table.rows.len()], ..table.clone() };
    let mut add = |name: &str, cells: Vec<Cell>| {
        shown.columns.push(Column { name: name.into(), about: String::new() });
        shown.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
    };
    let column = |i: usize| table.rows.iter().map(|row| row[i].clone()).collect::<Vec<Cell>>();
    let models = || table.rows.iter().filter(|row| row[0].as_text() != Some(DATA));
    let varies = |i: usize| models().zip(models().skip(1)).any(|(one, next)| one[i] != next[i]);
    for i in [4, 0, 1, 2, 3] {
        if i == 0 || varies(i) {
            add(&table.columns[i].name, column(i));
        }
    }
    let with_interval = |at: usize| {
        let text = |row: &Row| match row[at] {
            Cell::Number(mean) => Cell::text(format!("{} {}", number(Some(mean)), interval(row, at + 1)).trim_end()),
            _ => Cell::Missing(()),
        };
        table.rows.iter().map(text).collect::<Vec<Cell>>()
    };
    add("mean [95 %]", with_interval(8));
    if table.rows.iter().any(|row| row[11].as_number().is_some()) {
        add("ratio [95 %]", with_interval(11));
    }
    Some(shown)
}

/// One warning per model and way of sampling with samples that are not finite.
fn diverged(rows: &[Row]) -> Vec<Warning> {
    let bad = |row: &&Row| row[NON_FINITE].as_number().is_some_and(|count| count > 0.0);
    let mut warnings: Vec<Warning> = Vec::new();
    let mut last: Option<&Row> = None;
    for row in rows.iter().filter(bad) {
        if last.is_some_and(|last| last[..KEY] == row[..KEY]) {
            continue;
        }
        last = Some(row);
        let count = |at: usize| row[at].as_number().unwrap_or_default() as u64;
        let model = format!("{} {}, seed {}", name(row), way(row), count(KEY - 1));
        warnings.push(Warning::NonFiniteSamples { model, count: count(NON_FINITE), of: count(SAMPLES) });
    }
    warnings
}
