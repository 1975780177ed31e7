//! From norms to tables, charts and sentences.

use super::{Changes, Perturbed};
use crate::control_variates::Control;
use crate::ratio::{Ratio, paired_ratio};
use crate::report::{Cell, Chart, ChartAxis, Provenance, SCHEMA_VERSION, Table, TidyReport, Warning};
use crate::stats::statistics;

/// One model, as it is named.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Label.
    pub label: String,
    /// Whether it shares timesteps.
    pub shares: bool,
}

/// The report of what was measured so far; `norm` names the norm of all changes.
pub fn tidy(
    entries: &[Entry],
    all: &[Changes],
    norm: &str,
    provenance: Provenance,
    mut warnings: Vec<Warning>,
) -> TidyReport {
    let cells = cells_table(entries, all, norm);
    let (summary, reading) = summary_table(entries, all);
    warnings.extend(non_finite(entries, all));
    TidyReport {
        schema_version: SCHEMA_VERSION,
        complete: false,
        command: "stability".into(),
        title: "Change of the predicted x₀ under perturbations of x_t and t".into(),
        provenance,
        tables: vec![summary, cells],
        charts: charts(entries, all),
        reading,
        warnings,
    }
}

fn cells_table(entries: &[Entry], all: &[Changes], norm: &str) -> Table {
    let mean = format!("mean {norm} norm of the change of the predicted x₀");
    let columns: [(&str, &str); 13] = [
        ("model", "label"),
        ("perturbed", "x: x_t + δ with δ isotropic Gaussian; t: the network is asked about t + h"),
        ("timestep", "t in steps"),
        ("size", "x: standard deviation of δ per element; t: h in steps"),
        ("samples", "finite samples"),
        ("mean", &mean),
        ("std_error", "standard error of the mean"),
        ("ci_low", "lower end of its 95 % interval"),
        ("ci_high", "upper end of its 95 % interval"),
        ("amplification", "mean of the change over ‖δ‖ (x), or over h (t, per step)"),
        ("ratio", "mean over the first model's on the same samples; 1 for that model itself"),
        ("ratio_ci_low", "lower end of its 95 % interval, by pairs"),
        ("ratio_ci_high", "upper end of its 95 % interval, by pairs"),
    ];
    let mut table = Table::new("stability", "Change of the predicted x₀, by timestep and size", &columns);
    let mut sorted: Vec<&Changes> = all.iter().collect();
    sorted.sort_by(|a, b| {
        let kind = |changes: &Changes| changes.perturbed == Perturbed::T;
        kind(a).cmp(&kind(b)).then(a.size.total_cmp(&b.size)).then(a.timestep.total_cmp(&b.timestep))
    });
    for (m, entry) in entries.iter().enumerate() {
        table.rows.extend(sorted.iter().map(|changes| row(entry, m, changes)));
    }
    table
}

fn row(entry: &Entry, m: usize, changes: &Changes) -> Vec<Cell> {
    let s = statistics(&changes.changes[m]);
    let ratio = over_first(&changes.changes, m);
    let mut cells = vec![
        Cell::text(entry.label.clone()),
        Cell::text(changes.perturbed.name()),
        Cell::number(changes.timestep),
        Cell::number(changes.size),
        Cell::number(s.samples as f64),
        Cell::optional(s.mean),
        Cell::optional(s.std_error),
        Cell::optional(s.interval.map(|interval| interval.0)),
        Cell::optional(s.interval.map(|interval| interval.1)),
        Cell::optional(statistics(&changes.amplifications[m]).mean),
    ];
    cells.extend(ratio_cells(ratio));
    cells
}

/// Model m over the first, on the same samples: 1 for the first one itself, and `None` where it is alone.
fn over_first(numbers: &[Vec<f64>], m: usize) -> Option<Ratio> {
    let ratio = paired_ratio(numbers.first()?, &numbers[m], &Control::default()).filter(|_| numbers.len() > 1)?;
    Some(if m == 0 { Ratio { value: 1.0, interval: None } } else { ratio })
}

fn ratio_cells(ratio: Option<Ratio>) -> [Cell; 3] {
    let interval = ratio.and_then(|ratio| ratio.interval);
    [
        Cell::optional(ratio.map(|ratio| ratio.value)),
        Cell::optional(interval.map(|interval| interval.0)),
        Cell::optional(interval.map(|interval| interval.1)),
    ]
}

fn summary_table(entries: &[Entry], all: &[Changes]) -> (Table, Vec<String>) {
    let columns = [
        ("model", "label"),
        ("perturbed", "x or t"),
        ("from", "first timestep"),
        ("until", "last timestep"),
        ("mean", "mean amplification over all timesteps and sizes: change over ‖δ‖ (x), or per step (t)"),
        ("ratio", "mean over the first model's on the same samples"),
        ("ratio_ci_low", "lower end of its 95 % interval, by pairs"),
        ("ratio_ci_high", "upper end of its 95 % interval, by pairs"),
    ];
    let mut table = Table::new("summary", "Mean amplification near t = 0", &columns);
    let mut reading = Vec::new();
    for perturbed in [Perturbed::X, Perturbed::T] {
        let of: Vec<&Changes> = all.iter().filter(|changes| changes.perturbed == perturbed).collect();
        let times = of.iter().map(|changes| changes.timestep);
        let (Some(from), Some(until)) = (times.clone().reduce(f64::min), times.reduce(f64::max)) else { continue };
        let means: Vec<Vec<f64>> = (0..entries.len()).map(|m| over_all(&of, m)).collect();
        for (m, entry) in entries.iter().enumerate() {
            let ratio = over_first(&means, m);
            let mean = statistics(&means[m]).mean;
            let mut cells = vec![
                Cell::text(entry.label.clone()),
                Cell::text(perturbed.name()),
                Cell::number(from),
                Cell::number(until),
                Cell::optional(mean),
            ];
            cells.extend(ratio_cells(ratio));
            table.rows.push(cells);
            reading.push(sentence(entries, m, perturbed, (from, until), (mean, ratio)));
        }
    }
    (table, reading)
}

/// Amplification of every sample number, averaged over timesteps and sizes.
fn over_all(of: &[&Changes], m: usize) -> Vec<f64> {
    let samples = of.iter().map(|changes| changes.amplifications[m].len()).min().unwrap_or(0);
    let mean = |i: usize| of.iter().map(|changes| changes.amplifications[m][i]).sum::<f64>() / of.len() as f64;
    (0..samples).map(mean).collect()
}

fn sentence(
    entries: &[Entry],
    m: usize,
    perturbed: Perturbed,
    (from, until): (f64, f64),
    (mean, ratio): (Option<f64>, Option<Ratio>),
) -> String {
    let label = &entries[m].label;
    let what = match perturbed {
        Perturbed::X => format!("With x_t perturbed at t = {from} … {until}, {label}'s predicted x₀ changes by"),
        Perturbed::T => format!("With t perturbed at t = {from} … {until}, {label}'s predicted x₀ changes by"),
    };
    let Some(mean) = mean else { return format!("{what} nothing finite.") };
    let size = match perturbed {
        Perturbed::X => format!("{mean:.3} of the perturbation's size on average"),
        Perturbed::T if mean >= 1e-3 => format!("{mean:.4} per step on average"),
        Perturbed::T => format!("{mean:.1e} per step on average"),
    };
    let compared = ratio.filter(|_| m > 0).map(|ratio| {
        let interval = ratio.interval.map(|(low, high)| format!(" [{low:.3}, {high:.3}]")).unwrap_or_default();
        let (percent, word) = (100.0 * (1.0 - ratio.value).abs(), if ratio.value <= 1.0 { "less" } else { "more" });
        format!(", {:.3}{interval} of {}'s: {percent:.0} % {word}", ratio.value, entries[0].label)
    });
    let caution = if perturbed == Perturbed::T && entries[m].shares {
        " Inside a shared sub-interval nothing changes by construction; what remains are its jumps."
    } else {
        ""
    };
    format!("{what} {size}{}.{caution}", compared.unwrap_or_default())
}

fn non_finite(entries: &[Entry], all: &[Changes]) -> Vec<Warning> {
    let of_model = |(m, entry): (usize, &Entry)| {
        let bad = |changes: &Changes| changes.changes[m].iter().filter(|norm| !norm.is_finite()).count() as u64;
        let first = all.iter().find(|changes| bad(changes) > 0)?;
        let count = all.iter().map(bad).sum();
        Some(Warning::NonFinite { model: entry.label.clone(), count, timestep: first.timestep })
    };
    entries.iter().enumerate().filter_map(of_model).collect()
}

fn charts(entries: &[Entry], all: &[Changes]) -> Vec<Chart> {
    let mut charts = Vec::new();
    for perturbed in [Perturbed::X, Perturbed::T] {
        if !all.iter().any(|changes| changes.perturbed == perturbed) {
            continue;
        }
        let (name, what) = match perturbed {
            Perturbed::X => ("x", "x_t perturbed by δ of this standard deviation"),
            Perturbed::T => ("t", "t perturbed by so many steps"),
        };
        let chart = |stem: &str, (column, label, log): (&str, &str, bool), interval: [&str; 2]| Chart {
            name: format!("{stem}-{name}"),
            title: what.into(),
            table: "stability".into(),
            only: vec![("perturbed".into(), Cell::text(name))],
            x: ChartAxis { column: "timestep".into(), label: "t [step]".into(), log: false },
            y: ChartAxis { column: column.into(), label: label.into(), log },
            interval: Some((interval[0].into(), interval[1].into())),
            series: Some("model".into()),
            panels: Some("size".into()),
        };
        charts.push(chart("change", ("mean", "change of x̂₀", true), ["ci_low", "ci_high"]));
        if let [baseline, _, ..] = entries {
            let over = format!("change over {}'s", baseline.label);
            let ratio = ("ratio", over.as_str(), false);
            charts.push(chart("ratio", ratio, ["ratio_ci_low", "ratio_ci_high"]));
        }
    }
    charts
}
