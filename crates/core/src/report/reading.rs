//! What a report comes to, in one line of plain text.

use super::table::{number, of_block, one_line};
use super::{ModelReport, Report, Summary, Terminal};
use crate::of::Of;
use crate::quantity::Quantity;
use crate::singularity::{Driver, Over, Verdict};

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
