//! The terminal's view of a report: a short table. Plain text, no colours.

use super::model::steps_over;
use super::{ComparisonRow, Curve, MeanSquare, ModelReport, Point, Report};
use comfy_table::{CellAlignment, Table, presets};

/// Rows that a table shows at most, per curve.
const ROWS: usize = 12;

/// One table per curve: representative timesteps, the peak included, at most `width` columns wide.
pub fn curve_table(report: &Report, width: u16) -> String {
    let mut parts = Vec::new();
    for model in &report.models {
        for curve in &model.curves {
            parts.push(one_curve(model, curve, width));
        }
    }
    parts.join("\n\n")
}

fn one_curve(model: &ModelReport, curve: &Curve, width: u16) -> String {
    let of = curve.quantity.subject(curve.of).map(|words| format!(" of {words}")).unwrap_or_default();
    let symbol = format!("{}{of}{}", symbol(curve), of_block(curve.block.as_deref()));
    let title = format!("{}: {symbol} [{}]", one_line(&model.label), curve.unit);
    if curve.points.is_empty() {
        return format!("{title}\n(no timestep measured yet)");
    }
    let means: Vec<Option<f64>> = curve.points.iter().map(|p| p.mean).collect();
    let squares = curve.points.iter().any(|point| point.mean_square.is_some());
    let row = |p: &Point| {
        let mut row = vec![step(p.timestep, p.t_next), number(p.mean), interval(p.ci_low, p.ci_high)];
        if squares {
            let of = |of: fn(&MeanSquare) -> f64| number(p.mean_square.as_ref().map(of));
            row.extend([of(|square| square.mean), of(|square| square.per_element)]);
        }
        row.extend([number(p.p50), number(p.max), p.samples.to_string()]);
        row
    };
    let rows: Vec<Vec<String>> = representative(&means).into_iter().map(|i| row(&curve.points[i])).collect();
    let mut header = vec!["t", "mean", "95 % interval"];
    header.extend(squares.then_some(["mean square", "per element"]).into_iter().flatten());
    header.extend(["median", "max", "samples"]);
    let table = render(&header, &rows, width);
    format!("{title}\n{table}")
}

/// Baseline, candidate and their ratio, one table per candidate and quantity; empty without a comparison.
pub fn comparison_table(report: &Report, width: u16) -> String {
    let mut groups: Vec<Vec<&ComparisonRow>> = Vec::new();
    for row in &report.comparison {
        match groups.iter_mut().find(|g| same_curve(g[0], row)) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    let baseline = report.models.first().map_or("baseline", |m| m.label.as_str());
    let boundaries = |label: &str| {
        let own = report.models.iter().find(|model| model.label == label);
        own.map_or(&[][..], |model| model.model.boundaries.as_slice())
    };
    let one = |rows: &Vec<&ComparisonRow>| one_comparison(baseline, rows, boundaries(&rows[0].model), width);
    groups.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

/// Steps over which the condition jumps that a table shows at most: those of the largest values.
const JUMPS: usize = 5;

/// The indices of rows that cross a boundary.
fn jumps(rows: &[&ComparisonRow], boundaries: &[f64]) -> Vec<usize> {
    let crosses = |row: &ComparisonRow| {
        row.t_next.is_some_and(|next| boundaries.iter().skip(1).any(|b| steps_over(*b, row.timestep, next)))
    };
    let mut found: Vec<usize> = (0..rows.len()).filter(|&i| crosses(rows[i])).collect();
    let value = |i: &usize| rows[*i].candidate.unwrap_or(0.0);
    found.sort_by(|a, b| value(b).total_cmp(&value(a)));
    found.truncate(JUMPS);
    found
}

fn one_comparison(baseline: &str, rows: &[&ComparisonRow], boundaries: &[f64], width: u16) -> String {
    let candidate = one_line(&rows[0].model);
    // The larger of the two, so that the peak of either stays in view.
    let values: Vec<Option<f64>> =
        rows.iter().map(|r| r.baseline.into_iter().chain(r.candidate).reduce(f64::max)).collect();
    let row = |r: &ComparisonRow| {
        let t = step(r.timestep, r.t_next);
        [t, number(r.ratio), interval(r.ratio_ci_low, r.ratio_ci_high), number(r.baseline), number(r.candidate)]
    };
    let mut shown = [representative(&values), jumps(rows, boundaries)].concat();
    shown.sort_unstable();
    shown.dedup();
    let table: Vec<[String; 5]> = shown.into_iter().map(|i| row(rows[i])).collect();
    let table = render(&["t", "ratio", "95 % interval", "baseline", "candidate"], &table, width);
    let what = format!("{}{}", rows[0].quantity.listed(rows[0].of), of_block(rows[0].block.as_deref()));
    format!("{candidate} (candidate) over {} (baseline): {what}\n{table}", one_line(baseline))
}

fn same_curve(a: &ComparisonRow, b: &ComparisonRow) -> bool {
    (&a.model, a.quantity, &a.block) == (&b.model, b.quantity, &b.block)
}

/// What follows the name of a quantity of one part of the output.
pub(super) fn of_block(block: Option<&str>) -> String {
    block.map(|block| format!(" of {}", one_line(block))).unwrap_or_default()
}

/// At most [`ROWS`] indices: first, last, the peak, and between them ever wider apart, since the action is near t = 0.
fn representative(values: &[Option<f64>]) -> Vec<usize> {
    if values.len() <= ROWS {
        return (0..values.len()).collect();
    }
    let peak = values.iter().enumerate().filter_map(|(i, v)| v.filter(|v| v.is_finite()).map(|v| (i, v)));
    let peak = peak.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i);
    let last = (values.len() - 1) as f64;
    let spread = (0..ROWS - 1).map(|k| ((last + 1.0).powf(k as f64 / (ROWS - 2) as f64) - 1.0).round() as usize);
    let mut chosen: Vec<usize> = spread.chain(peak).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// A table of at most `width` columns: a number broken over two lines cannot be read, so the last cells of every row
/// are left out first. The first three stay.
pub(super) fn render(header: &[&str], rows: &[impl AsRef<[String]>], width: u16) -> String {
    let with = |columns: usize| {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).force_no_tty().set_header(&header[..columns]);
        table.add_rows(rows.iter().map(|row| &row.as_ref()[..columns]));
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.trim_fmt()
    };
    let fits = |text: &String| text.lines().all(|line| line.chars().count() <= usize::from(width));
    let all = header.len();
    (3..=all).rev().map(with).find(fits).unwrap_or_else(|| with(all.min(3)))
}

fn symbol(curve: &Curve) -> String {
    curve.quantity.definition(curve.of, curve.axis, curve.norm, curve.dt).0
}

pub(super) fn one_line(label: &str) -> String {
    label.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn step(t: f64, next: Option<f64>) -> String {
    next.map_or_else(|| t.to_string(), |next| format!("{t}→{next}"))
}

fn interval(low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(_), Some(_)) => format!("[{}, {}]", number(low), number(high)),
        _ => "–".into(),
    }
}

/// Three significant digits; an en dash where there is no number.
pub(super) fn number(value: Option<f64>) -> String {
    let Some(value) = value.filter(|v| v.is_finite()) else { return "–".into() };
    if value == 0.0 {
        return "0".into();
    }
    let scientific = format!("{value:.2e}");
    let exponent: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    if (-4..5).contains(&exponent) { format!("{value:.*}", (2 - exponent).max(0) as usize) } else { scientific }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn the_table_is_short_and_holds_the_peak() {
        let mut report = synthetic::ddpm();
        report.models[0].curves[0].points[617].mean = Some(9.5);
        let text = curve_table(&report, 80);
        assert!(text.starts_with("DDPM: K(t, t+1) [1/step]\n"), "{text}");
        assert!(text.lines().count() <= ROWS + 2, "{text}");
        assert!(text.contains("617→618") && text.contains("9.50") && text.contains("998→999"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_narrow_terminal_gets_fewer_columns_and_whole_numbers() {
        let text = curve_table(&synthetic::ddpm(), 44);
        assert!(text.contains("[0.0247, 0.0273]") && !text.contains("samples"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 44), "{text}");
    }

    #[test]
    fn missing_numbers_are_dashes() {
        let text = curve_table(&synthetic::with_means(&[None, Some(0.0), Some(1e-9)]), 80);
        assert!(text.contains('–') && text.contains("1.00e-9"), "{text}");
        assert!(!text.contains("NaN"));
        assert!(curve_table(&synthetic::with_means(&[]), 80).contains("no timestep"));
    }

    #[test]
    fn a_comparison_names_both_sides() {
        let text = comparison_table(&synthetic::shared_pair(), 80);
        assert!(text.starts_with("E-TSDM (candidate) over DDPM (baseline): secant\n"), "{text}");
        assert!(text.contains("19→20"), "the jump is the peak of either: {text}");
        assert_eq!(comparison_table(&synthetic::ddpm(), 80), "");
    }
}
