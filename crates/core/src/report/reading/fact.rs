//! What a report comes to, as facts: typed for programs, and each a sentence or two for readers.

use super::super::table::number;
use crate::of::Of;
use crate::singularity::{Driver, Over, Verdict};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that a report comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fact {
    /// The largest value of the first model's curve near t = 0.
    Peak {
        /// What is measured: `K`, `D of the score`, …
        curve: String,
        /// Where.
        timestep: f64,
        /// The mean over samples.
        value: f64,
        /// Its 95 % interval.
        interval: Option<(f64, f64)>,
        /// Its unit; `None` for a pure number.
        unit: Option<String>,
        /// The row of the data with the largest value, and that value.
        worst_row: Option<(u64, f64)>,
        /// The peak over the median beyond `near_zero_until`.
        over_median: Option<f64>,
        /// Where "near 0" ends.
        near_zero_until: f64,
    },
    /// The curve is 0 near t = 0.
    Zero {
        /// What is measured.
        curve: String,
        /// Where "near 0" ends.
        near_zero_until: f64,
    },
    /// The curve has no value near t = 0.
    NoValue {
        /// What is measured.
        curve: String,
        /// From where.
        from: f64,
        /// Until where.
        until: f64,
    },
    /// How the curve of the first model behaves towards t = 0.
    Growth {
        /// What is measured.
        curve: String,
        /// What it is a power of.
        over: Over,
        /// The power.
        exponent: f64,
        /// Its 95 % interval.
        interval: (f64, f64),
        /// The timesteps of the fit.
        range: (f64, f64),
        /// Where it ceases to grow: t, or σ where it is a power of that.
        flattens_below: Option<f64>,
        /// Whether it blows up.
        verdict: Verdict,
        /// What makes it do so.
        driver: Driver,
        /// Whether the first step hides the answer.
        cut_off: bool,
        /// Whether it is of jumps, which blow up where the data does not reach all states.
        of_jumps: bool,
    },
    /// Another model beside the first, near t = 0.
    Candidate {
        /// Its label.
        model: String,
        /// The first model's label.
        baseline: String,
        /// Its peak over the first model's.
        peak: Option<f64>,
        /// Its total variation over the first model's.
        total_variation: Option<f64>,
        /// Whether one of the total variations is linear between measured timesteps, and no sum over all steps.
        #[serde(default)]
        interpolated: bool,
        /// Where "near 0" ends.
        near_zero_until: f64,
    },
    /// The condition that a model is told jumps between measured timesteps: its peak and total variation are not known.
    UnmeasuredJumps {
        /// Its label.
        model: String,
        /// The first timesteps of the sub-intervals where it does.
        boundaries: Vec<f64>,
    },
    /// The condition that a model is told jumps.
    Jumps {
        /// Its label.
        model: String,
        /// The first timesteps of its sub-intervals but for the first.
        boundaries: Vec<f64>,
        /// The letter of a quantity that does not see them.
        unseen_by: Option<String>,
    },
    /// What a model has less near 0 it has more of elsewhere.
    ComesBack {
        /// Its label.
        model: String,
        /// The first model's label.
        baseline: String,
        /// Its total variation over all t over the first model's.
        total_variation_all: f64,
        /// Whether all of it comes back.
        all: bool,
        /// Where "near 0" ends.
        near_zero_until: f64,
    },
    /// The derivative of a model that shares timesteps says nothing of the network inside its sub-intervals.
    BlindDerivative {
        /// Its label.
        model: String,
        /// Whether it is exactly 0 there: factors that convert the network's output move with t all the same.
        #[serde(default = "crate::report::said_before")]
        zero: bool,
    },
    /// The cost of sampling jumps, or whether rates are calibrated.
    Rates {
        /// The sentence.
        sentence: String,
    },
    /// The end of time.
    Terminal {
        /// The sentence.
        sentence: String,
    },
    /// How far the ideal denoiser knows the point that x came from.
    Memorisation {
        /// The sentence.
        sentence: String,
    },
    /// There is nothing to say yet.
    Nothing {
        /// Why.
        sentence: String,
    },
}

/// `19→20, 39→40, …`, by the first timesteps of sub-intervals.
pub(crate) fn jumps_in_words(boundaries: &[f64]) -> String {
    let shown = boundaries.iter().take(2).map(|b| format!("{}→{b}", b.ceil() - 1.0)).collect::<Vec<_>>();
    shown.join(", ") + if boundaries.len() > 2 { ", …" } else { "" }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Peak { .. } => f.write_str(&self.peak()),
            Fact::Zero { curve, near_zero_until } => {
                write!(f, "{curve} is 0 at every measured timestep before t = {near_zero_until}.")
            }
            Fact::NoValue { curve, from, until } => {
                write!(f, "{curve} has no value between t = {from} and t = {until}.")
            }
            Fact::Growth { .. } => f.write_str(&self.growth()),
            Fact::Candidate { model, baseline, peak, total_variation, interpolated, near_zero_until } => {
                let peak = peak.map(|by| format!("{} times the peak", factor(by)));
                let how = if *interpolated { " (interpolated)" } else { "" };
                let variation = total_variation.map(|by| format!("{} times the total variation{how}", factor(by)));
                let parts: Vec<String> = peak.into_iter().chain(variation).collect();
                write!(f, "{model} has {} of {baseline} below t = {near_zero_until}.", parts.join(" and "))
            }
            Fact::Jumps { model, boundaries, unseen_by } => {
                let unseen =
                    unseen_by.as_ref().map(|letter| format!(", which {letter} does not see")).unwrap_or_default();
                write!(f, "The condition of {model} jumps at {}{unseen}.", jumps_in_words(boundaries))
            }
            Fact::UnmeasuredJumps { model, boundaries } => write!(
                f,
                "The condition of {model} jumps between the measured timesteps, at {}: how large that is, and so its peak and total \
                 variation, is not known from them. --timesteps auto measures it.",
                jumps_in_words(boundaries)
            ),
            Fact::ComesBack { model, baseline, total_variation_all, all, near_zero_until } => write!(
                f,
                "Over all t the total variation of {model} is {} times that of {baseline}: {} it has less near 0 it has more \
                 of above t = {near_zero_until}.",
                factor(*total_variation_all),
                if *all { "what" } else { "some of what" }
            ),
            Fact::BlindDerivative { model, zero: true } => write!(
                f,
                "D of {model} is 0 inside its sub-intervals by construction and does not exist at their ends. Judge it by K."
            ),
            Fact::BlindDerivative { model, zero: false } => write!(
                f,
                "The network of {model} is told one t inside a sub-interval, so that D is only of what converts its output there, and does \
                 not exist at the ends. Judge it by K."
            ),
            Fact::Rates { sentence } | Fact::Terminal { sentence } => f.write_str(&as_sentence(sentence)),
            Fact::Memorisation { sentence } => write!(f, "{sentence}."),
            Fact::Nothing { sentence } => f.write_str(sentence),
        }
    }
}

impl Fact {
    /// `K peaks at t = 1 with 0.0123 [0.0119, 0.0127] per step, 31 times its median beyond t = 100.`
    fn peak(&self) -> String {
        let Fact::Peak { curve, timestep, value, interval, unit, worst_row, over_median, near_zero_until } = self
        else {
            return String::new();
        };
        let figure = |value: f64| number(Some(value));
        let interval = interval.map(|(low, high)| format!(" [{}, {}]", figure(low), figure(high))).unwrap_or_default();
        let unit = unit.as_ref().map(|unit| format!(" {}", unit.replace("1/step", "per step"))).unwrap_or_default();
        let worst = worst_row.map(|(row, max)| format!(" ({} for row {row} of the data)", figure(max)));
        let ratio = over_median.map(|by| format!(", {} times its median beyond t = {near_zero_until}", factor(by)));
        let (worst, ratio) = (worst.unwrap_or_default(), ratio.unwrap_or_default());
        format!("{curve} peaks at t = {timestep} with {}{interval}{unit}{worst}{ratio}.", figure(*value))
    }

    /// `Over t = 0 … 15 it grows as s^−0.50 [−0.52, −0.48], s counting steps from the clean sample. …`
    fn growth(&self) -> String {
        let Fact::Growth { over, exponent, interval, range, flattens_below, .. } = self else { return String::new() };
        let signed = |p: f64| format!("{p:.2}").replace('-', "−");
        let power = format!("{} [{}, {}]", signed(*exponent), signed(interval.0), signed(interval.1));
        let (from, until) = range;
        let grows = if *exponent < 0.0 { "grows" } else { "falls" };
        let law = match over {
            Over::Steps => {
                let flattens = flattens_below.map(|t| format!(", and flattens below t = {t:.0}")).unwrap_or_default();
                format!(
                    "Over t = {from} … {until} it {grows} as s^{power}, s counting steps from the clean sample{flattens}."
                )
            }
            Over::Sigma => {
                let flattens = |sigma: f64| format!(", and flattens below σ = {}", number(Some(sigma)));
                let flattens = flattens_below.map(flattens).unwrap_or_default();
                format!("Over t = {from} … {until}, per σ, it {grows} as σ^{power} as σ → 0{flattens}.")
            }
        };
        format!("{law} {}", self.verdict())
    }

    /// What that means.
    fn verdict(&self) -> &'static str {
        let Fact::Growth { over, verdict, driver, cut_off, of_jumps, .. } = self else { return "" };
        match (verdict, driver) {
            _ if *cut_off => {
                "Whether it is singular cannot be told: K per σ is level while dσ/dt is infinite at the clean sample, so K may blow \
                 up below the first step."
            }
            (Verdict::Bounded, _) => "On these steps it is bounded.",
            (Verdict::Inconclusive, _) => "Whether it is singular cannot be told from these steps.",
            (Verdict::Singular, Driver::Schedule) => "It is singular, driven by the schedule: per σ it is not.",
            (Verdict::Singular, _) if *of_jumps => {
                "It is singular, as it is wherever the data does not reach all states."
            }
            (Verdict::Singular, _) if *over == Over::Sigma => {
                "It is singular; data near points does that, and so does a network that is told ln σ."
            }
            (Verdict::Singular, Driver::Data) => "It is singular, driven by the data: it blows up per σ as well.",
            (Verdict::Singular, Driver::Unknown) => "It is singular; the cause cannot be told.",
        }
    }
}

/// Whether what is measured is of jumps.
pub(super) fn is_of_jumps(of: Of) -> bool {
    matches!(of, Of::Rate | Of::Jumps)
}

/// A clause with a capital and a full stop; names of models and quantities keep their first letter.
fn as_sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let is_word =
        clause.split([' ', ',']).next().is_some_and(|word| word.chars().all(char::is_lowercase) && word.len() > 1);
    let first = match (letters.next(), is_word) {
        (Some(first), true) => first.to_uppercase().collect::<String>(),
        (first, _) => first.map(String::from).unwrap_or_default(),
    };
    format!("{first}{}.", letters.as_str())
}

/// Two significant digits, without an exponent.
pub(super) fn factor(ratio: f64) -> String {
    if !ratio.is_finite() {
        return "–".into();
    }
    let exponent = if ratio == 0.0 { 0 } else { ratio.abs().log10().floor() as i32 };
    format!("{ratio:.*}", (1 - exponent).clamp(0, 6) as usize)
}
