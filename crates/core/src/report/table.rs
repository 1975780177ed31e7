//! The terminal's view of a report: a short table and one line that says what it means. Plain text, no colours.

use super::{ComparisonRow, Curve, MeanSquare, ModelReport, Point, Report, Summary, Terminal};
use crate::of::Of;
use crate::quantity::Quantity;
use crate::singularity::{Driver, Over, Verdict};
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
    groups.iter().map(|rows| one_comparison(baseline, rows, width)).collect::<Vec<_>>().join("\n\n")
}

fn one_comparison(baseline: &str, rows: &[&ComparisonRow], width: u16) -> String {
    let candidate = one_line(&rows[0].model);
    // The larger of the two, so that the peak of either stays in view.
    let values: Vec<Option<f64>> =
        rows.iter().map(|r| r.baseline.into_iter().chain(r.candidate).reduce(f64::max)).collect();
    let row = |r: &ComparisonRow| {
        let t = step(r.timestep, r.t_next);
        [t, number(r.ratio), interval(r.ratio_ci_low, r.ratio_ci_high), number(r.baseline), number(r.candidate)]
    };
    let table: Vec<[String; 5]> = representative(&values).into_iter().map(|i| row(rows[i])).collect();
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

/// What the report comes to, in one line; what is not known is left out.
pub fn reading(report: &Report) -> String {
    let Some(first) = report.models.first() else { return "No model was measured.".into() };
    let mut sentences: Vec<String> = Vec::new();
    for summary in &first.summary {
        // A sweep of the end alone says nothing of the window near 0.
        if summary.uniformization.is_none() && (summary.near_zero.max.is_some() || summary.terminal.is_none()) {
            sentences.push(baseline_reading(first, summary));
        }
        sentences.extend(rates_reading(&report.models, summary));
        sentences.extend(summary.terminal.as_ref().map(Terminal::reading));
        let others = report.models[1..].iter().filter(|_| summary.uniformization.is_none());
        sentences.extend(others.filter_map(|model| candidate_reading(model, summary)));
    }
    let known = report.models.iter().filter_map(|model| Some((model, model.summary.first()?.memorisation?)));
    sentences.extend(known.filter_map(|(model, memorisation)| memorisation.reading(&one_line(&model.label))));
    if sentences.is_empty() {
        let state = if report.complete {
            "There is no summary."
        } else {
            "The run is not finished; the same command goes on with it."
        };
        return state.into();
    }
    format!("{}.", sentences.join("; "))
}

/// What curves of total rates come to, model by model: their mean says nothing but whether they are calibrated.
fn rates_reading(models: &[ModelReport], first: &Summary) -> Vec<String> {
    let mut sentences = Vec::new();
    for model in models {
        let Some(summary) = model.summary.iter().find(|s| (s.quantity, &s.block) == (first.quantity, &first.block))
        else {
            continue;
        };
        let both = [summary.uniformization.map(|u| u.reading()), summary.calibration.and_then(|c| c.reading())];
        let named = |said: String| match models {
            [_] => said,
            _ => format!("{}: {said}", one_line(&model.label)),
        };
        sentences.extend(both.into_iter().flatten().map(named));
    }
    sentences
}

/// `K peaks at t = 1 with 0.0123 [0.0119, 0.0127] 1/step, 31× the median beyond t = 100`
fn baseline_reading(model: &ModelReport, summary: &Summary) -> String {
    let near = &summary.near_zero;
    let name = format!("{}{}", summary.quantity.called(summary.of), of_block(summary.block.as_deref()));
    let (Some(peak), Some(at)) = (near.max, near.argmax) else {
        return format!("{name} has no value between t = {} and t = {}", near.from, near.until);
    };
    if peak == 0.0 {
        return format!("{name} is 0 at every measured timestep before t = {}", near.until);
    }
    let curve = model.curves.iter().find(|c| (c.quantity, &c.block) == (summary.quantity, &summary.block));
    let point = curve.and_then(|c| c.points.iter().find(|p| p.timestep == at));
    let interval = match point.map(|p| (p.ci_low, p.ci_high)) {
        Some((Some(low), Some(high))) => format!(" [{}, {}]", number(Some(low)), number(Some(high))),
        _ => String::new(),
    };
    let worst = point.and_then(|p| p.max_row.zip(p.max));
    let worst =
        worst.map(|(row, max)| format!(" ({} for row {row} of the data)", number(Some(max)))).unwrap_or_default();
    let unit = curve.filter(|c| c.unit != "1").map(|c| format!(" {}", c.unit.replace("1/step", "per step")));
    let unit = unit.unwrap_or_default();
    let ratio = summary.peak_ratio.map(|r| format!(", {}× the median beyond t = {}", factor(r), near.until));
    let ratio = ratio.unwrap_or_default();
    format!("{name} peaks at t = {at} with {}{interval}{unit}{worst}{ratio}{}", number(Some(peak)), near_zero(summary))
}

/// `; over t = 0 … 15 it grows as s^−0.50 [−0.52, −0.48] of the steps of noise s: singular, driven by the schedule`
fn near_zero(summary: &Summary) -> String {
    let Some(found) = &summary.singularity else { return String::new() };
    let signed = |p: f64| format!("{p:.2}").replace('-', "−");
    let verdict = match (found.verdict, found.driver) {
        _ if found.cut_off => {
            "inconclusive; K per σ is level while dσ/dt is infinite at the clean sample, so K may blow up below the first step"
        }
        (Verdict::Bounded, _) => "bounded on these steps",
        (Verdict::Inconclusive, _) => "inconclusive",
        (Verdict::Singular, Driver::Schedule) => "singular, driven by the schedule",
        (Verdict::Singular, _) if matches!(summary.of, Of::Rate | Of::Jumps) => {
            "singular, as it is where the data does not reach all states"
        }
        (Verdict::Singular, _) if found.over == Over::Sigma => {
            "singular; data near points does that, and so does a network that is told ln σ"
        }
        (Verdict::Singular, Driver::Data) => "singular, per σ as well: driven by the data",
        (Verdict::Singular, Driver::Unknown) => "singular, the cause cannot be told",
    };
    let (low, high) = found.exponent_ci;
    let power = format!("{} [{}, {}]", signed(found.exponent), signed(low), signed(high));
    let (from, until) = found.range;
    match found.over {
        Over::Steps => {
            let flattens = found.flattens_below.map(|t| format!(" and flattens below t = {t:.0}")).unwrap_or_default();
            format!("; over t = {from} … {until} it grows as s^{power} of the steps of noise s{flattens}: {verdict}")
        }
        Over::Sigma => {
            let flattens = |sigma: f64| format!(" and flattens below σ = {}", number(Some(sigma)));
            let flattens = found.flattens_below.map(flattens).unwrap_or_default();
            format!("; over t = {from} … {until}, per σ, it grows as σ^{power} as σ → 0{flattens}: {verdict}")
        }
    }
}

/// `E-TSDM: peak ×1.6, total variation ×0.34 of the baseline's near 0 (jumps at 19→20, 39→40, …)`
fn candidate_reading(model: &ModelReport, baseline: &Summary) -> Option<String> {
    let summary = model.summary.iter().find(|s| (s.quantity, &s.block) == (baseline.quantity, &baseline.block))?;
    if summary.quantity == Quantity::Derivative && !model.model.boundaries.is_empty() {
        return Some(format!(
            "{}: D is 0 inside its sub-intervals by construction and does not exist at their ends{}; judge it by K",
            one_line(&model.label),
            jumps(model, summary)
        ));
    }
    let over = |of: fn(&Summary) -> Option<f64>| {
        let (candidate, base) = (of(summary)?, of(baseline)?);
        (base > 0.0).then(|| factor(candidate / base))
    };
    let peak = over(|s| s.near_zero.max).map(|r| format!("peak ×{r}"));
    let variation = over(|s| s.near_zero.total_variation).map(|r| format!("total variation ×{r}"));
    let parts: Vec<String> = peak.into_iter().chain(variation).collect();
    if parts.is_empty() {
        return None;
    }
    let rest = elsewhere(summary, baseline);
    let near = format!("{} of the baseline's near 0{}", parts.join(", "), jumps(model, summary));
    Some(format!("{}: {near}{rest}", one_line(&model.label)))
}

/// Part of what the candidate has less near 0 that must be back above it to be said.
const BACK: f64 = 0.1;

/// `, and ×0.93 over all t: some of what it has less near 0 it has more of above`
fn elsewhere(summary: &Summary, baseline: &Summary) -> String {
    let over = |of: fn(&Summary) -> Option<f64>| of(summary).zip(of(baseline)).filter(|(_, base)| *base > 0.0);
    let near = over(|s| s.near_zero.total_variation);
    let all = over(|s| s.total_variation_all);
    let Some(((near, near_base), (all, all_base))) = near.zip(all) else { return String::new() };
    let (saved, kept) = (near_base - near, all_base - all);
    if saved <= 0.0 || saved - kept < BACK * saved {
        return String::new();
    }
    let much = if kept <= 0.0 { "what" } else { "some of what" };
    format!(
        ", and total variation ×{} over all t: {much} it has less near 0 it has more of above t = {}",
        factor(all / all_base),
        summary.near_zero.until
    )
}

/// Where the condition jumps: D is blind to it, which has to be said.
fn jumps(model: &ModelReport, summary: &Summary) -> String {
    let ends = model.model.boundaries.get(1..).unwrap_or_default();
    if ends.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = ends.iter().take(2).map(|b| format!("{}→{b}", b.ceil() - 1.0)).collect();
    let more = if ends.len() > 2 { ", …" } else { "" };
    let unseen = if summary.quantity.sees_jumps() {
        String::new()
    } else {
        format!(" that {} does not see", summary.quantity.letter())
    };
    format!(" (jumps at {}{more}{unseen})", shown.join(", "))
}

/// Two significant digits, without an exponent.
fn factor(ratio: f64) -> String {
    if !ratio.is_finite() {
        return "–".into();
    }
    let exponent = if ratio == 0.0 { 0 } else { ratio.abs().log10().floor() as i32 };
    format!("{ratio:.*}", (1 - exponent).clamp(0, 6) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;
    use crate::singularity::Singularity;

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

    #[test]
    fn the_reading_says_peak_ratio_and_jumps() {
        let line = reading(&synthetic::shared_pair());
        assert!(line.starts_with("K peaks at t = 0 with 0.0260 [0.0247, 0.0273] per step, "), "{line}");
        assert!(line.contains("× the median beyond t = 100; E-TSDM: peak ×4.4, total variation ×"), "{line}");
        assert!(line.ends_with("(jumps at 19→20, 39→40, …)."), "{line}");
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn verdicts_say_where_a_curve_flattens_and_what_the_grid_hides() {
        let reading = |found: Singularity| {
            let mut summary = synthetic::ddpm().models[0].summary[0].clone();
            summary.singularity = Some(found);
            near_zero(&summary)
        };
        let singular = Singularity {
            exponent: -0.5,
            exponent_ci: (-0.52, -0.48),
            verdict: Verdict::Singular,
            driver: Driver::Schedule,
            exponent_per_sigma: Some(0.0),
            range: (0.0, 15.0),
            cut_off: false,
            flattens_below: None,
            over: Over::Steps,
        };
        let fit = "; over t = 0 … 15 it grows as s^−0.50 [−0.52, −0.48] of the steps of noise s";
        assert_eq!(reading(singular.clone()), format!("{fit}: singular, driven by the schedule"));
        let level = Singularity { verdict: Verdict::Bounded, flattens_below: Some(8.6), ..singular.clone() };
        assert_eq!(reading(level), format!("{fit} and flattens below t = 9: bounded on these steps"));
        // Reports from before a cut-off curve was inconclusive call it singular.
        for verdict in [Verdict::Singular, Verdict::Inconclusive] {
            let cut_off = reading(Singularity { verdict, cut_off: true, ..singular.clone() });
            assert!(cut_off.contains(": inconclusive; K per σ is level"), "{verdict:?} {cut_off}");
        }
        let by_sigma =
            Singularity { over: Over::Sigma, driver: Driver::Unknown, flattens_below: Some(0.00312), ..singular };
        let fit =
            "; over t = 0 … 15, per σ, it grows as σ^−0.50 [−0.52, −0.48] as σ → 0 and flattens below σ = 0.00312";
        assert_eq!(
            reading(by_sigma),
            format!("{fit}: singular; data near points does that, and so does a network that is told ln σ")
        );
    }

    #[test]
    fn a_flat_derivative_is_no_victory() {
        let mut report = synthetic::shared_pair();
        for model in &mut report.models {
            model.curves[0].quantity = Quantity::Derivative;
            model.summary.iter_mut().for_each(|summary| summary.quantity = Quantity::Derivative);
        }
        let line = reading(&report);
        assert!(line.contains("E-TSDM: D is 0 inside its sub-intervals by construction"), "{line}");
        assert!(line.contains("judge it by K") && !line.contains("peak ×"), "{line}");
    }

    #[test]
    fn nothing_known_is_said_plainly() {
        let mut report = synthetic::shared_pair();
        report.models.iter_mut().for_each(|m| m.summary.clear());
        report.complete = false;
        assert!(reading(&report).contains("the same command"));
        assert!(reading(&synthetic::with_means(&[None, None])).contains("no value between"));
        assert!(reading(&synthetic::report(Vec::new())).contains("No model"));
    }
}
