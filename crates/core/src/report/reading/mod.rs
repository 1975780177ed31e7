//! What a report comes to: facts in the order in which they are told.

mod fact;

pub use fact::Fact;
pub(super) use fact::jumps_in_words;

use super::table::{of_block, one_line};
use super::{ModelReport, Report, Summary, Terminal};
use crate::quantity::Quantity;
use fact::is_of_jumps;
use serde::{Deserialize, Serialize};

/// A fact and its sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The fact.
    #[serde(flatten)]
    pub fact: Fact,
    /// What a reader is told.
    pub text: String,
}

/// What the report comes to, a line each; what is not known is left out.
pub fn reading_lines(report: &Report) -> Vec<String> {
    facts(report).iter().map(Fact::to_string).collect()
}

/// The same as one paragraph.
pub fn reading(report: &Report) -> String {
    reading_lines(report).join(" ")
}

/// The same for programs.
pub fn findings(report: &Report) -> Vec<Finding> {
    facts(report).into_iter().map(|fact| Finding { text: fact.to_string(), fact }).collect()
}

fn facts(report: &Report) -> Vec<Fact> {
    let nothing = |sentence: &str| vec![Fact::Nothing { sentence: sentence.into() }];
    let Some(first) = report.models.first() else { return nothing("No model was measured.") };
    let mut facts = Vec::new();
    for summary in &first.summary {
        // A sweep of the end alone says nothing of the window near 0.
        if summary.uniformization.is_none() && (summary.near_zero.max.is_some() || summary.terminal.is_none()) {
            facts.push(peak(first, summary));
            facts.extend(growth(summary));
            facts.extend(unmeasured_jumps(first, summary));
        }
        facts.extend(rates(&report.models, summary));
        facts.extend(summary.terminal.as_ref().map(Terminal::reading).map(|sentence| Fact::Terminal { sentence }));
        let others = report.models[1..].iter().filter(|_| summary.uniformization.is_none());
        facts.extend(others.flat_map(|model| candidate(model, (first, summary))));
    }
    let known = report.models.iter().filter_map(|model| Some((model, model.summary.first()?.memorisation?)));
    let said = known.filter_map(|(model, memorisation)| memorisation.reading(&one_line(&model.label)));
    facts.extend(said.map(|sentence| Fact::Memorisation { sentence }));
    match (facts.is_empty(), report.complete) {
        (false, _) => facts,
        (true, true) => nothing("There is no summary."),
        (true, false) => nothing("The run is not finished; the same command goes on with it."),
    }
}

/// What curves of total rates come to, model by model: their mean says nothing but whether they are calibrated.
fn rates(models: &[ModelReport], first: &Summary) -> Vec<Fact> {
    let mut facts = Vec::new();
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
        facts.extend(both.into_iter().flatten().map(named).map(|sentence| Fact::Rates { sentence }));
    }
    facts
}

/// What is measured, by its letter.
fn name(summary: &Summary) -> String {
    format!("{}{}", summary.quantity.called(summary.of), of_block(summary.block.as_deref()))
}

/// The largest value near 0.
fn peak(model: &ModelReport, summary: &Summary) -> Fact {
    let near = &summary.near_zero;
    let curve = name(summary);
    let (Some(value), Some(timestep)) = (near.max, near.argmax) else {
        return Fact::NoValue { curve, from: near.from, until: near.until };
    };
    if value == 0.0 {
        return Fact::Zero { curve, near_zero_until: near.until };
    }
    let own = model.curves.iter().find(|c| (c.quantity, &c.block) == (summary.quantity, &summary.block));
    let point = own.and_then(|c| c.points.iter().find(|p| p.timestep == timestep));
    Fact::Peak {
        curve,
        timestep,
        value,
        interval: point.and_then(|p| p.ci_low.zip(p.ci_high)),
        unit: own.map(|c| c.unit.clone()).filter(|unit| unit != "1"),
        worst_row: point.and_then(|p| p.max_row.zip(p.max)),
        over_median: summary.peak_ratio,
        near_zero_until: near.until,
    }
}

/// How it grows towards 0.
fn growth(summary: &Summary) -> Option<Fact> {
    let found = summary.singularity.as_ref()?;
    let has_peak = summary.near_zero.max.is_some_and(|peak| peak != 0.0) && summary.near_zero.argmax.is_some();
    has_peak.then(|| Fact::Growth {
        curve: name(summary),
        over: found.over,
        exponent: found.exponent,
        interval: found.exponent_ci,
        range: found.range,
        flattens_below: found.flattens_below,
        verdict: found.verdict,
        driver: found.driver,
        cut_off: found.cut_off,
        of_jumps: is_of_jumps(summary.of),
    })
}

/// Another model beside the first.
fn candidate(model: &ModelReport, (first, baseline): (&ModelReport, &Summary)) -> Vec<Fact> {
    let own = model.summary.iter().find(|s| (s.quantity, &s.block) == (baseline.quantity, &baseline.block));
    let Some(summary) = own else { return Vec::new() };
    let label = one_line(&model.label);
    if summary.quantity == Quantity::Derivative && !model.model.boundaries.is_empty() {
        let zero = summary.of.rests_where_shared(&model.model.prediction);
        let blind = Fact::BlindDerivative { model: label, zero };
        return std::iter::once(blind).chain(jumps(model, summary)).collect();
    }
    if let Some(unknown) = unmeasured_jumps(model, summary) {
        return vec![unknown];
    }
    let over = |of: fn(&Summary) -> Option<f64>| {
        let (candidate, base) = (of(summary)?, of(baseline)?);
        (base > 0.0).then(|| candidate / base)
    };
    let (peak, total_variation) = (over(|s| s.near_zero.max), over(|s| s.near_zero.total_variation));
    if peak.is_none() && total_variation.is_none() {
        return Vec::new();
    }
    let near_zero_until = baseline.near_zero.until;
    let interpolated = ![summary, baseline].iter().all(|summary| summary.near_zero.total_variation_exact);
    let baseline_label = one_line(&first.label);
    let beside = Fact::Candidate {
        model: label,
        baseline: baseline_label,
        peak,
        total_variation,
        interpolated,
        near_zero_until,
    };
    std::iter::once(beside)
        .chain(jumps(model, summary))
        .chain(comes_back((model, summary), (first, baseline)))
        .collect()
}

/// Part of what the candidate has less near 0 that must be back above it to be said.
const BACK: f64 = 0.1;

/// Whether what it has less near 0 it has more of above.
fn comes_back((model, summary): (&ModelReport, &Summary), (first, baseline): (&ModelReport, &Summary)) -> Option<Fact> {
    let over = |of: fn(&Summary) -> Option<f64>| of(summary).zip(of(baseline)).filter(|(_, base)| *base > 0.0);
    let (near, near_base) = over(|s| s.near_zero.total_variation)?;
    let (all, all_base) = over(|s| s.total_variation_all)?;
    let (saved, kept) = (near_base - near, all_base - all);
    let is_notable = saved > 0.0 && saved - kept >= BACK * saved;
    is_notable.then(|| Fact::ComesBack {
        model: one_line(&model.label),
        baseline: one_line(&first.label),
        total_variation_all: all / all_base,
        all: kept <= 0.0,
        near_zero_until: summary.near_zero.until,
    })
}

/// Where the condition jumps and nothing was measured.
fn unmeasured_jumps(model: &ModelReport, summary: &Summary) -> Option<Fact> {
    let boundaries = Some(&summary.near_zero.unmeasured_jumps).filter(|jumps| !jumps.is_empty())?.clone();
    Some(Fact::UnmeasuredJumps { model: one_line(&model.label), boundaries })
}

/// Where the condition jumps: D is blind to it, which has to be said.
fn jumps(model: &ModelReport, summary: &Summary) -> Option<Fact> {
    let boundaries = model.model.boundaries.get(1..).filter(|ends| !ends.is_empty())?.to_vec();
    let unseen_by = (!summary.quantity.sees_jumps()).then(|| summary.quantity.letter().to_string());
    Some(Fact::Jumps { model: one_line(&model.label), boundaries, unseen_by })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;
    use crate::singularity::{Driver, Over, Singularity, Verdict};

    #[test]
    fn the_reading_says_peak_ratio_and_jumps() {
        let line = reading(&synthetic::shared_pair());
        assert!(line.starts_with("K peaks at t = 0 with 0.0260 [0.0247, 0.0273] per step, "), "{line}");
        assert!(line.contains(" times its median beyond t = 100. E-TSDM has 4.4 times the peak and "), "{line}");
        assert!(line.ends_with("The condition of E-TSDM jumps at 19→20, 39→40, …."), "{line}");
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn programs_get_the_facts_with_their_sentences() {
        let found = serde_json::to_value(findings(&synthetic::shared_pair())).unwrap();
        let kinds: Vec<&str> = found.as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds[0], "peak");
        assert_eq!(kinds[kinds.len() - 2..], ["candidate", "jumps"]);
        assert_eq!(found[0]["timestep"], 0.0);
        assert!(found[0]["text"].as_str().unwrap().starts_with("K peaks at t = 0"));
        let back: Vec<Finding> = serde_json::from_value(found).unwrap();
        assert_eq!(back, findings(&synthetic::shared_pair()));
    }

    #[test]
    fn verdicts_say_where_a_curve_flattens_and_what_the_grid_hides() {
        let reading = |found: Singularity| {
            let mut summary = synthetic::ddpm().models[0].summary[0].clone();
            summary.singularity = Some(found);
            growth(&summary).unwrap().to_string()
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
        let fit = "Over t = 0 … 15 it grows as s^−0.50 [−0.52, −0.48], s counting steps from the clean sample";
        assert_eq!(
            reading(singular.clone()),
            format!("{fit}. It is singular, driven by the schedule: per σ it is not.")
        );
        let level = Singularity { verdict: Verdict::Bounded, flattens_below: Some(8.6), ..singular.clone() };
        assert_eq!(reading(level), format!("{fit}, and flattens below t = 9. On these steps it is bounded."));
        // Reports from before a cut-off curve was inconclusive call it singular.
        for verdict in [Verdict::Singular, Verdict::Inconclusive] {
            let cut_off = reading(Singularity { verdict, cut_off: true, ..singular.clone() });
            assert!(cut_off.contains(" cannot be told: K per σ is level"), "{verdict:?} {cut_off}");
        }
        let by_sigma =
            Singularity { over: Over::Sigma, driver: Driver::Unknown, flattens_below: Some(0.00312), ..singular };
        let fit =
            "Over t = 0 … 15, per σ, it grows as σ^−0.50 [−0.52, −0.48] as σ → 0, and flattens below σ = 0.00312.";
        assert_eq!(
            reading(by_sigma),
            format!("{fit} It is singular; data near points does that, and so does a network that is told ln σ.")
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
        assert!(line.contains("D of E-TSDM is 0 inside its sub-intervals by construction"), "{line}");
        assert!(line.contains("Judge it by K.") && !line.contains("times the peak"), "{line}");
        report.models[1].model.prediction = "v".into();
        let line = reading(&report);
        assert!(!line.contains("by construction") && line.contains("D is only of what converts its output"), "{line}");
    }

    #[test]
    fn jumps_between_timesteps_are_no_victory_either() {
        let mut report = synthetic::shared_pair();
        assert!(!reading(&report).contains("interpolated"));
        report.models[0].summary[0].near_zero.total_variation_exact = false;
        assert!(reading(&report).contains(" times the total variation (interpolated) of "), "{}", reading(&report));
        report.models[1].summary[0].near_zero.unmeasured_jumps = vec![20.0, 40.0, 60.0];
        let line = reading(&report);
        assert!(line.contains("E-TSDM jumps between the measured timesteps, at 19→20, 39→40, …:"), "{line}");
        assert!(!line.contains("times the peak"), "{line}");
        report.models.remove(0);
        assert!(reading(&report).contains("E-TSDM jumps between the measured timesteps"));
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
